package main

import "github.com/spf13/cobra"

func newKill(d *dirFlag) *cobra.Command {
	return &cobra.Command{
		Use: "kill NODE…", Short: "Cut the power of nodes", Args: cobra.MinimumNArgs(1),
		Long: "kill cuts the power of nodes: all their processes die at once, and nobody hears of it. It prints the moment of each cut.",
		RunE: func(c *cobra.Command, nodes []string) error {
			l, err := d.open()
			if err != nil {
				return err
			}
			for _, node := range nodes {
				at, err := l.Kill(c.Context(), node)
				if err != nil {
					return err
				}
				say(c.OutOrStdout(), "%s  %s lost its power (unix time %.3f)", at.Format("15:04:05.000"), node, float64(at.UnixMilli())/1000)
			}
			return nil
		},
	}
}
