package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"bascule/ha/api"
)

// versions is what hactl version answers.
type versions struct {
	Hactl    string           `json:"hactl"`
	Basculed *api.VersionInfo `json:"basculed,omitempty"`
}

func newVersion(h *hactl) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the versions of hactl and of the basculed that it talks to",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := versions{Hactl: version}
			asked := h.ask(cmd.Context(), func(ctx context.Context, c *api.Client) error {
				info, err := c.Version(ctx)
				if err == nil {
					v.Basculed = &info
				}
				return err
			})
			done, err := h.structured(v, false)
			if !done {
				_, err = fmt.Fprintf(h.out, "hactl    %s\n", v.Hactl)
				if v.Basculed != nil {
					_, err = fmt.Fprintf(h.out, "basculed %s on %s (cluster %s, %s)\n", v.Basculed.Version, v.Basculed.Node, v.Basculed.Cluster, v.Basculed.Role)
				}
			}
			if asked != nil {
				return asked
			}
			return err
		},
	}
}
