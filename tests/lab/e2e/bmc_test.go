//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/api"
	"bascule/tests/lab"
)

// A BMC that says "done" and does nothing, and a node that lives on without network and without a watchdog: only a
// person can free its guests.
func TestLyingBMCWithoutWatchdog(t *testing.T) {
	t.Parallel()
	b := up(t, calm(lab.Options{Watchdog: "none"}))
	victim := b.plain()
	guests := b.guestsOn(victim)
	asked := b.other(victim)
	b.must(b.BMC(b.ctx, victim, "says-done"))
	cut := time.Now()
	b.must(b.Cut(b.ctx, victim, "", false))
	t.Logf("%s with guests %v is cut off; its BMC lies", victim, guests)
	b.throughout(60*time.Second, "no guest is recovered while the BMC reads on", b.nowhere(guests, cut, victim))
	b.mustSayLie(asked, victim)
	for _, e := range b.bascule(cut, victim) {
		if e.Node == victim && e.Guest == 0 && e.To == "fenced" {
			t.Errorf("%s is fenced without a proof: %s", victim, e.Reason)
		}
	}

	b.must(b.BMC(b.ctx, victim, "refuse")) // or it would now read off, truly
	b.cut(victim)
	b.throughout(5*time.Second, "no guest is recovered before the operator's word", b.nowhere(guests, cut, victim))
	if text, code := b.hactl(asked, "confirm-off", victim, "--yes"); code != 0 {
		t.Fatalf("hactl confirm-off ends with %d:\n%s", code, text)
	}
	t.Logf("recovered %s after the operator's word", b.within(30*time.Second, "the guests run elsewhere", b.runOnce(guests, victim)))
	if proof := b.proofOf(victim, cut); !strings.HasPrefix(proof, string(ha.OperatorConfirmed)) {
		t.Errorf("%s was proven by %q, not by the operator", victim, proof)
	}
}

// mustSayLie checks that the status names the lying device, what it does and the next command.
func (b *bed) mustSayLie(asked, victim string) {
	b.t.Helper()
	b.within(5*time.Second, "the status names the lie", func(ctx context.Context) error {
		s, err := b.status(ctx, asked)
		if err != nil {
			return err
		}
		if _, ok := critical(s, victim+"-bmc", "hactl confirm-off "+victim); !ok {
			return fmt.Errorf("the status of %s has no critical problem with %s-bmc and the next command: %+v", asked, victim, s.Problems)
		}
		if !slices.ContainsFunc(s.Problems, func(p api.Problem) bool {
			text := p.What + " " + p.Why
			return p.Severity == api.Critical && strings.Contains(text, victim+"-bmc") && (strings.Contains(text, "runs on") || strings.Contains(text, "still reads"))
		}) {
			return fmt.Errorf("the status of %s does not say that %s runs on although %s-bmc said that it is off: %+v", asked, victim, victim, s.Problems)
		}
		text, code := b.hactl(asked, "status")
		flat := strings.Join(strings.Fields(text), " ")
		if code != 1 || !strings.Contains(flat, victim+"-bmc") || !strings.Contains(flat, "hactl confirm-off "+victim) {
			return fmt.Errorf("hactl status ends with %d and says:\n%s", code, text)
		}
		return nil
	})
}

// The same with a watchdog: the node ends its guests itself, and time proves it.
func TestLyingBMCWithWatchdog(t *testing.T) {
	t.Parallel()
	b := up(t, calm(lab.Options{}))
	victim := b.plain()
	guests := b.guestsOn(victim)
	b.must(b.BMC(b.ctx, victim, "says-done"))
	cut := time.Now()
	b.must(b.Cut(b.ctx, victim, "", false))
	t.Logf("%s with guests %v is cut off; its BMC lies", victim, guests)
	b.within(60*time.Second, "the guests run elsewhere", b.runOnce(guests, victim))

	if proof := b.proofOf(victim, cut); !strings.HasPrefix(proof, string(ha.SelfFenceElapsed)) {
		t.Errorf("%s was proven by %q, not by %s", victim, proof, ha.SelfFenceElapsed)
	}
	timing, err := ha.Profile(b.Options.Timing)
	b.must(err)
	gone := b.leaseEnd(victim, cut, timing)
	for _, id := range guests {
		last, first := b.lastOn(id, victim), b.firstElsewhere(id, cut, victim)
		t.Logf("guest %d: last line on %s %.2f s after the cut, lease over at %.2f s, first line elsewhere at %.2f s (W = %s)",
			id, victim, last.Sub(cut).Seconds(), gone.Sub(cut).Seconds(), first.Sub(cut).Seconds(), timing.SelfFence())
		if !last.Before(first) {
			t.Errorf("guest %d ran on %s until %s and elsewhere from %s on", id, victim, last.Format(clock), first.Format(clock))
		}
		// The guard's line may be late on a busy machine; then the cut, before which the last renewal was sent, tells how long W at least had.
		since := first.Sub(cut.Add(timing.LeaseTTL - timing.RenewEvery - timing.RenewTimeout))
		if max(first.Sub(gone)+logSlack, since) < timing.SelfFence() {
			t.Errorf("guest %d was recovered %s after the lease's end; W is %s", id, first.Sub(gone), timing.SelfFence())
		}
	}
	if b.powerless(victim) {
		t.Errorf("%s has no power: its BMC was to lie", victim)
	}
	b.must(b.BMC(b.ctx, victim, "clear"))
	b.must(b.Heal(b.ctx, victim, ""))
	b.healthyOrStuck(victim, 60*time.Second)
}

