package etcd

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// loadTLS is how this node talks to etcd: it trusts this CA only and shows its certificate, if it has one.
func loadTLS(f TLS) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	if f.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(f.CertFile, f.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("%w: certificate %s with key %s: %w: create them again with the cluster's CA", ErrConfig, f.CertFile, f.KeyFile, err)
		}
		c.Certificates = []tls.Certificate{cert}
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
