package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"bascule/config"
	"bascule/ha/api"
	"bascule/ha/setup/backup"
)

func newBackup(h *hactl) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Save the store, the configuration and the keys to a file",
		Long: "backup writes one compressed tar archive: a copy of the store, this machine's configuration with every file that it names, and what the members\n" +
			"share (/etc/pve/bascule, /etc/pve/priv/bascule). THE FILE HOLDS THE CLUSTER'S KEYS: it is made with mode 0600; keep it so wherever you take it.\n" +
			"Guests' disks and Proxmox's own configuration are not in it. An external etcd is saved with its own tools. Run it as root on a node.\n" +
			"Restoring: hactl restore --help.",
		Example: "  hactl backup /var/backups/bascule-$(date +%F).tar.gz",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, args []string) error { return h.backup(cmd, file, args[0]) },
	}
	cmd.Flags().StringVar(&file, "config", config.DefaultPath, "basculed's configuration `FILE`")
	return cmd
}

func (h *hactl) backup(cmd *cobra.Command, file, to string) error {
	cfg, err := config.Load(file)
	if err != nil {
		return err
	}
	if !cmd.Flags().Changed("timeout") {
		h.timeout = api.SnapshotLimit
	}
	if to, err = filepath.Abs(to); err != nil {
		return err
	}
	c := backup.Contents{Manifest: backup.Manifest{Cluster: cfg.Cluster, Node: cfg.Node, Taken: time.Now().UTC().Truncate(time.Second), Version: version},
		Trees: append([]string{file}, cfg.Files()...)}
	if cfg.Role == config.RoleNode {
		c.Trees = append(c.Trees, filepath.Join(cfg.Proxmox.Root, "bascule"), filepath.Join(cfg.Proxmox.Root, "priv", "bascule"))
	}
	if !cfg.External() {
		// Beside the archive: a directory for everybody's temporary files may be small, and the copy is a secret.
		temp, err := os.CreateTemp(filepath.Dir(to), ".bascule-store-*") // mode 0600
		if err != nil {
			return err
		}
		defer os.Remove(temp.Name())
		err = h.ask(cmd.Context(), func(ctx context.Context, a *api.Client) error { return a.Snapshot(ctx, temp) })
		if cerr := temp.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return err
		}
		c.StoreFile = temp.Name()
	}
	m, err := backup.Write(to, c)
	if err != nil {
		return err
	}
	if done, err := h.structured(m, false); done || err != nil {
		return err
	}
	what := "the store and "
	if m.Store == "" {
		what = "WITHOUT the store (it is external) "
	}
	_, err = fmt.Fprintf(h.out, "%s: %s%d files of cluster %s. It holds the cluster's keys: mode 0600, keep it so.\n", to, what, len(m.Files), m.Cluster)
	return err
}
