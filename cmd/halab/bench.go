package main

import (
	"errors"
	"fmt"
	"slices"

	"bascule/tests/lab/bench"

	"github.com/spf13/cobra"
)

func newBenchFailover(d *dirFlag) *cobra.Command {
	p := bench.Plan{}
	var corosync string
	var kinds []string
	c := &cobra.Command{
		Use: "bench-failover", Short: "Measure failovers by power cuts", Args: cobra.NoArgs,
		Long: "bench-failover cuts the power of a node n times per kind of victim (a plain node, the leader, etcd's leader) and corosync\n" +
			"setting. The clock runs from the cut to the first line that each recovered guest writes on another node. It ends with a table,\n" +
			"a table of where the milliseconds went, beside the time that the same takes by hand on real Proxmox, and a line RESULT over all\n" +
			"recovered guests, in seconds; '-' stands for what was not measured. It fails on a double run or a lost guest.",
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if p.Corosync, err = corosyncSettings(corosync); err != nil {
				return err
			}
			if p.Kinds, err = victimKinds(kinds); err != nil {
				return err
			}
			if p.N < 1 {
				return fmt.Errorf("--n %d: at least one round is needed", p.N)
			}
			p.Lab.Dir, p.Out = d.dir, c.OutOrStdout()
			set, err := bench.Run(c.Context(), p)
			for _, text := range set.DoubleTexts {
				say(p.Out, "DOUBLE RUN: %s", text)
			}
			say(p.Out, "%s", set.Table())
			say(p.Out, "%s", set.Phases())
			say(p.Out, "%s", set.Result())
			if err == nil && set.DoubleRuns+set.Lost() > 0 {
				err = errors.New("guests ran twice or not at all: see above")
			}
			return err
		},
	}
	labFlags(c, &p.Lab)
	c.Flags().IntVar(&p.N, "n", 20, "power cuts per kind of victim and corosync setting")
	c.Flags().StringVar(&corosync, "corosync", "both", "default, tuned or both")
	c.Flags().StringSliceVar(&kinds, "kinds", []string{"plain", "leader", "raft"}, "which victims")
	c.Flags().Uint64Var(&p.Seed, "seed", 1, "of the moments of the cuts")
	return c
}

func corosyncSettings(text string) ([]string, error) {
	switch text {
	case "both":
		return []string{"default", "tuned"}, nil
	case "default", "tuned":
		return []string{text}, nil
	}
	return nil, fmt.Errorf("--corosync %q: write default, tuned or both", text)
}

func victimKinds(names []string) ([]bench.Kind, error) {
	var out []bench.Kind
	for _, name := range names {
		if !slices.Contains(bench.Kinds, bench.Kind(name)) {
			return nil, fmt.Errorf("--kinds %q: choose from %v", name, bench.Kinds)
		}
		out = append(out, bench.Kind(name))
	}
	return out, nil
}
