package main

import (
	"bascule/tests/lab"

	"github.com/spf13/cobra"
)

func newHeal(d *dirFlag) *cobra.Command {
	var command lab.Command
	c := &cobra.Command{
		Use: "heal NODE", Short: "Undo what cut and link did to a node", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			command.Node = args[0]
			return d.do(c, "heal", command)
		},
	}
	c.Flags().StringVar(&command.From, "from", "", "only the link to this node")
	return c
}
