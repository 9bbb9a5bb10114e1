package main

import "github.com/spf13/cobra"

func newPowerOn(d *dirFlag) *cobra.Command {
	return &cobra.Command{
		Use: "power-on NODE…", Short: "Give nodes their power back", Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, nodes []string) error {
			l, err := d.open()
			if err != nil {
				return err
			}
			for _, node := range nodes {
				if err := l.PowerOn(c.Context(), node); err != nil {
					return err
				}
				say(c.OutOrStdout(), "%s has power; it boots in %s", node, l.Options.BootTime)
			}
			return nil
		},
	}
}
