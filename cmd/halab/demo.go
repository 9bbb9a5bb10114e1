package main

import (
	"context"
	"errors"
	"time"

	"bascule/tests/lab"
	"bascule/tests/lab/bench"

	"github.com/spf13/cobra"
)

func newDemo(d *dirFlag) *cobra.Command {
	var o lab.Options
	var keep bool
	c := &cobra.Command{
		Use: "demo", Short: "Show a failover from power cut to running guests", Args: cobra.NoArgs,
		Long: "demo starts a lab, cuts the power of the node that runs most guests, shows what happens when, drains a node, and takes the lab\n" +
			"down. With --fencing sbd it cuts that node's network instead: it lives to read its message. The demo succeeds only if the proof is\n" +
			"that of the chosen fencing and no guest runs before it may exist (W, msgwait), if every guest was away for less than 90 s, and if\n" +
			"every guest runs exactly once at the end.",
		RunE: func(c *cobra.Command, _ []string) (err error) {
			o.Dir = d.dir
			out, start := c.OutOrStdout(), time.Now()
			o.Progress = func(line string) { say(out, "%5.1f s  %s", time.Since(start).Seconds(), line) }
			l, err := lab.Up(c.Context(), o)
			if err != nil {
				return err
			}
			defer func() {
				// After a failure the logs are worth more than a clean directory.
				err = errors.Join(err, l.Down(context.WithoutCancel(c.Context()), keep || err != nil))
				if err == nil {
					say(out, "the lab is down")
				}
			}()
			return bench.Demo(c.Context(), l, out)
		},
	}
	labFlags(c, &o)
	c.Flags().StringVar(&o.Corosync, "corosync", "default", "how long /etc/pve blocks when a node dies: default 8 s, tuned 2.2 s")
	c.Flags().BoolVar(&keep, "keep", false, "keep the directory")
	return c
}
