package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/etcd"
)

// restoreStore is what hactl restore runs: it makes this voter's data directory from a copy of the store, while no daemon runs.
func restoreStore(file *string) *cobra.Command {
	var voters []string
	times := 1
	c := &cobra.Command{Use: "restore-store SNAPSHOT", Short: "Make this voter's data from a copy of the store (hactl restore calls it)", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := config.Load(*file)
			if err != nil {
				return err
			}
			return restore(cmd.OutOrStdout(), cfg, args[0], voters, times)
		}}
	c.Flags().StringSliceVar(&voters, "voters", nil, "who forms the new store; all voters of the configuration when empty")
	c.Flags().IntVar(&times, "times", 1, "how often this copy is restored")
	return c
}

func restore(w io.Writer, cfg *config.Config, snapshot string, voters []string, times int) error {
	if c, err := net.DialTimeout("unix", cfg.API.Socket, time.Second); err == nil {
		c.Close()
		return errors.New("basculed runs here: stop it on every member first (systemctl stop basculed)")
	}
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	r := etcd.Restore{Config: storeConfig(cfg, quiet), Snapshot: snapshot, Times: times}
	for _, v := range voters {
		r.Voters = append(r.Voters, ha.NodeName(v))
	}
	done, err := etcd.RestoreVoter(r)
	if err != nil {
		return err
	}
	var names []string
	for _, v := range done.Voters {
		names = append(names, string(v))
	}
	if done.Epoch == 0 {
		fmt.Fprintf(w, "%s is none of the new store's voters (%s): nothing is restored here\n", cfg.Node, strings.Join(names, " "))
	} else {
		fmt.Fprintf(w, "restored on %s: epoch %d, revision %d, voters %s\n", cfg.Node, done.Epoch, done.Revision, strings.Join(names, " "))
	}
	if done.SetAside != "" {
		fmt.Fprintf(w, "the former data are in %s\n", done.SetAside)
	}
	return nil
}
