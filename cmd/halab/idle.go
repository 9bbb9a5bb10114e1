package main

import (
	"context"
	"errors"
	"time"

	"bascule/tests/lab"
	"bascule/tests/lab/bench"

	"github.com/spf13/cobra"
)

func newIdle(d *dirFlag) *cobra.Command {
	var o lab.Options
	var wait, settle time.Duration
	c := &cobra.Command{
		Use: "idle", Short: "Measure what an idle cluster costs", Args: cobra.NoArgs,
		Long: "idle starts a lab, lets it settle, leaves it alone, and prints memory, CPU, disk writes of every daemon and the store's writes per\n" +
			"second, which should be none: renewing a lease is no write.",
		RunE: func(c *cobra.Command, _ []string) (err error) {
			o.Dir = d.dir
			out := c.OutOrStdout()
			l, err := lab.Up(c.Context(), o)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, l.Down(context.WithoutCancel(c.Context()), err != nil)) }()
			select {
			case <-c.Context().Done():
				return c.Context().Err()
			case <-time.After(settle):
			}
			return bench.Idle(c.Context(), l, wait, out)
		},
	}
	labFlags(c, &o)
	c.Flags().DurationVar(&wait, "for", time.Minute, "how long to look")
	c.Flags().DurationVar(&settle, "settle", 20*time.Second, "how long to wait before")
	return c
}
