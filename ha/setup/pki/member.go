package pki

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"github.com/google/renameio/v2"
)

// Standing is what a member trusts and shows now.
type Standing struct {
	Trusted []string  // fingerprints of the authorities; the first one signs
	Signed  string    // of the one that has signed its certificate; "" when it is none of them
	Ends    time.Time // the certificate's end
}

// Standing reads it from the files.
func (k *Keeper) Standing() (Standing, error) {
	trust, err := LoadTrust(k.Files.CA)
	if err != nil {
		return Standing{}, err
	}
	certPEM, err := os.ReadFile(k.Files.Cert)
	if err != nil {
		return Standing{}, fmt.Errorf("the certificate: %w", err)
	}
	cert, err := ParseCertificate(certPEM)
	if err != nil {
		return Standing{}, fmt.Errorf("%s: %w", k.Files.Cert, err)
	}
	return Standing{trust.Fingerprints(), trust.Signer(cert), cert.NotAfter}, nil
}

// SetTrust makes the member trust these authorities (PEM) from now on; the first one signs. It refuses, with ErrCA, what may sign nothing,
// and what would cut the member off: authorities none of which it trusts now, or none of which has signed its certificate.
func (k *Keeper) SetTrust(text []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	trust, err := ParseTrust(text)
	if err != nil {
		return err
	}
	for _, c := range trust {
		if !signs(c) {
			return fmt.Errorf("%w: the certificate of %q may sign nothing", ErrCA, c.Subject.CommonName)
		}
	}
	present, err := LoadTrust(k.Files.CA)
	if err != nil {
		return err
	}
	if !trust.meets(present) {
		return fmt.Errorf("%w that this member knows: it trusts none of them now", ErrCA)
	}
	certPEM, err := os.ReadFile(k.Files.Cert)
	if err != nil {
		return fmt.Errorf("the certificate: %w", err)
	}
	if trust.signerOf(certPEM) == "" {
		return fmt.Errorf("%w that has signed this member's certificate: it would cut itself off; let it have a new certificate first", ErrCA)
	}
	if have, err := os.ReadFile(k.Files.CA); err == nil && bytes.Equal(have, trust.PEM()) {
		return nil
	}
	if err := renameio.WriteFile(k.Files.CA, trust.PEM(), 0o644); err != nil {
		return fmt.Errorf("the authorities cannot be written to %s: %w", k.Files.CA, err)
	}
	return nil
}

// Within says whether all of these authorities stand in a file.
func (t Trust) Within(file string) error {
	all, err := LoadTrust(file)
	if err != nil {
		return err
	}
	for _, c := range t {
		if !all.has(c) {
			return fmt.Errorf("%w of this site: %s does not hold %s", ErrCA, file, fingerprint(c))
		}
	}
	return nil
}
