package main

import (
	"bascule/tests/lab"

	"github.com/spf13/cobra"
)

func newStorage(d *dirFlag) *cobra.Command {
	return &cobra.Command{
		Use: "storage NODE NAME fail|hang|slow|apart|heal", Short: "Make a storage give one node errors, no answer, or a slow one", Args: cobra.ExactArgs(3),
		Long: "storage changes how NODE reaches the storage NAME: with fail its basculed reads errors there and its Proxmox calls it inactive; with hang\n" +
			"reads give no answer, and Proxmox notices nothing; with slow each look takes 3 s of the 5 that it may; with apart the node has another storage\n" +
			"under that name; heal puts it right. The node's guests go on writing: what is shown is what Bascule does.",
		RunE: func(c *cobra.Command, args []string) error {
			return d.do(c, "storage", lab.Command{Node: args[0], Store: args[1], Fault: args[2]})
		},
	}
}