// logSlack is how much later than its cause a log line may be.
const logSlack = 50 * time.Millisecond

// leaseEnd is when a node's lease ran out at the earliest: its guard saw the permit's deadline pass, and the lease outlives
// that by the drift margin.
func (b *bed) leaseEnd(node string, since time.Time, timing ha.Timing) time.Time {
	b.t.Helper()
	data, err := os.ReadFile(b.Node(node, "log", "guard.log"))
	b.must(err)
	for line := range strings.Lines(string(data)) {
		at, ok := logTime(line, since)
		if ok && strings.Contains(line, "permitted -> grace") && at.After(since) {
			return at.Add(timing.DriftMargin)
		}
	}
	b.t.Fatalf("the guard of %s does not say that its permit ended", node)
	return time.Time{}
}

// logTime reads a log line's time of day, on the day of another moment (or the next one, after midnight).
func logTime(line string, day time.Time) (time.Time, bool) {
	_, rest, _ := strings.Cut(line, `time="`)
	text, _, _ := strings.Cut(rest, `"`)
	at, err := time.Parse(clock, text)
	if err != nil {
		return time.Time{}, false
	}
	y, m, d := day.Date()
	out := time.Date(y, m, d, at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), day.Location())
	if day.Sub(out) > 12*time.Hour {
		out = out.AddDate(0, 0, 1)
	}
	return out, true
}

// proofOf is the reason for which a node became fenced.
func (b *bed) proofOf(node string, since time.Time) string {
	b.t.Helper()
	for _, e := range b.bascule(since, node) {
		if e.Node == node && e.Guest == 0 && e.To == "fenced" {
			return e.Reason
		}
	}
	return ""
}

// other is any node but those given.
func (b *bed) other(not ...string) string {
	return b.Names()[slices.IndexFunc(b.Names(), func(n string) bool { return !slices.Contains(not, n) })]
}

func TestIsolatedNodeStopsItsGuests(t *testing.T) {
	b := up(t, lab.Options{})
	victim := b.plain()
	guests := b.guestsOn(victim)
	cut := time.Now()
	b.must(b.Cut(b.ctx, victim, "", false))
	b.within(60*time.Second, "the guests of "+victim+" run elsewhere", b.runOnce(guests, victim))
	for _, id := range guests {
		last, first := b.lastOn(id, victim), b.firstElsewhere(id, cut, victim)
		t.Logf("guest %d: last line on %s %.2f s after the cut, first elsewhere at %.2f s", id, victim, last.Sub(cut).Seconds(), first.Sub(cut).Seconds())
		if !last.Before(first) {
			t.Errorf("guest %d wrote on %s until %s and elsewhere from %s on", id, victim, last.Format(clock), first.Format(clock))
		}
	}
	t.Logf("%s was proven by: %s; switched off: %v", victim, b.proofOf(victim, cut), b.powerless(victim))
	b.must(b.Heal(b.ctx, victim, ""))
	if b.powerless(victim) {
		b.must(b.PowerOn(b.ctx, victim))
	}
	b.healthyOrStuck(victim, 90*time.Second)
}

func TestDrainSurvivesTheLeader(t *testing.T) {
	b := up(t, lab.Options{Nodes: 5, Guests: 15})
	leader, _ := b.leader()
	drained := b.plain()
	guests := b.guestsOn(drained)
	if len(guests) < 3 {
		t.Fatalf("%s runs only %v: the test needs three guests to be drained", drained, guests)
	}
	asked := b.other(drained, leader)
	if text, code := b.hactl(asked, "drain", drained); code != 0 {
		t.Fatalf("hactl drain ends with %d:\n%s", code, text)
	}
	b.within(60*time.Second, "the drain is under way", func(context.Context) error {
		if len(b.guestsOn(drained)) == len(guests) {
			return fmt.Errorf("all of %v still run on %s", guests, drained)
		}
		return nil
	})
	left := b.guestsOn(drained)
	cut := b.cut(leader)
	t.Logf("%s led and lost its power while %s was drained of %v; %v were left there", leader, drained, guests, left)
	b.within(2*time.Minute, "the drain is complete", func(ctx context.Context) error {
		if still := b.guestsOn(drained); len(still) > 0 {
			return fmt.Errorf("guests %v still run on %s", still, drained)
		}
		s, err := b.DaemonStatus(ctx, asked)
		if err == nil && s.NodeState(drained) != "maintenance" {
			err = errors.New(drained + " is " + s.NodeState(drained))
		}
		return err
	})
	t.Logf("the drain was complete %.2f s after the cut", time.Since(cut).Seconds())
	b.within(60*time.Second, "every guest runs once", b.runOnce(b.Options.GuestIDs(), leader, drained))
	t.Logf("all guests ran %.2f s after the cut", time.Since(cut).Seconds())
}
