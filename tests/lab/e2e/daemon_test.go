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

	"bascule/tests/lab"
)

// moments at which the daemon of a recovery's target dies: by what its log has said of the guest, and not yet said.
var moments = []struct{ name, after, before string }{
	{"right after the assignment", "", "step=claim"},
	{"during the blocked rename", "step=verify", "step=claim"},
	{"during the start", "step=recheck", "step=confirm"},
}

func TestTargetDaemonDiesInRecovery(t *testing.T) {
	for _, m := range moments {
		t.Run(m.name, func(t *testing.T) {
			b := up(t, lab.Options{})
			victim := b.plain()
			guests := b.guestsOn(victim)
			logs := map[string]func() string{}
			for _, n := range b.Names() {
				logs[n] = b.logFrom(n, "basculed")
			}
			cut := b.cut(victim)
			guest, target := b.awaitMoment(guests, victim, m.after, logs)
			b.must(b.Signal(b.ctx, target, "basculed", "KILL"))
			at := time.Now()
			said := logs[target]()
			if m.before != "" && lineWith(said, fmt.Sprintf("guest=%d ", guest), m.before) != "" {
				t.Logf("the signal came after %s: this moment was missed", m.before)
			}
			t.Logf("guest %d: %s's daemon killed %.2f s after the cut; its log had: %s", guest, target, at.Sub(cut).Seconds(), steps(said, guest))
			took := b.within(60*time.Second, "the guests of "+victim+" run once", b.runOnce(guests, victim))
			t.Logf("guests %v run %s after the signal, %.2f s after the cut", guests, took, time.Since(cut).Seconds())
			b.throughout(5*time.Second, "every guest runs once", b.runOnce(b.Options.GuestIDs(), victim))
			if off := b.happened(cut, target, bmcCommand, lab.EventReset); len(off) > 0 {
				t.Errorf("the target %s was fenced although only its daemon died: %v", target, off)
			}
		})
	}
}

// awaitMoment waits until one of the guests is being started on a living node and that node's log says so of it.
func (b *bed) awaitMoment(guests []int, victim, word string, logs map[string]func() string) (guest int, target string) {
	b.t.Helper()
	limit := time.Now().Add(time.Minute)
	for time.Now().Before(limit) {
		for _, n := range b.Names() {
			if n == victim {
				continue
			}
			if word != "" {
				said := logs[n]()
				for _, id := range guests {
					if lineWith(said, fmt.Sprintf("guest=%d ", id), word) != "" {
						return id, n
					}
				}
				continue
			}
			s, err := b.DaemonStatus(b.ctx, n)
			if err != nil {
				continue // busy electing
			}
			for _, id := range guests {
				if state, at := s.GuestState(id); state == "starting" && at != victim {
					return id, at
				}
			}
		}
		time.Sleep(5 * time.Millisecond) // the pace of the look, not a wait for something
	}
	b.t.Fatalf("no guest of %v reached this moment within a minute", guests)
	return 0, ""
}

// steps lists what a log says was done with a guest.
func steps(said string, guest int) string {
	var out []string
	for line := range strings.Lines(said) {
		if strings.Contains(line, fmt.Sprintf("guest=%d ", guest)) {
			if _, rest, ok := strings.Cut(line, "step="); ok {
				step, _, _ := strings.Cut(rest, " ")
				out = append(out, step)
			}
		}
	}
	return strings.Join(out, ", ")
}

func TestDaemonCrashTouchesNothing(t *testing.T) {
	t.Parallel()
	b := up(t, calm(lab.Options{}))
	leader, term := b.leader()
	for _, c := range []struct{ what, node string }{{"a plain node", b.plain()}, {"the leader", leader}} {
		begin := time.Now()
		before, lease := b.guestPids(), b.lease(c.node)
		log := b.logFrom(c.node, "basculed")
		b.must(b.Signal(b.ctx, c.node, "basculed", "KILL"))
		t.Logf("%s: basculed of %s killed, which runs %v; the leader is %s in term %d", c.what, c.node, b.guestsOn(c.node), leader, term)
		b.throughout(30*time.Second, "the guests' processes are untouched", func(context.Context) error {
			now := b.guestPids()
			for id, was := range before {
				if now[id] != was {
					return fmt.Errorf("guest %d was process %q and is %q", id, was, now[id])
				}
			}
			return nil
		})
		b.mustBeUntouched(c.node, begin, lease, log())
		t.Logf("%s: healthy after %s more", c.what, b.healthy(20*time.Second))
		leader, term = b.leader()
	}
}

// mustBeUntouched checks that a crash of a daemon had no consequences.
func (b *bed) mustBeUntouched(node string, begin time.Time, lease, log string) {
	b.t.Helper()
	for _, e := range b.bascule(begin, "") {
		if e.Guest == 0 && (e.To == "fencing" || e.To == "fenced") || e.Guest != 0 {
			b.t.Errorf("%s: %s: %s -> %s (%s)", e.At.Local().Format(clock), e.Subject, e.From, e.To, e.Reason)
		}
	}
	reports, err := b.Check(begin, fresh)
	b.must(err)
	for _, r := range reports {
		for _, g := range r.Gaps {
			b.t.Logf("guest %d, whose process was not touched, wrote nothing for %s from %s on: the machine was busy", r.VMID, g.Length().Round(time.Millisecond), g.From.Format(clock))
		}
	}
	if now := b.lease(node); now != lease {
		b.t.Errorf("%s had the lease %s and has %s", node, lease, now)
	}
	if line := lineWith(log, "lost its permit"); line != "" {
		b.t.Errorf("%s: %s", node, line)
	}
	if lineWith(log, "going on with the lease of the process before") == "" {
		b.t.Errorf("%s does not say that it goes on with its lease", node)
	}
	if bad := b.happened(begin, "", bmcCommand, lab.EventReset, lab.EventPowerCut); len(bad) > 0 {
		b.t.Errorf("power was touched: %v", bad)
	}
}

// guestPids is where and as which process each guest runs.
func (b *bed) guestPids() map[int]string {
	out := map[int]string{}
	for _, p := range b.Processes() {
		if slices.Contains(b.Options.GuestIDs(), p.Guest) {
			out[p.Guest] += fmt.Sprintf("%s/%d ", p.Node, p.Pid)
		}
	}
	return out
}

// lease is what a node keeps of its lease for the next process.
func (b *bed) lease(node string) string {
	b.t.Helper()
	data, err := os.ReadFile(b.Node(node, "root", "run", "bascule", "lease.json"))
	if errors.Is(err, os.ErrNotExist) {
		return "none"
	}
	b.must(err)
	return strings.TrimSpace(string(data))
}
