package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/api"
	"bascule/ha/gossip"
	"bascule/ha/setup/pki"
)

func newKeys(h *hactl) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Replace the cluster's keys",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Help()
			return &exitError{code: exitUsage}
		},
		Args: unknownCommand,
	}
	var file string
	rotate := &cobra.Command{
		Use:   "rotate-gossip",
		Short: "Give all members a new gossip key; nobody is lost meanwhile",
		Long: "rotate-gossip makes a new key and walks all members three times: first each receives with the new key as well, then each sends with it, then\n" +
			"the old ones go. A step begins only when every member has done the one before, so all members must answer. Interrupted, it harms nothing:\n" +
			"run it again. Run it as root on a node.",
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(file)
			if err != nil {
				return err
			}
			return h.rotateGossip(cmd.Context(), cfg)
		},
	}
	rotate.Flags().StringVar(&file, "config", config.DefaultPath, "basculed's configuration `FILE`")
	cmd.AddCommand(rotate, newRotateAuthority(h))
	return cmd
}

// rotation walks the members.
type rotation struct {
	*hactl
	cfg     *config.Config
	clients map[ha.NodeName]*api.Client
}

func (h *hactl) rotateGossip(ctx context.Context, cfg *config.Config) error {
	r := &rotation{hactl: h, cfg: cfg, clients: map[ha.NodeName]*api.Client{}}
	for _, m := range cfg.Members {
		c, err := memberClient(cfg, m)
		if err != nil {
			return err
		}
		defer c.Close()
		r.clients[m.Name] = c
	}
	if cfg.Role != config.RoleWitness {
		if err := sameMembers(cfg, "rotate-gossip"); err != nil {
			return fmt.Errorf("nothing was changed: %w", err)
		}
	}
	known, err := gossip.LoadKeyring(cfg.Gossip.KeyringFile)
	if err != nil {
		return err
	}
	if err := r.look(ctx, known); err != nil {
		return err
	}
	fresh, err := base64.StdEncoding.DecodeString(pki.NewGossipKey())
	if err != nil {
		return err
	}
	// An earlier rotation may have been interrupted: then members send with any of the keys that are known here.
	for _, step := range []struct {
		what string
		keys [][]byte
	}{
		{"receive with the new key too", append(slices.Clone(known), fresh)},
		{"send with the new key", append([][]byte{fresh}, known...)},
		{"forget the old keys", [][]byte{fresh}},
	} {
		if err := r.step(ctx, step.what, step.keys); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(h.out, "gossip of %d members is encrypted with a new key (%s)\n", len(cfg.Members), gossip.Fingerprints([][]byte{fresh})[0])
	return err
}

// look makes sure that every member answers and sends with a key that is known here: any other would be forgotten.
func (r *rotation) look(ctx context.Context, known [][]byte) error {
	names := gossip.Fingerprints(known)
	for _, m := range r.cfg.Members {
		got, err := r.each(ctx, m.Name, func(ctx context.Context, c *api.Client) (api.GossipKeys, error) { return c.GossipKeys(ctx) })
		if err != nil {
			return fmt.Errorf("nothing was changed: every member must take part, and %s does not: %w: bring it back, or take it out of members on all nodes", m.Name, err)
		}
		if len(got.Keys) == 0 || !slices.Contains(names, got.Keys[0]) {
			return fmt.Errorf("nothing was changed: %s sends with a key that %s does not hold: run this on %s, or put its key file right", m.Name, r.cfg.Gossip.KeyringFile, m.Name)
		}
	}
	return nil
}

// step gives every member a list of keys, this machine's own last: what it holds is what a rotation that was interrupted goes on from.
func (r *rotation) step(ctx context.Context, what string, keys [][]byte) error {
	b := api.GossipKeysBody{Operator: operator()}
	for _, k := range keys {
		b.Keys = append(b.Keys, base64.StdEncoding.EncodeToString(k))
	}
	want := gossip.Fingerprints(keys)
	if err := r.share(keys); err != nil {
		return err
	}
	for _, m := range r.order() {
		got, err := r.each(ctx, m, func(ctx context.Context, c *api.Client) (api.GossipKeys, error) { return c.SetGossipKeys(ctx, b) })
		if err == nil && !slices.Equal(got.Keys, want) {
			err = errors.New("it has other keys than it was given")
		}
		if err != nil {
			return fmt.Errorf("the rotation stopped while the members began to %s: %s: %w: all of them still understand each other; run hactl keys rotate-gossip again", what, m, err)
		}
	}
	_, err := fmt.Fprintf(r.out, "all %d members %s\n", len(r.cfg.Members), what)
	return err
}

// order is the members, this machine's last.
func (r *rotation) order() (out []ha.NodeName) {
	for _, m := range r.cfg.Members {
		if m.Name != r.cfg.Node {
			out = append(out, m.Name)
		}
	}
	return append(out, r.cfg.Node)
}

func (r *rotation) each(ctx context.Context, m ha.NodeName, call func(context.Context, *api.Client) (api.GossipKeys, error)) (api.GossipKeys, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	return call(ctx, r.clients[m])
}

// share keeps the keys where a node that joins finds them. Proxmox's tree knows neither modes nor locks: a file of its own name, then a rename.
func (r *rotation) share(keys [][]byte) error {
	path := filepath.Join(r.cfg.Proxmox.Root, pki.SharedGossip)
	if _, err := os.Stat(path); err != nil || r.cfg.Role == config.RoleWitness {
		return nil // this cluster does not keep them there
	}
	var text []byte
	for _, k := range keys {
		text = append(text, base64.StdEncoding.EncodeToString(k)+"\n"...)
	}
	temp := path + ".new"
	if err := errors.Join(os.WriteFile(temp, text, 0o600), os.Rename(temp, path)); err != nil {
		return fmt.Errorf("the shared key file %s cannot be written: %w: has this node quorum (pvecm status)? Then run hactl keys rotate-gossip again", path, err)
	}
	return nil
}
