package main

import (
	"bascule/tests/lab"

	"github.com/spf13/cobra"
)

// newWorld is the process behind a lab. `halab up` starts it.
func newWorld(d *dirFlag) *cobra.Command {
	return &cobra.Command{
		Use: "world", Hidden: true, Args: cobra.NoArgs,
		Short: "Be the world of a lab (started by halab up)",
		RunE:  func(*cobra.Command, []string) error { return lab.Run(d.dir) },
	}
}
