package etcd

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"go.etcd.io/etcd/client/pkg/v3/transport"
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
