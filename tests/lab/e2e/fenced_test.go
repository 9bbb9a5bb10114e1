//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"bascule/tests/lab"
	"bascule/tests/lab/bench"
)

// A node whose guard ended its guests in time is proven by that and lives on. When its daemon comes back, the proof still
// stands: its guests that found no place yet belong to whoever gets them, never to it.
func TestFencedNodeRunsNothing(t *testing.T) {
	for _, c := range []struct {
		name     string
		together bool
	}{{"before there is a place", false}, {"as there is a place", true}} {
		t.Run(c.name, func(t *testing.T) { fencedNodeReturns(t, c.together) })
	}
}

// fencedNodeReturns lets the daemon of a proven node go on, and gives the guests that wait a place elsewhere: then, or in the
// same moment.
func fencedNodeReturns(t *testing.T, together bool) {
	b := up(t, lab.Options{Nodes: 4, Guests: 18})
	leader, _ := b.leader()
	spare := b.plain()
	victim := b.plain(spare)
	asked := b.other(victim, spare)
	if text, code := b.hactl(asked, "drain", spare, "--wait", "--timeout", "2m"); code != 0 {
		t.Fatalf("hactl drain ends with %d:\n%s", code, text)
	}
	guests := b.guestsOn(victim)
	t.Logf("%s leads, %s is drained, %s runs %v", leader, spare, victim, guests)

	stopped := time.Now()
	b.must(b.Signal(b.ctx, victim, "basculed", "STOP"))
	var waiting []int
	b.within(60*time.Second, "guests of a proven "+victim+" wait for a place", func(ctx context.Context) error {
		s, err := b.DaemonStatus(ctx, asked)
		if err != nil {
			return err
		}
		waiting = nil
		for _, id := range guests {
			state, _ := s.GuestState(id)
			if state == "recovery" {
				waiting = append(waiting, id)
			} else if state != "started" {
				return fmt.Errorf("guest %d is %s", id, state)
			}
		}
		if s.NodeState(victim) != "fenced" || len(waiting) == 0 {
			return fmt.Errorf("%s is %s; waiting: %v", victim, s.NodeState(victim), waiting)
		}
		return nil
	})
	t.Logf("%s is fenced after %.2f s (%s); no place for %v", victim, time.Since(stopped).Seconds(), b.proofOf(victim, stopped), waiting)
	if b.powerless(victim) {
		t.Fatalf("%s has no power: this test is about a node that lives on", victim)
	}

	continued := time.Now()
	if together {
		var wg sync.WaitGroup
		wg.Go(func() { b.undrain(asked, spare) })
		b.must(b.Signal(b.ctx, victim, "basculed", "CONT"))
		wg.Wait()
	} else {
		b.must(b.Signal(b.ctx, victim, "basculed", "CONT"))
		b.mustRunNothing(asked, victim, waiting, continued)
		b.undrain(asked, spare) // who runs one of these guests meanwhile, runs it twice now
	}
	pause(b.ctx, 3*time.Second) // for whoever runs one twice to write it down
	b.within(60*time.Second, "every guest runs once", b.runOnce(b.Options.GuestIDs()))
	b.throughout(5*time.Second, "every guest runs once", b.runOnce(b.Options.GuestIDs()))
	b.healthyOrStuck(victim, 30*time.Second)
}

// undrain gives a drained node back. It may be called beside the test, so it does not end it.
func (b *bed) undrain(asked, node string) {
	if text, err := bench.Hactl(b.ctx, b.Lab, asked, "undrain", node); err != nil {
		b.t.Errorf("hactl undrain: %v\n%s", err, text)
	}
}

// mustRunNothing checks that a node that is still fenced starts none of the guests. One that was let back in may.
func (b *bed) mustRunNothing(asked, victim string, guests []int, continued time.Time) {
	b.t.Helper()
	stray := b.strays(victim, guests, 10*time.Second)
	s, err := b.DaemonStatus(b.ctx, asked)
	if err == nil && s.NodeState(victim) != "fenced" {
		return
	}
	for _, id := range stray {
		b.t.Errorf("guest %d runs on %s, which is fenced, %.2f s after its daemon came back (%v)", id, victim, time.Since(continued).Seconds(), err)
	}
}

// strays waits a while for guests to run on a node, and lists those that do.
func (b *bed) strays(node string, guests []int, limit time.Duration) []int {
	b.t.Helper()
	for end := time.Now().Add(limit); time.Now().Before(end); pause(b.ctx, 50*time.Millisecond) {
		if on := b.guestsOn(node); slices.ContainsFunc(guests, func(id int) bool { return slices.Contains(on, id) }) {
			return on
		}
	}
	return nil
}
