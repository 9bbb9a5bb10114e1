package main

import (
	"fmt"
	"io"
	"time"

	"bascule/tests/lab"

	"github.com/spf13/cobra"
)

func newCheck(d *dirFlag) *cobra.Command {
	var since string
	var gap time.Duration
	c := &cobra.Command{
		Use: "check", Short: "Was any guest ever able to write in two places?", Args: cobra.NoArgs,
		Long: "check reads the lines that every guest wrote to the shared storage: who wrote from when to when, the times in which nobody\n" +
			"wrote, and DOUBLE RUNS, where an earlier writer wrote after a later one had begun. It exits with 1 if there is one.",
		RunE: func(c *cobra.Command, _ []string) error {
			from, err := parseSince(since, time.Now())
			if err != nil {
				return err
			}
			l, err := lab.OpenOffline(d.dir)
			if err != nil {
				return err
			}
			reports, err := l.Check(from, gap)
			if err != nil {
				return err
			}
			if doubles := printReports(c.OutOrStdout(), reports); doubles > 0 {
				return errSaid
			}
			return nil
		},
	}
	c.Flags().StringVar(&since, "since", "", "only lines from this moment on: a duration ago (10m) or a time (2026-01-31T10:00:00Z)")
	c.Flags().DurationVar(&gap, "gap", time.Second, "report gaps from this length on")
	return c
}

// parseSince reads a moment: a duration before now, or a time. Empty is the beginning.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(-d), nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return at, fmt.Errorf("--since %q: write a duration such as 10m, or a time such as 2026-01-31T10:00:00Z", text)
	}
	return at, nil
}

// printReports prints who wrote when, and returns the number of double runs.
func printReports(out io.Writer, reports []lab.Report) int {
	const clock = "15:04:05.000"
	doubles, damaged := 0, 0
	for _, r := range reports {
		say(out, "guest %d", r.VMID)
		for _, s := range r.Stints {
			say(out, "  %s to %s  %s (boot %.8s, generation %d), %d lines", s.First.Format(clock), s.Last.Format(clock), s.Node, s.Incarnation, s.Generation, s.Lines)
		}
		for _, g := range r.Gaps {
			say(out, "  gap of %.2f s from %s, %s to %s", g.Length().Seconds(), g.From.Format(clock), g.Before, g.After)
		}
		for _, d := range r.Doubles {
			say(out, "  DOUBLE RUN: %s", d)
		}
		doubles += len(r.Doubles)
		damaged += r.Damaged
	}
	if damaged > 0 {
		say(out, "%d lines are damaged and were left out", damaged)
	}
	if doubles > 0 {
		say(out, "%d DOUBLE RUNS", doubles)
	} else {
		say(out, "no double run among %d guests", len(reports))
	}
	return doubles
}
