package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"bascule/ha"
)

const requestBlock = "CERTIFICATE REQUEST"

// ErrRequest is wrapped by every refusal of a request for a certificate, and of a certificate that answers none.
var ErrRequest = errors.New("certificate refused")

// request prepares a new key for the member and returns the request (PEM) for its certificate. It holds the member's name and the new
// public key, no addresses: whoever signs knows them. The key never leaves the machine; the present certificate stays in use until install.
func (k *Keeper) request() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the key of %s: %w", k.Name, err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: string(k.Name)}}, key)
	if err != nil {
		return nil, fmt.Errorf("the request for a certificate of %s: %w", k.Name, err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	return encode(requestBlock, der), k.Files.Prepare(keyPEM)
}

// install puts the certificate that answers the last request into use. It refuses one that is not of an authority that the members trust,
// or not this member's. The clock is not asked: it may be what is wrong.
func (k *Keeper) install(certPEM []byte) error {
	cert, err := ParseCertificate(certPEM)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRequest, err)
	}
	trust, err := LoadTrust(k.Files.CA)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRequest, err)
	}
	present, err := os.ReadFile(k.Files.Cert)
	if err == nil && trust.outdated(cert) && trust.signerOf(present) == trust.Signer(cert) {
		return fmt.Errorf("%w: it is of the authority that is being replaced, too; the one that signs does not see the new one yet", ErrRequest)
	}
	for _, use := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		o := x509.VerifyOptions{Roots: trust.Pool(), DNSName: string(k.Name), CurrentTime: cert.NotAfter.Add(-time.Minute), KeyUsages: []x509.ExtKeyUsage{use}}
		if _, err := cert.Verify(o); err != nil {
			return fmt.Errorf("%w: it is not this member's, or not of the authority that the members trust: %w", ErrRequest, err)
		}
	}
	return k.Files.Install(certPEM)
}

// Sign answers a request: a certificate for the member of that name at these addresses. Nothing but the public key is taken from the request.
func (c *CA) Sign(request []byte, name ha.NodeName, addresses []string, now time.Time) ([]byte, error) {
	block, _ := pem.Decode(request)
	if block == nil || block.Type != requestBlock {
		return nil, fmt.Errorf("%w: no request in PEM form", ErrRequest)
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: a damaged request", ErrRequest)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("%w: a request that its key has not signed", ErrRequest)
	}
	if csr.Subject.CommonName != string(name) {
		return nil, fmt.Errorf("%w: %q asks for the certificate of %s", ErrRequest, csr.Subject.CommonName, name)
	}
	return c.sign(name, addresses, csr.PublicKey, now)
}

func addressesOf(names []string, ips []net.IP) []string {
	out := append([]string(nil), names...)
	for _, ip := range ips {
		out = append(out, ip.String())
	}
	return out
}
