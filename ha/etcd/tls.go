package etcd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"google.golang.org/grpc/credentials"
)

// loadTLS is how this node talks to etcd: it trusts this CA only and shows its certificate, if it has one. The certificate is read again
// for each new connection, as etcd's own server does, so that a renewed one needs no restart and ends no connection.
func loadTLS(f TLS) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	if f.CertFile != "" {
		own, err := transport.TLSInfo{CertFile: f.CertFile, KeyFile: f.KeyFile}.ClientConfig() // reads both files once
		if err != nil {
			return nil, fmt.Errorf("%w: certificate %s with key %s: %w: create them again with the cluster's CA", ErrConfig, f.CertFile, f.KeyFile, err)
		}
		c.GetClientCertificate = own.GetClientCertificate
	}
	ca, err := os.ReadFile(f.CAFile)
	if err != nil {
		return nil, fmt.Errorf("%w: CA: %w", ErrConfig, err)
	}
	if !c.RootCAs.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%w: %s holds no certificate in PEM form", ErrConfig, f.CAFile)
	}
	return c, nil
}

// freshCredentials are loadTLS's for each connection of a client: whom it trusts and what it shows are read from the files when it connects.
type freshCredentials struct {
	credentials.TransportCredentials // of the last time; they answer everything but handshakes
	files                            TLS
}

// newCredentials reads the files once, so that what is wrong with them shows at once.
func newCredentials(f TLS) (credentials.TransportCredentials, error) {
	c, err := loadTLS(f)
	if err != nil {
		return nil, err
	}
	return freshCredentials{credentials.NewTLS(c), f}, nil
}

// ClientHandshake implements credentials.TransportCredentials.
func (c freshCredentials) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	now, err := loadTLS(c.files)
	if err != nil {
		return nil, nil, err
	}
	return credentials.NewTLS(now).ClientHandshake(ctx, authority, raw)
}

// Clone implements credentials.TransportCredentials.
func (c freshCredentials) Clone() credentials.TransportCredentials {
	return freshCredentials{c.TransportCredentials.Clone(), c.files}
}
