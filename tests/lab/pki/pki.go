// Package pki makes the lab's certificates with the cluster's own authority (ha/setup/pki), one per lab, for nodes and BMCs.
//
// Keys are written with mode 0600 and never logged. The certificates are for loopback addresses; nothing outside a lab may ever trust
// its authority.
package pki

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"bascule/ha"
	setup "bascule/ha/setup/pki"
)

// CA signs certificates. Its key stays in memory: a lab never signs anything after its start.
type CA struct{ ca *setup.CA }

// New makes an authority for the lab of that name.
func New(name string) (*CA, error) {
	ca, err := setup.NewCA(name, time.Now())
	if err != nil {
		return nil, err
	}
	return &CA{ca}, nil
}

// PEM is the CA's certificate, for ca_file settings.
func (c *CA) PEM() []byte { return c.ca.CertPEM() }

// Pool trusts this CA and nothing else.
func (c *CA) Pool() *x509.CertPool { return c.ca.Pool() }

// Pair is a certificate with its key, in the forms that files and servers want.
type Pair struct {
	CertPEM, KeyPEM []byte
	TLS             tls.Certificate
}

// Issue signs a certificate that serves and authenticates clients. Each host is an IP address or a DNS name; the common name is name.
func (c *CA) Issue(name string, hosts ...string) (Pair, error) {
	var p Pair
	var err error
	if p.CertPEM, p.KeyPEM, err = c.ca.Issue(ha.NodeName(name), hosts, time.Now()); err != nil {
		return Pair{}, err
	}
	if p.TLS, err = tls.X509KeyPair(p.CertPEM, p.KeyPEM); err != nil {
		return Pair{}, fmt.Errorf("reading back the certificate of %s: %w", name, err)
	}
	return p, nil
}

// Write puts ca.pem, cert.pem and key.pem (0600) into a directory, which it makes.
func (c *CA) Write(dir string, p Pair) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("the lab's certificates cannot be written: %w", err)
	}
	for name, data := range map[string][]byte{"ca.pem": c.PEM(), "cert.pem": p.CertPEM, "key.pem": p.KeyPEM} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return fmt.Errorf("the lab's certificates cannot be written: %w", err)
		}
	}
	return nil
}
