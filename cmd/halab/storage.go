package main

import (
	"bascule/tests/lab"

	"github.com/spf13/cobra"
)

func newStorage(d *dirFlag) *cobra.Command {
	return &cobra.Command{
		Use: "storage NODE NAME fail|hang|heal", Short: "Make a storage give one node errors, or no answer", Args: cobra.ExactArgs(3),
		Long: "storage changes how NODE reaches the storage NAME: with fail its basculed reads errors there and its Proxmox calls it inactive; with hang\n" +
			"reads give no answer, and Proxmox notices nothing; heal puts it right. The node's guests go on writing: what is shown is what Bascule does.",
		RunE: func(c *cobra.Command, args []string) error {
			return d.do(c, "storage", lab.Command{Node: args[0], Store: args[1], Fault: args[2]})
		},
	}
}
