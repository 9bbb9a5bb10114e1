package pki

import (
	"bytes"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Shared is the authority as all Proxmox nodes see it, in two files below Proxmox's tree: the certificates, of which the first signs, and
// the keys in the order in which they were made. What both hold says how far a rotation has come, so that whoever goes on with it needs to
// know nothing else.
type Shared struct {
	Trust Trust
	keys  []*ecdsa.PrivateKey
}

// Stage is how far a rotation of the authority has come.
type Stage int

// The stages. Each begins when all members have done the one before.
const (
	Settled  Stage = iota // there is one authority
	Trusting              // all members are to trust the new one too; the old one signs
	Using                 // all are to use certificates of the new one; both are trusted
	Dropping              // all are to forget the old one
)

// LoadShared reads the authority below Proxmox's tree. It refuses, with ErrCA, files that do not belong together.
func LoadShared(root string) (Shared, error) {
	var s Shared
	trust, err := LoadTrust(filepath.Join(root, SharedCA))
	if err != nil {
		return s, err
	}
	keyPEM, err := os.ReadFile(filepath.Join(root, SharedCAKey))
	if err != nil {
		return s, fmt.Errorf("the authority's key: %w", err)
	}
	keys, err := parseKeys(keyPEM)
	if err != nil {
		return s, fmt.Errorf("%s: %w: %w", filepath.Join(root, SharedCAKey), ErrCA, err)
	}
	s = Shared{trust, keys}
	if _, err := s.Stage(); err != nil {
		return s, fmt.Errorf("%s with %s: %w", filepath.Join(root, SharedCA), filepath.Join(root, SharedCAKey), err)
	}
	return s, nil
}

// Stage says how far a rotation has come.
func (s Shared) Stage() (Stage, error) {
	has := func(i int, k *ecdsa.PrivateKey) bool {
		return i < len(s.Trust) && k.PublicKey.Equal(s.Trust[i].PublicKey)
	}
	first, last := s.keys[0], s.keys[len(s.keys)-1]
	switch {
	case len(s.keys) > 2 || len(s.Trust) > 2:
	case len(s.Trust) == 1 && has(0, first):
		return Settled, nil // a second key is left of a rotation that broke off before its certificate was written: nobody knows it
	case len(s.Trust) == 1 && has(0, last):
		return Dropping, nil
	case len(s.Trust) == 2 && has(0, first) && has(1, last):
		return Trusting, nil
	case len(s.Trust) == 2 && has(0, last) && has(1, first):
		return Using, nil
	}
	return 0, fmt.Errorf("%w: certificates and keys do not belong together: put both files back from a backup", ErrCA)
}

// Begin makes the new authority, to be trusted beside the present one. It refuses with a dead clock.
func (s Shared) Begin(cluster string, now time.Time) (Shared, error) {
	if err := (&CA{cert: s.Trust[0]}).deadClock(now); err != nil {
		return s, fmt.Errorf("no other authority can be made: %w", err)
	}
	fresh, err := NewCA(cluster, now)
	if err != nil {
		return s, err
	}
	return Shared{Trust{s.Trust[0], fresh.cert}, []*ecdsa.PrivateKey{s.keys[0], fresh.key}}, nil
}

// At is the same authorities at a stage after Trusting; Settled: the old one's key is gone as well.
func (s Shared) At(stage Stage) Shared {
	last := s.keys[len(s.keys)-1]
	fresh, old := s.Trust[0], s.Trust[len(s.Trust)-1]
	if !last.PublicKey.Equal(fresh.PublicKey) {
		fresh, old = old, fresh
	}
	switch stage {
	case Using:
		return Shared{Trust{fresh, old}, s.keys}
	case Dropping:
		return Shared{Trust{fresh}, s.keys}
	}
	return Shared{Trust{fresh}, s.keys[len(s.keys)-1:]}
}

// Write writes what differs, keys first: a certificate without a key would be of no use. Proxmox's tree knows neither modes nor locks:
// each is a file of its own name, then a rename. It needs Proxmox's quorum.
func (s Shared) Write(root string) error {
	var keys []byte
	for _, k := range s.keys {
		text, err := encodeKey(k)
		if err != nil {
			return err
		}
		keys = append(keys, text...)
	}
	for _, f := range []struct {
		name string
		data []byte
		mode os.FileMode
	}{{SharedCAKey, keys, 0o600}, {SharedCA, s.Trust.PEM(), 0o644}} {
		path := filepath.Join(root, f.name)
		if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, f.data) {
			continue
		}
		if err := errors.Join(os.WriteFile(path+".new", f.data, f.mode), os.Rename(path+".new", path)); err != nil {
			return fmt.Errorf("%s cannot be written: %w: has this node quorum (pvecm status)?", path, err)
		}
	}
	return nil
}
