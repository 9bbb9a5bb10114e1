package setup

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"time"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/setup/pki"
)

// Authority is the cluster's certificate authority: made once, its key for root alone.
type Authority struct {
	Layout  Layout
	Cluster string
	Now     time.Time
}

// Title implements Step.
func (a Authority) Title() string {
	return fmt.Sprintf("make the cluster's certificate authority: %s, key %s", a.Layout.CACert(), a.Layout.CAKey())
}

// Done implements Step.
func (a Authority) Done(_ context.Context, sys System) (bool, error) {
	key, err := exists(sys, a.Layout.CAKey())
	if err != nil || !key {
		return false, err
	}
	return exists(sys, a.Layout.CACert())
}

// Do implements Step. The key is written last: with it the authority is whole.
func (a Authority) Do(_ context.Context, sys System) error {
	if key, err := exists(sys, a.Layout.CAKey()); err != nil || key {
		return errors.Join(err, fmt.Errorf("%s is there without %s: put the certificate back from another node (%s)", a.Layout.CAKey(), a.Layout.CACert(), a.Layout.Local("tls/ca.pem")))
	}
	ca, err := pki.NewCA(a.Cluster, a.Now)
	if err != nil {
		return err
	}
	key, err := ca.KeyPEM()
	if err != nil {
		return err
	}
	if err := sys.WriteFile(a.Layout.CACert(), ca.CertPEM(), 0o644); err != nil {
		return err
	}
	return sys.WriteFile(a.Layout.CAKey(), key, 0o600)
}

// loadCA reads the authority.
func loadCA(sys System, l Layout) (*pki.CA, error) {
	cert, err := sys.ReadFile(l.CACert())
	if err != nil {
		return nil, err
	}
	key, err := sys.ReadFile(l.CAKey())
	if err != nil {
		return nil, err
	}
	return pki.ParseCA(cert, key)
}

// Certificate is a member's own certificate and key, signed by the cluster's authority; issued anew when it does not fit.
type Certificate struct {
	Layout    Layout
	Node      ha.NodeName
	Addresses []string
	Now       time.Time
}

func (c Certificate) certFile() string { return c.Layout.Local("tls/node.pem") }
func (c Certificate) keyFile() string  { return c.Layout.Local("tls/node.key") }

// Title implements Step.
func (c Certificate) Title() string {
	return fmt.Sprintf("certificate of %s for %v: %s", c.Node, c.Addresses, c.certFile())
}

// Done implements Step: it is there, fits its key, is valid now, has name and addresses, and the authority has signed it.
func (c Certificate) Done(_ context.Context, sys System) (bool, error) {
	cert, err := sys.ReadFile(c.certFile())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	key, err := sys.ReadFile(c.keyFile())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	authority, err := sys.ReadFile(c.Layout.CACert())
	if err != nil {
		return false, ignoreMissing(err)
	}
	return c.with(sys).fits(cert, key, authority), nil
}

// with adds the address that the node's own configuration makes it listen on, where that is another one: its own daemon calls it there.
func (c Certificate) with(sys System) Certificate {
	data, err := sys.ReadFile(c.Layout.Config())
	if err != nil {
		return c // an earlier step writes it, or says what is wrong
	}
	conf, err := config.Parse(c.Layout.Config(), data)
	if err != nil || conf.Node != c.Node {
		return c
	}
	if ip, err := netip.ParseAddr(conf.BindAddress); err == nil && !ip.IsUnspecified() && !slices.Contains(c.Addresses, conf.BindAddress) {
		c.Addresses = append(slices.Clone(c.Addresses), conf.BindAddress)
	}
	return c
}

func (c Certificate) fits(cert, key, authority []byte) bool {
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		return false
	}
	block, _ := pem.Decode(cert)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return false
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: c.Now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		return false
	}
	return slices.Contains(leaf.DNSNames, string(c.Node)) && !slices.ContainsFunc(c.Addresses, func(a string) bool { return !names(leaf, a) })
}

// names says whether a certificate is for an address: an IP address or a host name.
func names(leaf *x509.Certificate, address string) bool {
	if _, err := netip.ParseAddr(address); err != nil {
		return slices.Contains(leaf.DNSNames, address)
	}
	return leaf.VerifyHostname("["+address+"]") == nil
}

// Do implements Step. The key first: a certificate without its key is found and issued anew.
func (c Certificate) Do(_ context.Context, sys System) error {
	ca, err := loadCA(sys, c.Layout)
	if err != nil {
		return fmt.Errorf("the cluster's authority: %w", err)
	}
	cert, key, err := ca.Issue(c.Node, c.with(sys).Addresses, c.Now)
	if err != nil {
		return err
	}
	if err := sys.WriteFile(c.keyFile(), key, 0o600); err != nil {
		return err
	}
	return sys.WriteFile(c.certFile(), cert, 0o644)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
