package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"bascule/ha"
	"bascule/ha/api"
)

func newDrain(h *hactl) *cobra.Command {
	var wait bool
	var limit time.Duration
	cmd := &cobra.Command{
		Use:   "drain NODE",
		Short: "Move a node's guests away and keep new ones off it",
		Long: "Moves the guests of NODE away: VMs live, containers by stop, move and start. The node then is in\n" +
			"maintenance until hactl undrain. The drain goes on whether or not hactl waits for it.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("timeout") && !wait {
				return usagef("drain --timeout says how long --wait waits: give both")
			}
			return h.drain(cmd.Context(), args[0], wait, limit)
		},
	}
	h.nodeArg(cmd)
	cmd.Flags().BoolVarP(&wait, "wait", "w", false, "follow it until the node is in maintenance")
	// Takes the place of the global flag here, where a single answer's time-out is of little use.
	cmd.Flags().DurationVar(&limit, "timeout", 0, "with --wait: give up following after this time (0: never)")
	return cmd
}

func (h *hactl) drain(ctx context.Context, node string, wait bool, limit time.Duration) error {
	before, err := h.status(ctx)
	if err != nil {
		return err
	}
	a, err := h.request(ctx, ha.RequestDrain, node, false)
	if err != nil {
		return err
	}
	if !wait {
		if err := h.recorded(a, fmt.Sprintf("%s is to be drained; the leader carries it out. hactl drain %s --wait follows it.", node, node)); err != nil {
			return err
		}
		h.say(pinnedText(h.errs, before, node))
		return nil
	}
	h.say(pinnedText(h.errs, before, node))
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, errLimit)
		defer cancel()
	}
	return h.followDrain(ctx, node, before)
}

// errLimit is the cause of a wait's end by --timeout.
var errLimit = errors.New("the time given is over")

// followEvery is the pause between two looks at a drain.
const followEvery = 500 * time.Millisecond

// followDrain tells each change of the node's guests until the node is in maintenance.
func (h *hactl) followDrain(ctx context.Context, node string, before api.Status) error {
	f := newFollower(node, before)
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		s, err := h.status(ctx)
		switch {
		case ctx.Err() != nil:
			return h.drainLeft(ctx, node)
		case errors.Is(err, api.ErrNoAnswer):
			h.say(f.lost(h.errs))
		case err != nil:
			return err
		default:
			for _, line := range f.changes(h.out, s) {
				if err := h.progress(line); err != nil {
					return err
				}
			}
			if done, err := f.ended(s); err != nil {
				return err
			} else if done {
				h.drained(node, s)
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return h.drainLeft(ctx, node)
		case <-tick.C:
		}
	}
}

// progress prints one line of text, or its value as -o asks.
func (h *hactl) progress(l line) error {
	if done, err := h.structured(l, true); done {
		return err
	}
	_, err := io.WriteString(h.out, l.text)
	return err
}

func (h *hactl) say(text string) { io.WriteString(h.errs, text) }

// drainLeft says that the drain goes on without us.
func (h *hactl) drainLeft(ctx context.Context, node string) error {
	say := fmt.Sprintf("the drain of %s goes on: hactl drain %s --wait follows it again, hactl undrain %s takes it back", node, node, node)
	if errors.Is(context.Cause(ctx), errLimit) {
		return &exitError{exitDegraded, "not finished in the time given; " + say}
	}
	return &exitError{exitInterrupted, "interrupted; " + say}
}

// drained ends a followed drain.
func (h *hactl) drained(node string, s api.Status) {
	left := 0
	for _, g := range s.Guests {
		if string(g.Node) == node && g.State != ha.GuestUnprotected {
			left++
		}
	}
	if h.output != "text" {
		return
	}
	stay := "no protected guest is left on it"
	if left > 0 {
		stay = fmt.Sprintf("%d that do not run stay on it", left)
	}
	io.WriteString(h.out, h.out.wrapped("", fmt.Sprintf("%s is in maintenance; %s. When you are done: hactl undrain %s", node, stay, node)))
}
