package main

import (
	"bascule/tests/lab"

	"github.com/spf13/cobra"
)

func newDown(d *dirFlag) *cobra.Command {
	var keep bool
	c := &cobra.Command{
		Use: "down", Short: "End a lab and remove its directory", Args: cobra.NoArgs,
		Long: "down ends everything that the lab started, by process number, and verifies that nothing is left. It also cleans up after a\n" +
			"lab whose world has died.",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := lab.Clean(c.Context(), d.dir, keep); err != nil {
				return err
			}
			if keep {
				say(c.OutOrStdout(), "the lab is down; %s is kept", d.dir)
			} else {
				say(c.OutOrStdout(), "the lab is down and %s removed", d.dir)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&keep, "keep", false, "keep the directory with logs and guests' lines")
	return c
}
