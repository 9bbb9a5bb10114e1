package main

import (
	"os"

	"github.com/spf13/cobra"

	"bascule/config"
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
	return storage.New(storage.Config{Node: cfg.Node, Child: []string{"/proc/self/exe", storageLookName}, Etc: cfg.Proxmox.Root})
}
