package main

import (
	"bascule/tests/lab"

	"github.com/spf13/cobra"
)

func newLink(d *dirFlag) *cobra.Command {
	var command lab.Command
	c := &cobra.Command{
		Use: "link FROM TO", Short: "Make datagrams of one direction late or lossy", Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			command.From, command.Node = args[0], args[1]
			return d.do(c, "link", command)
		},
	}
	c.Flags().DurationVar(&command.Delay, "delay", 0, "delay of each datagram")
	c.Flags().Float64Var(&command.Loss, "loss", 0, "share of datagrams that are lost, 0 to 1")
	return c
}
