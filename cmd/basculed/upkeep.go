package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"bascule/ha/api"
	"bascule/ha/gossip"
)

// keysRepeat is how often the file with gossip's keys is looked at: an operator may have written it by hand.
const keysRepeat = 10 * time.Second

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

// Snapshot implements api.Backend.
func (b backend) Snapshot(ctx context.Context, w io.Writer) error {
	_, err := b.store.Snapshot(ctx, w)
	return err
}
