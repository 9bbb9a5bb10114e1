package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/pve"
	"bascule/ha/storage"
)

// forgetTime bounds the work on one storage; one that hangs keeps what is on it.
const forgetTime = 10 * time.Second

func forgetStorages(file *string) *cobra.Command {
	var all bool
	c := &cobra.Command{Use: "forget-storages", Short: "Remove what this node's looks wrote on the storages", Args: cobra.NoArgs,
		Long: "Looks write .bascule/look-NODE on storages with a directory. This removes this node's, and the directory when nothing else is in it.\n" +
			"With --all: those of every node of this cluster, when the cluster ends. A storage that does not answer is named and left. hactl reset does it.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return forgetOn(cmd.Context(), cmd.OutOrStdout(), *file, all)
		}}
	c.Flags().BoolVar(&all, "all", false, "of every node of this cluster")
	return c
}

// forgetOn is forget-storages. A storage that cannot be reached is no reason to stop taking a node down.
func forgetOn(ctx context.Context, w io.Writer, file string, all bool) error {
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil // not set up: nothing was written
	}
	at, err := config.LoadPlaces(file)
	if err != nil || at.Role == config.RoleWitness {
		return err
	}
	text, err := openTree(at.Proxmox).ReadFile(ctx, "storage.cfg")
	if err != nil {
		fmt.Fprintf(w, "the storages are not known (%v): what looks wrote there (.bascule) stays\n", err)
		return nil
	}
	l := storage.New(storage.Config{Node: at.Node, Cluster: at.Cluster, Child: []string{"/proc/self/exe", storageLookName}, Etc: at.Proxmox.Root})
	var places []ha.StoragePlace
	for _, s := range pve.ParseStorages(text) {
		if s.On(at.Node) && s.Path() != "" {
			places = append(places, s.Place())
		}
	}
	failed := make([]error, len(places))
	var work sync.WaitGroup
	for i, p := range places {
		work.Go(func() {
			c, cancel := context.WithTimeout(ctx, forgetTime)
			defer cancel()
			failed[i] = l.Forget(c, p, all)
		})
	}
	work.Wait()
	for i, p := range places {
		if failed[i] != nil {
			fmt.Fprintf(w, "storage %s: %v; what looks wrote there stays: %s/.bascule\n", p.Name, failed[i], p.Path)
		}
	}
	return nil
}
