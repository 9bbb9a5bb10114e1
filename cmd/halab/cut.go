package main

import (
	"bascule/tests/lab"

	"github.com/spf13/cobra"
)

func newCut(d *dirFlag) *cobra.Command {
	var command lab.Command
	c := &cobra.Command{
		Use: "cut NODE", Short: "Cut a node off from the cluster network", Args: cobra.ExactArgs(1),
		Long: "cut makes packets vanish between NODE and all others, or one other (--from). With --one-way NODE hears nothing, but what it\n" +
			"says still arrives. The management network, on which the BMCs are, is another one and stays.",
		RunE: func(c *cobra.Command, args []string) error {
			command.Node = args[0]
			return d.do(c, "cut", command)
		},
	}
	c.Flags().StringVar(&command.From, "from", "", "only the link to this node")
	c.Flags().BoolVar(&command.OneWay, "one-way", false, "only what NODE hears")
	return c
}

// do sends a command to the world and prints what it says.
func (d *dirFlag) do(c *cobra.Command, operation string, command lab.Command) error {
	l, err := d.open()
	if err != nil {
		return err
	}
	done, err := l.Do(c.Context(), operation, command)
	if err != nil {
		return err
	}
	say(c.OutOrStdout(), "%s  %s", done.At.Format("15:04:05.000"), done.Detail)
	return nil
}
