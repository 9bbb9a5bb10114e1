package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// CALifetime is how long the authority is valid. All members must be given another one before it ends (AuthorityWarning).
const CALifetime = 20 * 365 * 24 * time.Hour

// organization marks what this package has signed.
const organization = "Bascule"

// longAgo is when everything signed here begins to be valid. A machine whose clock has died starts in 1970, 2000 or at its board's
// birthday; it must find its own and its peers' certificates valid then, or it could never come up to set its clock.
var longAgo = time.Unix(0, 0).UTC()

// ErrCA is wrapped by every refusal of an authority's certificate or key.
var ErrCA = errors.New("this is no authority of a cluster")

// CA is the cluster's authority. Its key is a secret: who has it can make members.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

// NewCA makes an authority for a cluster (ECDSA P-256, valid for CALifetime from now, and in the past).
func NewCA(cluster string, now time.Time) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the authority's key: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "Bascule cluster " + cluster, Organization: []string{organization}},
		NotBefore:             longAgo,
		NotAfter:              now.Add(CALifetime),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true, // it signs members, never another authority
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("signing the authority of cluster %s: %w", cluster, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading back the authority of cluster %s: %w", cluster, err)
	}
	return &CA{cert: cert, key: key, pem: encode(certificateBlock, der)}, nil
}

// ParseCA reads the authority that signs: the first certificate of a file, with its key among those of another, both PEM. It refuses,
// with ErrCA, a certificate that may sign nothing and keys that are all another's.
func ParseCA(certPEM, keyPEM []byte) (*CA, error) {
	cert, err := ParseCertificate(certPEM)
	if err != nil {
		return nil, fmt.Errorf("%w: its certificate: %w", ErrCA, err)
	}
	if !signs(cert) {
		return nil, fmt.Errorf("%w: the certificate of %q may sign nothing: is it a member's?", ErrCA, cert.Subject.CommonName)
	}
	keys, err := parseKeys(keyPEM)
	if err != nil {
		return nil, fmt.Errorf("%w: its key: %w", ErrCA, err)
	}
	for _, key := range keys {
		if key.PublicKey.Equal(cert.PublicKey) {
			return &CA{cert: cert, key: key, pem: encode(certificateBlock, cert.Raw)}, nil
		}
	}
	return nil, fmt.Errorf("%w: the key does not belong to the certificate of %q: take both from one place", ErrCA, cert.Subject.CommonName)
}

// signs says whether a certificate is an authority's.
func signs(cert *x509.Certificate) bool { return cert.IsCA && cert.KeyUsage&x509.KeyUsageCertSign != 0 }

// CertPEM is the authority's certificate, public.
func (c *CA) CertPEM() []byte { return bytes.Clone(c.pem) }

// deadClock refuses a moment at which nothing may be signed: what is signed then ends before this authority was even made, for everybody
// whose clock is right. (Of an authority made by hand it is not known when that was.)
func (c *CA) deadClock(now time.Time) error {
	made := c.cert.NotAfter.Add(-CALifetime)
	if !c.cert.NotBefore.Equal(longAgo) || !now.Add(Lifetime).Before(made) {
		return nil
	}
	return fmt.Errorf("this machine's clock says %s, and the cluster's authority was made on %s: correct the clock", day(now), day(made))
}

// KeyPEM is the authority's key (PKCS 8). Write it to a file of mode 0600 only.
func (c *CA) KeyPEM() ([]byte, error) { return encodeKey(c.key) }

// Pool trusts this authority and nothing else.
func (c *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c.cert)
	return pool
}

func newSerial() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("drawing a serial number: %w", err)
	}
	return serial.Add(serial, big.NewInt(1)), nil // zero is no serial number
}

// The PEM blocks that are written and read here.
const (
	certificateBlock = "CERTIFICATE"
	keyBlock         = "PRIVATE KEY"
)

func encode(block string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: block, Bytes: der})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding a key: %w", err)
	}
	return encode(keyBlock, der), nil
}

// ParseCertificate reads the first certificate of a PEM file.
func ParseCertificate(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != certificateBlock {
		return nil, errors.New("no certificate in PEM form")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("damaged certificate: %w", err)
	}
	return cert, nil
}

// parseKeys reads ECDSA keys, at least one. Its errors never repeat what was read.
func parseKeys(text []byte) (keys []*ecdsa.PrivateKey, err error) {
	for {
		block, rest := pem.Decode(text)
		if block == nil && len(keys) > 0 {
			return keys, nil
		}
		if block == nil || block.Type != keyBlock {
			return nil, errors.New("no private key in PEM form (PKCS 8)")
		}
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return nil, errors.New("damaged private key")
		}
		key, ok := parsed.(*ecdsa.PrivateKey)
		if !ok {
			return nil, errors.New("no ECDSA key")
		}
		keys, text = append(keys, key), rest
	}
}
