package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/api"
	"bascule/ha/setup/pki"
)

// Authority implements api.Backend.
func (b backend) Authority() (api.Authority, error) {
	s, err := b.keeper.Standing()
	if err != nil {
		return api.Authority{}, err
	}
	out := api.Authority{Node: b.cfg.Node, Trusted: s.Trusted, Signed: s.Signed, Ends: s.Ends}
	if text := b.store.Trusts(); text != nil && !b.cfg.External() {
		trust, err := pki.ParseTrust(text)
		if err != nil {
			return out, err
		}
		out.Store = trust.Fingerprints()
	}
	return out, nil
}

// SetAuthority implements api.Backend: the file, then the certificate, then the store's own member, which alone must be restarted for it.
func (b backend) SetAuthority(ctx context.Context, asker *x509.Certificate, text []byte) error {
	if err := mayReplace(b.cfg, asker, text); err != nil {
		return err
	}
	if err := b.keeper.SetTrust(text); err != nil {
		return err
	}
	f := b.keeper.Look(ctx, time.Now())
	found(f, b.Agent, b.log)
	if f.Problem != "" {
		return errors.New(f.Problem)
	}
	if b.cfg.External() {
		return nil // its authority is not ours
	}
	return b.store.Retrust(ctx)
}

// mayReplace refuses authorities that the site does not have. A Proxmox node sees them for itself, where root alone can write; a witness has to
// believe a node, and nobody else. No asker: root on this machine.
func mayReplace(cfg *config.Config, asker *x509.Certificate, text []byte) error {
	if cfg.Role != config.RoleWitness {
		trust, err := pki.ParseTrust(text)
		if err != nil {
			return err
		}
		return trust.Within(filepath.Join(cfg.Proxmox.Root, pki.SharedCA))
	}
	if asker == nil {
		return nil
	}
	name := ha.NodeName(asker.Subject.CommonName)
	if m, ok := cfg.Member(name); !ok || m.Witness {
		return fmt.Errorf("%s may not say whom %s trusts: it is no Proxmox node of this cluster", name, cfg.Node)
	}
	return nil
}
