package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"bascule/config"
	"bascule/ha/setup/backup"
)

// restoring is one run of hactl restore.
type restoring struct {
	*hactl
	config, basculed string
	voters           []string
	times            int
	yes              bool
}

func newRestore(h *hactl) *cobra.Command {
	r := &restoring{hactl: h}
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Begin anew with the store of a backup (the embedded store, offline, on every member)",
		Long: "restore puts the store of a backup in the place of this voter's. Everything that the store has learnt since the backup is lost; the voter's\n" +
			"former data are set aside. Use it only when a majority of voters is lost for good, or the store itself is damaged.\n" +
			"docs/operate.md, \"The majority is lost\", has all steps. In short: stop basculed on EVERY member, run the same command with the same file on\n" +
			"EVERY member (never start one with its former data), start basculed everywhere. All guests are frozen until every member has reported, or\n" +
			"is proven off (hactl confirm-off); then each is assigned anew where it runs, or where its configuration lies.\n" +
			"Only the store is restored. Configuration and keys: tar -xzf FILE -C / etc/bascule (see docs/operate.md).",
		Example: "  hactl restore /var/backups/bascule-2026-11-22.tar.gz",
		Args:    usageArgs(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, args []string) error { return r.run(cmd, args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&r.config, "config", config.DefaultPath, "basculed's configuration `FILE`")
	f.StringVar(&r.basculed, "basculed", "basculed", "`PROGRAM` that makes the data")
	f.StringSliceVar(&r.voters, "voters", nil, "only these `NODES` form the new store, others are let in later (hactl etcd add); the same on each")
	f.IntVar(&r.times, "again", 1, "how often this file has been restored, this time included; the same on each member")
	f.BoolVar(&r.yes, "yes", false, "do not ask")
	return cmd
}

func (r *restoring) run(cmd *cobra.Command, file string) error {
	if r.times < 1 {
		return usagef("--again %d: 1 is the first time, 2 the second", r.times)
	}
	cfg, err := config.Load(r.config)
	if err != nil {
		return err
	}
	m, err := backup.Read(file, "")
	if err != nil {
		return err
	}
	switch {
	case m.Cluster != cfg.Cluster:
		return &exitError{exitDegraded, fmt.Sprintf("not restored: the backup is of cluster %s, this machine belongs to %s", m.Cluster, cfg.Cluster)}
	case m.Store == "":
		return &exitError{exitDegraded, "not restored: the backup holds no store, because an external etcd keeps it: restore that with its own tools"}
	}
	fmt.Fprintf(r.errs, "Backup of cluster %s, taken on %s at %s. What the store has learnt since is lost, and every guest will be frozen until all members have reported.\n",
		m.Cluster, m.Node, m.Taken.Format("2006-01-02 15:04:05 MST"))
	if err := r.confirm(cmd.Context(), r.yes, "basculed is stopped on EVERY member, and each gets this same file? Type the cluster's name: ", m.Cluster); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(cfg.DataDir, ".restore-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	store := filepath.Join(dir, "store.db")
	if _, err := backup.Read(file, store); err != nil {
		return err
	}
	args := []string{"restore-store", "--config", r.config, "--times", strconv.Itoa(r.times), store}
	if len(r.voters) > 0 {
		args = append(args, "--voters", strings.Join(r.voters, ","))
	}
	c := exec.CommandContext(cmd.Context(), r.basculed, args...)
	c.Stdout, c.Stderr = r.out, r.errs
	if err := c.Run(); err != nil {
		return &exitError{exitDegraded, fmt.Sprintf("not restored: %s: %v", r.basculed, err)}
	}
	_, err = fmt.Fprintln(r.out, "next: the same on every other member; then systemctl start basculed on every member; then hactl status")
	return err
}
