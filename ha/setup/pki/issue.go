package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"net"
	"slices"
	"time"

	"bascule/ha"
)

// Lifetime is how long a member's certificate is valid from the day that it was issued.
const Lifetime = 2 * 365 * 24 * time.Hour

// renewShare is the part of its life that a certificate has left when it is renewed: a third, eight months, so that months of
// trouble with renewing do no harm.
const renewShare = 3

// Issue signs a certificate that serves and authenticates clients, for a new key. It names the member and each address (IP addresses and
// host names). It is valid for Lifetime, at most as long as the authority, and in the past.
func (c *CA) Issue(name ha.NodeName, addresses []string, now time.Time) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("making the key of %s: %w", name, err)
	}
	if certPEM, err = c.sign(name, addresses, &key.PublicKey, now); err != nil {
		return nil, nil, err
	}
	keyPEM, err = encodeKey(key)
	return certPEM, keyPEM, err
}

// sign makes a member's certificate for a public key.
func (c *CA) sign(name ha.NodeName, addresses []string, key any, now time.Time) ([]byte, error) {
	if !now.Before(c.cert.NotAfter) {
		return nil, fmt.Errorf("the certificate of %s cannot be signed: the cluster's authority ended on %s and this machine's clock says %s: correct the clock, or make a new authority",
			name, day(c.cert.NotAfter), day(now))
	}
	if err := c.deadClock(now); err != nil {
		return nil, fmt.Errorf("the certificate of %s cannot be signed: %w", name, err)
	}
	template, err := memberTemplate(name, addresses)
	if err != nil {
		return nil, err
	}
	template.NotBefore, template.NotAfter = longAgo, now.Add(Lifetime)
	if template.NotAfter.After(c.cert.NotAfter) {
		template.NotAfter = c.cert.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.cert, key, c.key)
	if err != nil {
		return nil, fmt.Errorf("signing the certificate of %s: %w", name, err)
	}
	return encode(certificateBlock, der), nil
}

func memberTemplate(name ha.NodeName, addresses []string) (*x509.Certificate, error) {
	if name == "" {
		return nil, fmt.Errorf("a certificate needs the member's name")
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: string(name), Organization: []string{organization}},
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:     []string{string(name)},
	}
	for _, a := range addresses {
		ip := net.ParseIP(a)
		switch {
		case a == "":
			return nil, fmt.Errorf("the certificate of %s: an empty address", name)
		case ip != nil:
			t.IPAddresses = append(t.IPAddresses, ip)
		case !slices.Contains(t.DNSNames, a):
			t.DNSNames = append(t.DNSNames, a)
		}
	}
	return t, nil
}

// Renew says whether a certificate is due for renewal: a third of its life is left, or less. left is how long it is still valid, negative
// when it has ended.
func Renew(certPEM []byte, now time.Time) (due bool, left time.Duration, err error) {
	cert, err := ParseCertificate(certPEM)
	if err != nil {
		return false, 0, err
	}
	// Ours begin in 1970, see longAgo: the life that counts is what Issue gives.
	life := min(cert.NotAfter.Sub(cert.NotBefore), Lifetime)
	left = cert.NotAfter.Sub(now)
	return left <= life/renewShare, left, nil
}

// NewGossipKey makes one line for gossip.keys: 32 random bytes in base64, without a line end.
func NewGossipKey() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails: the runtime ends the process instead
	return base64.StdEncoding.EncodeToString(key)
}

// day is how messages show a moment that is years away.
func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
