package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"bascule/ha/api"
)

func newEvents(h *hactl) *cobra.Command {
	var follow bool
	var n int
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Show what happened and why, oldest first",
		Args:  usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if n < 1 {
				return usagef("-n %d: must be above 0", n)
			}
			q := api.EventQuery{Tail: n}
			if follow {
				return h.followEvents(cmd.Context(), q)
			}
			return h.listEvents(cmd.Context(), q)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with each new one until interrupted")
	cmd.Flags().IntVarP(&n, "number", "n", 50, "begin with the last `N`")
	return cmd
}

func (h *hactl) listEvents(ctx context.Context, q api.EventQuery) error {
	var evs []api.StoredEvent
	err := h.ask(ctx, func(ctx context.Context, c *api.Client) (err error) {
		evs, err = c.Events(ctx, q)
		return err
	})
	if err != nil {
		return err
	}
	if done, err := h.structured(evs, false); done {
		return err
	}
	if len(evs) == 0 {
		fmt.Fprintln(h.out, "No events yet.")
	}
	for _, e := range evs {
		if _, err := io.WriteString(h.out, eventText(h.out, e)); err != nil {
			return err
		}
	}
	return nil
}

func (h *hactl) followEvents(ctx context.Context, q api.EventQuery) error {
	c, err := h.client()
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Follow(ctx, q, func(l api.EventLine) error {
		if l.StoredEvent == nil {
			h.errs.complain(l.Notice, "")
			return nil
		}
		if done, err := h.structured(l.StoredEvent, true); done {
			return err
		}
		_, err := io.WriteString(h.out, eventText(h.out, *l.StoredEvent))
		return err
	})
}

// eventText is one event: local time, subject, the change, and the reason wrapped beside it or below.
func eventText(s *screen, e api.StoredEvent) string {
	change := e.To
	if e.From != "" && e.From != e.To {
		change = e.From + " → " + e.To
	}
	first := fmt.Sprintf("%s  %s  %s  ", s.dim(e.At.Local().Format(time.DateTime)), s.bold(fmt.Sprintf("%-10s", e.Subject)), s.paint(fmt.Sprintf("%-22s", change), eventColour(e)...))
	return s.row(first, e.Reason)
}
