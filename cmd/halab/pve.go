package main

import (
	"bascule/tests/lab"

	"github.com/spf13/cobra"
)

func newPVE(d *dirFlag) *cobra.Command {
	return &cobra.Command{
		Use: "pve NODE freeze|weak-token|clear", Short: "Make a node's Proxmox API hang, or take a privilege from its token", Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			return d.do(c, "pve", lab.Command{Node: args[0], Fault: args[1]})
		},
	}
}
