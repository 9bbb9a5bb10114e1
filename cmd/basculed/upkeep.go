package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"bascule/config"
	"bascule/ha/api"
	"bascule/ha/gossip"
	"bascule/ha/setup/pki"
)

// keysRepeat is how often the file with gossip's keys is looked at: an operator may have written it by hand.
const keysRepeat = 10 * time.Second

// newKeeper keeps this member's certificate.
func newKeeper(cfg *config.Config) pki.Keeper {
	k := pki.Keeper{Name: cfg.Node, Addresses: []string{cfg.Self().Address}, Files: pki.Files{CA: cfg.TLS.CAFile, Cert: cfg.TLS.CertFile, Key: cfg.TLS.KeyFile}}
	if cfg.Role != config.RoleWitness {
		k.Root = cfg.Proxmox.Root
	}
	return k
}

// renewFirst renews a certificate that is due before anything shows it: one that has ended would keep this member out.
func renewFirst(cfg *config.Config, log logrus.FieldLogger) {
	told(newKeeper(cfg).Look(time.Now()), log)
}

func told(f pki.Found, log logrus.FieldLogger) {
	if f.Renewed {
		log.WithField("reason", "valid until "+f.Ends.UTC().Format(time.DateOnly)).Info("this member's certificate was renewed")
	}
	if f.Problem != "" {
		log.Warn(f.Problem)
	}
}

// watchCertificate renews this member's certificate when it is due. Whatever listens or calls reads it anew for its next connection.
func (p *parts) watchCertificate(ctx context.Context) {
	newKeeper(p.cfg).Run(ctx, time.Now, func(f pki.Found) {
		if f.Renewed {
			told(f, p.log)
		}
		p.agent.Problem("certificate", f.Problem)
	})
}

// watchGossipKeys takes a changed key file over.
func (p *parts) watchGossipKeys(ctx context.Context) {
	t := time.NewTicker(keysRepeat)
	defer t.Stop()
	var seen time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		info, err := os.Stat(p.cfg.Gossip.KeyringFile)
		if err == nil && info.ModTime().Equal(seen) {
			continue
		}
		problem := ""
		if err == nil {
			err = p.useGossipKeys()
		}
		if err != nil {
			problem = "gossip goes on with the keys that it has: " + err.Error()
		} else {
			seen = info.ModTime()
		}
		p.agent.Problem("gossip keys", problem)
	}
}

// useGossipKeys makes gossip use what the key file holds.
func (p *parts) useGossipKeys() error {
	keys, err := gossip.LoadKeyring(p.cfg.Gossip.KeyringFile)
	if err != nil {
		return err
	}
	return p.gossip.SetKeys(keys)
}

// GossipKeys implements api.Backend.
func (b backend) GossipKeys() api.GossipKeys {
	return api.GossipKeys{Node: b.cfg.Node, Keys: b.gossip.Keys()}
}

// SetGossipKeys implements api.Backend: the file first, so that a restart does not bring the old ones back.
func (b backend) SetGossipKeys(lines []string) error {
	keys := make([][]byte, 0, len(lines))
	for i, line := range lines {
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
		if err != nil {
			return fmt.Errorf("key %d is not base64", i+1)
		}
		keys = append(keys, key)
	}
	if err := gossip.WriteKeyring(b.cfg.Gossip.KeyringFile, keys); err != nil {
		return err
	}
	return b.gossip.SetKeys(keys)
}

// CertificateRequest implements api.Backend.
func (b backend) CertificateRequest() ([]byte, error) { return newKeeper(b.cfg).Request() }

// SetCertificate implements api.Backend.
func (b backend) SetCertificate(certPEM []byte) error {
	k := newKeeper(b.cfg)
	if err := k.SetCertificate(certPEM); err != nil {
		return err
	}
	b.Problem("certificate", k.Look(time.Now()).Problem)
	return nil
}

// Snapshot implements api.Backend.
func (b backend) Snapshot(ctx context.Context, w io.Writer) error {
	_, err := b.store.Snapshot(ctx, w)
	return err
}
