package main

import (
	"os"

	"github.com/spf13/cobra"

	"bascule/fencing"
	"bascule/fencing/methods"
)

const fenceDeviceName = "fence-device"

// fenceDevice is the hidden subcommand in which one switching command is sent: a process of its own that the kernel kills at the
// leader's deadline (R4).
func fenceDevice() *cobra.Command {
	return &cobra.Command{Use: fenceDeviceName, Hidden: true, DisableFlagParsing: true, Run: func(_ *cobra.Command, args []string) {
		os.Exit(fencing.RunChild(args, os.Stdin, os.Stdout, methods.All()))
	}}
}
