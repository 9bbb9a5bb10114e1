package pki

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// Files are where a member has its certificate, as tls: in its configuration names them.
type Files struct {
	CA   string // the authority's certificate, the only one that is trusted; while it is rotated the old and the new one (Trust)
	Cert string // the member's certificate
	Key  string // its key, mode 0600
}

// Where a cluster keeps what its members share, below Proxmox's configuration tree (/etc/pve). What is below priv/ only root can read, on
// every node, also without quorum; it is written with quorum only.
const (
	SharedCA     = "bascule/ca.pem"
	SharedCAKey  = "priv/bascule/ca.key"
	SharedGossip = "priv/bascule/gossip.keys"
)

// Write puts a new certificate with its key in the place of the old ones. A reader between the two sees a pair that does not fit, for
// the time of two renames, and must try again; a crash between them is put right by Mend.
func (f Files) Write(certPEM, keyPEM []byte) error {
	if _, err := tls.X509KeyPair(certPEM, keyPEM); err != nil {
		return fmt.Errorf("the new certificate does not fit its key: %w: the old one stays", err)
	}
	if err := f.Prepare(keyPEM); err != nil {
		return err
	}
	return f.Install(certPEM)
}

// Prepare keeps a new key beside the present one, for the certificate that is to come.
func (f Files) Prepare(keyPEM []byte) error {
	if err := renameio.WriteFile(f.nextKey(), keyPEM, 0o600); err != nil {
		return fmt.Errorf("the new key cannot be written beside %s: %w: the old certificate stays", f.Key, err)
	}
	return nil
}

// Install puts a certificate into use together with the key that was prepared for it. It refuses one that does not fit that key.
func (f Files) Install(certPEM []byte) error {
	keyPEM, err := os.ReadFile(f.nextKey())
	if err != nil {
		return fmt.Errorf("no key was prepared for the new certificate: %w", err)
	}
	if _, err := tls.X509KeyPair(certPEM, keyPEM); err != nil {
		return fmt.Errorf("the new certificate does not fit the key that was prepared: %w: ask for another one", err)
	}
	if err := renameio.WriteFile(f.Cert, certPEM, 0o644); err != nil {
		return fmt.Errorf("the new certificate cannot be written: %w: the old one stays", err)
	}
	return f.moveKey()
}

// Mend finishes what a crash has interrupted: a key that was prepared goes into use if the certificate that is there is its own, and
// stays prepared if not.
func (f Files) Mend() error {
	if _, err := tls.LoadX509KeyPair(f.Cert, f.Key); err == nil {
		return nil
	}
	if _, err := tls.LoadX509KeyPair(f.Cert, f.nextKey()); err != nil {
		return nil // nothing that could be finished: whoever reads the pair says what is wrong with it
	}
	return f.moveKey()
}

func (f Files) nextKey() string { return f.Key + ".next" }

func (f Files) moveKey() error {
	if err := os.Rename(f.nextKey(), f.Key); err != nil {
		return fmt.Errorf("the new key cannot be put in the place of %s: %w: restart basculed, it tries again", f.Key, err)
	}
	dir, err := os.Open(filepath.Dir(f.Key))
	if err != nil {
		return fmt.Errorf("the directory of %s: %w", f.Key, err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("the directory of %s: %w", f.Key, err)
	}
	return nil
}
