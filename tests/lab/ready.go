package lab

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// pollEvery is how often a condition of the lab is looked at.
const pollEvery = 100 * time.Millisecond

// Ready returns nil when every machine's basculed knows a leader and sees all nodes online; otherwise what is missing.
func (l *Lab) Ready(ctx context.Context) error {
	for _, name := range l.Machines() {
		s, err := l.DaemonStatus(ctx, name)
		if err != nil {
			return err
		}
		if s.Leader == "" {
			return fmt.Errorf("basculed of %s knows no leader", name)
		}
		for _, other := range l.Names() {
			if state := s.NodeState(other); state != "online" {
				return fmt.Errorf("basculed of %s sees %s as %q, not online", name, other, state)
			}
		}
	}
	return nil
}

// Fenceable returns nil when every node's device and watchdog could prove it off now, were it to die; otherwise what is missing.
func (l *Lab) Fenceable(ctx context.Context) error {
	s, err := l.DaemonStatus(ctx, l.Names()[0])
	if err != nil {
		return err
	}
	devices := 1
	if l.Options.Fencing == Watchdog {
		devices = 0
	}
	for _, n := range s.Nodes {
		if n.Witness {
			continue
		}
		if len(n.Power) != devices {
			return fmt.Errorf("%s has %d fencing devices", n.Name, len(n.Power))
		}
		for _, d := range n.Power {
			if !d.Ready {
				return fmt.Errorf("the fencing device %s of %s is not ready: %s", d.Device, n.Name, d.Problem)
			}
		}
		if armed := l.Options.Watchdog != "none"; n.Armed != armed {
			return fmt.Errorf("the watchdog of %s is armed: %t", n.Name, n.Armed)
		}
	}
	return nil
}

// late is by how much a running guest's next line may be late.
const late = 1300 * time.Millisecond

// Healthy returns nil when the lab is Ready and every protected guest is started, and really running where the leader
// says; otherwise what is missing.
func (l *Lab) Healthy(ctx context.Context) error {
	if err := l.Ready(ctx); err != nil {
		return err
	}
	s, err := l.DaemonStatus(ctx, l.Names()[0])
	if err != nil {
		return err
	}
	for _, id := range l.Options.GuestIDs() {
		state, node := s.GuestState(id)
		if state != "started" {
			return fmt.Errorf("guest %d is %q, not started", id, state)
		}
		line, ok, err := l.LastLine(id)
		if err != nil {
			return err
		}
		if !ok || time.Since(line.At) > l.Options.GuestTick+late || line.Node != node {
			return fmt.Errorf("guest %d is said to be started on %s, but its last line is %s old and from %q", id, node, time.Since(line.At).Round(time.Millisecond), line.Node)
		}
	}
	return nil
}

// Await calls a condition until it returns nil. When the context ends first it returns what the condition said last.
func Await(ctx context.Context, what string, condition func(context.Context) error) error {
	for {
		err := condition(ctx)
		if err == nil {
			return nil
		}
		if !pause(ctx, pollEvery) {
			if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
				return fmt.Errorf("waiting until %s: %w", what, ctx.Err())
			}
			return fmt.Errorf("waiting until %s: %w; last seen: %s", what, ctx.Err(), strings.TrimSpace(err.Error()))
		}
	}
}
