package main

import (
	"strings"

	"bascule/tests/lab"

	"github.com/spf13/cobra"
)

func newSignal(d *dirFlag) *cobra.Command {
	return &cobra.Command{
		Use: "signal NODE guard|basculed SIGNAL", Short: "Send a signal to a node's guard or basculed", Args: cobra.ExactArgs(3),
		Long: "signal sends STOP, CONT, KILL, TERM … to one process of the lab. One that ends is started again after a second, as systemd would.",
		RunE: func(c *cobra.Command, args []string) error {
			name := strings.TrimPrefix(strings.ToUpper(args[2]), "SIG")
			return d.do(c, "signal", lab.Command{Node: args[0], Role: args[1], Signal: name})
		},
	}
}
