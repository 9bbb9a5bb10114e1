package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"bascule/config"
	"bascule/ha/setup/doctor"
	"bascule/ha/storage"
)

const storageLookName = "storage-look"

// storageLook is the hidden subcommand in which one look at a storage is taken: a process of its own, because a storage that hangs takes
// whoever touches it along.
func storageLook() *cobra.Command {
	return &cobra.Command{Use: storageLookName, Hidden: true, DisableFlagParsing: true, Run: func(*cobra.Command, []string) {
		os.Exit(storage.RunChild(os.Stdin, os.Stdout))
	}}
}

// openStorages makes the looker of a real node. "/proc/self/exe" is this very binary, even after an upgrade has replaced its file.
func openStorages(cfg *config.Config) *storage.Looker {
	return storage.New(storage.Config{Node: cfg.Node, Cluster: cfg.Cluster, Child: []string{"/proc/self/exe", storageLookName}, Etc: cfg.Proxmox.Root})
}

// marksOf puts what looks wrote and find into the doctor's words.
func marksOf(l *storage.Looker) func(context.Context) []doctor.Marks {
	if l == nil {
		return nil
	}
	mark := func(m storage.Mark) doctor.Mark {
		return doctor.Mark{Cluster: m.Cluster, Node: m.Node, Life: m.Life, Count: m.Count, Unread: m.Unread}
	}
	return func(ctx context.Context) []doctor.Marks {
		var out []doctor.Marks
		for _, m := range l.Marks(ctx) {
			d := doctor.Marks{Storage: m.Storage, Problem: m.Problem}
			for _, w := range m.Wrote {
				own := mark(w.Mark)
				own.Age = w.Age
				d.Wrote = append(d.Wrote, own)
			}
			for _, f := range m.Found {
				d.Found = append(d.Found, mark(f))
			}
			out = append(out, d)
		}
		return out
	}
}
