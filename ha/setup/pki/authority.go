package pki

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"bascule/ha"
)

// Authority is the cluster's authority where it lies, as a member that can read it signs with it.
type Authority struct {
	Root    string // Proxmox's configuration tree
	Trusted string // file of the authorities that the members trust
}

// Sign answers a request (PEM) of a member with its certificate. The name and the addresses are the caller's knowledge; what the
// member's present certificate names (nil: it has none) stays, because an authority has vouched for that already. It refuses to sign with
// an authority that the members do not trust.
func (a Authority) Sign(request []byte, name ha.NodeName, addresses []string, present *x509.Certificate, now time.Time) ([]byte, error) {
	ca, err := LoadCA(a.Root)
	if err != nil {
		return nil, err
	}
	trust, err := LoadTrust(a.Trusted)
	if err != nil {
		return nil, err
	}
	if !trust.has(ca.cert) {
		return nil, fmt.Errorf("%w that the members trust: %s does not hold the certificate of %s/%s", ErrCA, a.Trusted, a.Root, SharedCA)
	}
	all := slices.Clone(addresses)
	if present != nil {
		for _, n := range addressesOf(present.DNSNames, present.IPAddresses) {
			if !slices.Contains(all, n) {
				all = append(all, n)
			}
		}
	}
	return ca.Sign(request, name, all, now)
}

// Own signs for the member that it runs on, with the authority at hand: a Proxmox node.
type Own struct {
	Authority
	Name      ha.NodeName
	Addresses []string
}

// Sign implements Signer.
func (o Own) Sign(_ context.Context, request, present []byte, now time.Time) ([]byte, error) {
	cert, err := ParseCertificate(present)
	if err != nil {
		cert = nil // there is none that could be read: the addresses must do
	}
	certPEM, err := o.Authority.Sign(request, o.Name, o.Addresses, cert, now)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("the cluster's authority cannot be read: %w: is %s mounted (systemctl status pve-cluster)?", err, o.Root)
	}
	return certPEM, err
}

// LoadCA reads the authority that signs below Proxmox's configuration tree. Where there is no key (a witness, a tree that is not mounted)
// the error wraps fs.ErrNotExist.
func LoadCA(root string) (*CA, error) {
	key := filepath.Join(root, SharedCAKey)
	keyPEM, err := os.ReadFile(key)
	if err != nil {
		return nil, fmt.Errorf("the authority's key: %w", err)
	}
	certPEM, err := os.ReadFile(filepath.Join(root, SharedCA))
	if err != nil {
		return nil, fmt.Errorf("the authority's certificate: %w", err)
	}
	ca, err := ParseCA(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("%s with %s: %w", filepath.Join(root, SharedCA), key, err)
	}
	return ca, nil
}
