package pki

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"slices"
	"time"
)

// AuthorityWarning is how long before its end an authority is worth a word: to make another one needs every member once, and the
// certificates that it signs end with it.
const AuthorityWarning = 365 * 24 * time.Hour

// Trust is the authorities that a member trusts. The first one signs; there is one, but for a rotation, in which the old and the new one
// are trusted side by side.
type Trust []*x509.Certificate

// ParseTrust reads authorities (PEM), at least one; whatever else stands there is passed over, and ErrCA says that none does. It does not
// judge them: files made by hand are read like ours.
func ParseTrust(text []byte) (Trust, error) {
	var t Trust
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		if text = rest; block.Type != certificateBlock {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w: a damaged certificate: %w", ErrCA, err)
		}
		if !t.has(cert) {
			t = append(t, cert)
		}
	}
	if len(t) == 0 {
		return nil, fmt.Errorf("%w: no certificate in PEM form", ErrCA)
	}
	return t, nil
}

// LoadTrust reads a file of authorities.
func LoadTrust(file string) (Trust, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("the authority's certificate: %w", err)
	}
	t, err := ParseTrust(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return t, nil
}

// PEM is the authorities in their order.
func (t Trust) PEM() []byte {
	var out []byte
	for _, c := range t {
		out = append(out, encode(certificateBlock, c.Raw)...)
	}
	return out
}

// Pool trusts these authorities and nothing else.
func (t Trust) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range t {
		pool.AddCert(c)
	}
	return pool
}

// Fingerprints name the authorities, in their order.
func (t Trust) Fingerprints() []string {
	var out []string
	for _, c := range t {
		out = append(out, fingerprint(c))
	}
	return out
}

func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:8])
}

func (t Trust) has(cert *x509.Certificate) bool { return slices.ContainsFunc(t, cert.Equal) }

// meets says whether two have one in common.
func (t Trust) meets(other Trust) bool { return slices.ContainsFunc(t, other.has) }

// Signer is the fingerprint of the authority that has signed a certificate; "" when it is none of these.
func (t Trust) Signer(cert *x509.Certificate) string {
	for _, c := range t {
		if cert.CheckSignatureFrom(c) == nil {
			return fingerprint(c)
		}
	}
	return ""
}

// signerOf is Signer for a certificate in PEM; "" where there is none that can be read.
func (t Trust) signerOf(certPEM []byte) string {
	cert, err := ParseCertificate(certPEM)
	if err != nil {
		return ""
	}
	return t.Signer(cert)
}

// outdated says whether a certificate is of an authority that is on its way out: trusted still, and not the one that signs. (One that is
// nobody's may have been made by hand, with authorities between: that is not ours to judge.)
func (t Trust) outdated(cert *x509.Certificate) bool {
	by := t.Signer(cert)
	return by != "" && by != fingerprint(t[0])
}

// news is what an operator should know of the authorities; "" for nothing.
func (t Trust) news(now time.Time) string {
	if len(t) > 1 {
		return "two authorities are trusted: the cluster's authority is being replaced, and that is not finished; hactl keys rotate-authority on a Proxmox node goes on with it"
	}
	if left := t[0].NotAfter.Sub(now); left < AuthorityWarning {
		return fmt.Sprintf("the cluster's authority %s, and every certificate with it: hactl keys rotate-authority on a Proxmox node makes another one", ending(left, now))
	}
	return ""
}
