package main

import (
	"fmt"
	"slices"
	"time"

	"bascule/tests/lab/bench"

	"github.com/spf13/cobra"
)

func newBenchLoad(d *dirFlag) *cobra.Command {
	b := bench.Load{}
	var kind string
	c := &cobra.Command{
		Use: "bench-load", Short: "Measure a big cluster: idle, and when a node dies", Args: cobra.NoArgs,
		Long: "bench-load starts a big lab, waits until every guest runs, prints what the idle cluster costs, cuts the power of one node and\n" +
			"measures how its guests come back, while those of all others must go on. With --pile it is the last node, which has the pile; else\n" +
			"one of the --kind. It ends with a line RESULT, in seconds, and fails on a double run, a lost guest, or one of another node that was\n" +
			"disturbed.",
		RunE: func(c *cobra.Command, _ []string) error {
			if b.Kind = bench.Kind(kind); !slices.Contains(bench.Kinds, b.Kind) {
				return fmt.Errorf("--kind %q: choose from %v", kind, bench.Kinds)
			}
			b.Lab.Dir, b.Out = d.dir, c.OutOrStdout()
			return b.Run(c.Context())
		},
	}
	labFlags(c, &b.Lab)
	c.Flags().Lookup("nodes").DefValue, c.Flags().Lookup("guests").DefValue = "32", "500"
	b.Lab.Nodes, b.Lab.Guests = 32, 500
	c.Flags().StringVar(&b.Lab.Corosync, "corosync", "tuned", "how long /etc/pve blocks when a node dies: default 8 s, tuned 2.2 s")
	c.Flags().DurationVar(&b.Lab.GuestTick, "guest-tick", time.Second, "how often a guest writes its line")
	c.Flags().DurationVar(&b.Lab.Stagger, "stagger", 0, "switch the nodes on so long after each other: two cores cannot boot 32 at once")
	c.Flags().DurationVar(&b.Lab.StartTimeout, "start-timeout", 10*time.Minute, "give up the start after this time")
	c.Flags().DurationVar(&b.Idle, "idle", 30*time.Second, "how long to look at the idle cluster; 0: not at all")
	c.Flags().StringVar(&kind, "kind", "plain", "which victim, without a pile")
	return c
}
