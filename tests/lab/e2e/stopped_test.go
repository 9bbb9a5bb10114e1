//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"regexp"
	"testing"
	"time"

	"bascule/tests/lab"
)

func TestStoppedLeaderDoesNothingOld(t *testing.T) {
	b := up(t, lab.Options{})
	old, oldTerm := b.leader()
	own := b.guestsOn(old)
	log := b.logFrom(old, "basculed")
	b.must(b.Signal(b.ctx, old, "basculed", "STOP"))
	stopped := time.Now()
	t.Logf("%s led in term %d and ran %v; its basculed is stopped", old, oldTerm, own)

	var next string
	var term int64
	took := b.within(15*time.Second, "another node leads in a higher term", func(ctx context.Context) error {
		for _, n := range b.Names() {
			if n == old {
				continue
			}
			s, err := b.status(ctx, n)
			if err == nil && string(s.Leader) != old && s.Leader != "" && int64(s.Term) > oldTerm {
				next, term = string(s.Leader), int64(s.Term)
				return nil
			}
		}
		return fmt.Errorf("no other leader than %s", old)
	})
	t.Logf("%s leads in term %d after %s", next, term, took)
	b.within(10*time.Second, "the guests on the stopped node are ended", func(context.Context) error {
		if left := b.guestsOn(old); len(left) > 0 {
			return fmt.Errorf("guests %v still run on %s", left, old)
		}
		return nil
	})
	pause(b.ctx, time.Until(stopped.Add(30*time.Second)))

	off := b.powerless(old)
	if off {
		t.Logf("%s was switched off meanwhile", old)
	} else {
		b.must(b.Signal(b.ctx, old, "basculed", "CONT"))
	}
	continued := time.Now()
	pause(b.ctx, 5*time.Second) // for whatever the old leader still wants to do
	for _, line := range sent(log()) {
		t.Errorf("the old leader sent a device command: %s", line)
	}
	b.termsGrow(stopped, oldTerm, term)
	if off {
		b.must(b.PowerOn(b.ctx, old))
	}
	b.healthyOrStuck(old, 60*time.Second)
	t.Logf("healthy %.2f s after the continue", time.Since(continued).Seconds())
	b.within(10*time.Second, "every guest runs once", b.runOnce(b.Options.GuestIDs()))
	b.termsGrow(stopped, oldTerm, term)
}

// pause lets time pass: the tests that use it are about what must not happen meanwhile.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// powerless says whether a node has lost its power.
func (b *bed) powerless(node string) bool {
	b.t.Helper()
	s, err := b.Status(b.ctx)
	b.must(err)
	for _, n := range s.Nodes {
		if n.Name == node {
			return n.Power == "off" || n.Power == "dying"
		}
	}
	b.t.Fatalf("the world knows no %s", node)
	return false
}

// healthyOrStuck waits for a healthy lab. A node that lives but is not let back in fails the test, and is then helped by
// power as its operator would, so that the rest of the test says something.
func (b *bed) healthyOrStuck(node string, limit time.Duration) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, max(limit, patience))
	defer cancel()
	err := lab.Await(ctx, "the lab is healthy", b.Healthy)
	if err == nil {
		return
	}
	text, _ := b.hactl(b.other(node), "status")
	b.t.Errorf("%s does not come back by itself: %v\nits power is off: %v; hactl status says:\n%s", node, err, b.powerless(node), text)
	b.cut(node)
	b.must(b.PowerOn(b.ctx, node))
	b.healthy(90 * time.Second)
}

var sending = regexp.MustCompile(`(?m)^.*sending \\?"(off|on)\\?".*$`)

// sent lists the log lines of switching commands.
func sent(log string) []string { return sending.FindAllString(log, -1) }

// termsGrow checks that no stored event carries an older term than one before it, and none the old one after the new one began.
func (b *bed) termsGrow(since time.Time, old, now int64) {
	b.t.Helper()
	var highest int64
	for _, e := range b.bascule(since, "") {
		if e.Term == 0 {
			continue // an agent's own
		}
		if e.Term < highest {
			b.t.Errorf("%s: %s: %s -> %s was written by %s under term %d after term %d had begun", e.At.Local().Format(clock), e.Subject, e.From, e.To, e.By, e.Term, highest)
		}
		highest = max(highest, e.Term)
	}
	if highest != 0 && highest < now {
		b.t.Errorf("the newest event is of term %d, but term %d leads (the old one was %d)", highest, now, old)
	}
}

func TestStoreAwayAndBack(t *testing.T) {
	b := up(t, lab.Options{})
	third := b.plain()
	begin := time.Now()
	for _, n := range b.Names() {
		if n != third {
			b.must(b.Signal(b.ctx, n, "basculed", "STOP"))
		}
	}
	t.Logf("only the basculed of %s runs", third)
	b.throughout(20*time.Second, "no node is reset or switched", func(context.Context) error {
		if bad := b.happened(begin, "", bmcCommand, lab.EventReset, lab.EventPowerCut); len(bad) > 0 {
			return fmt.Errorf("%v", bad)
		}
		return nil
	})
	if left := b.guestPids(); len(left) > 0 {
		t.Errorf("guests run without a permit: %v", left)
	}
	continued := time.Now()
	for _, n := range b.Names() {
		if n != third {
			b.must(b.Signal(b.ctx, n, "basculed", "CONT"))
		}
	}
	took := b.within(60*time.Second, "all guests run again", b.runOnce(b.Options.GuestIDs()))
	t.Logf("all guests run again %s after the continue", took)
	for _, id := range b.Options.GuestIDs() {
		line, _, err := b.FirstLineAfter(id, continued, "")
		b.must(err)
		t.Logf("guest %d: first line on %s %.2f s after the continue", id, line.Node, line.At.Sub(continued).Seconds())
	}
	t.Logf("healthy after %s more", b.healthy(30*time.Second))
	if bad := b.happened(begin, "", bmcCommand, lab.EventReset, lab.EventPowerCut); len(bad) > 0 {
		t.Errorf("power was touched: %v", bad)
	}
}
