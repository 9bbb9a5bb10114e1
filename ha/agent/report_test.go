package agent

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bascule/ha"
)

// An idle cluster writes nothing at all: every write costs three disks a flush and wakes every agent.
func TestIdleClusterWritesNothing(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(101, ha.QEMU, "n1", true)
		w.guest(201, ha.LXC, "n2", true)
		w.guest(102, ha.QEMU, "n2", false)
		for _, n := range w.names {
			w.guarding(n, func(g *fakeGuard) { g.driver = "iTCO_wdt" })
		}
		w.startAll()
		w.settle()
		w.pass(10 * time.Second)
		mark, rev := w.mark(), w.snapshot().Revision
		tries := [3]int{}
		for i, n := range w.names {
			tries[i] = w.store(n).tries()
		}
		w.pass(10 * time.Minute)
		if now := w.snapshot().Revision; now != rev {
			t.Errorf("%d revisions in ten idle minutes, first %q", now-rev, w.since(mark, "wrote")[0].what)
		}
		for i, n := range w.names {
			if got := w.store(n).tries() - tries[i]; got != 0 {
				t.Errorf("%s tried %d commits in ten idle minutes", n, got)
			}
		}
	})
}

// A node with many guests says it all in transactions that any store takes, and its own report comes with the last of them.
func TestManyReportsAreSplit(t *testing.T) {
	const guests = 2*guestsPerReport + 50
	inWorld(t, 1, func(w *world) {
		a := w.agent("n1")
		old := w.snapshot().Reports["n1"].Rev
		a.reports.mu.Lock()
		for id := range ha.VMID(guests) {
			a.reports.guests[1000+id] = ha.GuestReport{Guest: 1000 + id, Node: "n1", Incarnation: w.inc("n1"), Phase: ha.PhaseRunning}
		}
		a.reports.mu.Unlock()
		a.Problem("test", "something new") // in the node's report
		w.pass(time.Second)
		s := w.snapshot()
		said, revs := s.GuestReports["n1"], map[int64]int{}
		for _, r := range said {
			revs[r.Rev]++
		}
		own := s.Reports["n1"]
		if len(said) != guests || len(revs) != 3 || revs[own.Rev] != 50 || own.Rev == old {
			t.Errorf("%d reports of guests, revisions %v; the node's own at %d, before %d", len(said), revs, own.Rev, old)
		}
		for rev := range revs {
			if rev > own.Rev {
				t.Errorf("guests were reported at %d, after the node's own report at %d", rev, own.Rev)
			}
		}
	})
}

// countingGossip counts the leader's rounds: each looks at gossip once.
type countingGossip struct {
	Gossip
	views *atomic.Int64
}

func (g countingGossip) View() map[ha.NodeName]ha.GossipView {
	g.views.Add(1)
	return g.Gossip.View()
}

// An idle leader looks about once a second, a leader that waits for a proof not much more often.
func TestLeaderDoesNotSpin(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		var views atomic.Int64
		w.start("n1", func(c *Config) { c.Gossip = countingGossip{c.Gossip, &views} })
		w.pass(50 * time.Millisecond)
		w.start("n2")
		w.start("n3")
		w.settle()
		views.Store(0)
		w.pass(time.Minute)
		if n := views.Load(); n < 30 || n > 200 {
			t.Errorf("%d looks at gossip in an idle minute", n)
		}
		w.mu.Lock()
		w.nodes["n2"].bmc.problem = "connection refused"
		w.mu.Unlock()
		w.isolate("n2", true)
		w.pass(20 * time.Second)
		views.Store(0)
		w.pass(time.Minute)
		if n := views.Load(); n < 30 || n > 600 {
			t.Errorf("%d looks at gossip in a minute of waiting for a proof", n)
		}
	})
}

func TestReportIsWrittenOncePerChange(t *testing.T) {
	inColdWorld(t, 1, func(w *world) {
		w.guest(101, ha.QEMU, "n1", true)
		w.startAll()
		w.settle()
		mark := w.mark()
		w.edit(101, func(g *guest) { g.priority = 7 })
		w.pass(time.Minute)
		if n := len(w.since(mark, "wrote report/n1")); n != 1 {
			t.Errorf("one change was reported %d times", n)
		}
		if g := w.snapshot().Guests[101].Rec; g.Priority != 7 {
			t.Errorf("the record has priority %d", g.Priority)
		}
	})
}

// A report that could not be written is written when the store takes it, in its newest form.
func TestReportIsRepeatedUntilStored(t *testing.T) {
	inColdWorld(t, 1, func(w *world) {
		w.guest(101, ha.QEMU, "n1", true)
		w.startAll()
		w.settle()
		s := w.store("n1")
		s.set(func(s *storePort) { s.refuse = refusing(ha.KeyReport("n1"), ha.ErrAmbiguous) })
		before := s.tries()
		w.edit(101, func(g *guest) { g.priority = 7 })
		w.pass(5 * time.Second)
		w.edit(101, func(g *guest) { g.priority = 8 })
		w.pass(5 * time.Second)
		if n := s.tries() - before; n < 10 || n > 100 {
			t.Errorf("%d tries in 10 s", n)
		}
		mark := w.mark()
		s.set(func(s *storePort) { s.refuse = nil })
		w.pass(5 * time.Second)
		if n, p := len(w.since(mark, "wrote report/n1")), w.snapshot().Guests[101].Rec.Priority; n != 1 || p != 8 {
			t.Errorf("%d writes, priority %d; want one write of priority 8", n, p)
		}
	})
}

// Every transition that people are told of is stored, with its reason, the term and who decided it.
func TestEventsAreStoredAndTold(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(101, ha.QEMU, "n2", true)
		w.startAll()
		w.settle()
		w.cutPower("n2")
		w.until(15*time.Second, "101 is started", func(s ha.Snapshot) bool {
			return len(w.where(101)) == 1 && s.Guests[101].Rec.State == ha.GuestStarted
		})
		var states []string
		for _, e := range w.events() {
			if e.Reason == "" || e.Subject == "" || e.By != "n1" || e.Term != w.snapshot().Term || e.At.IsZero() {
				t.Errorf("event %+v lacks something", e)
			}
			if e.Guest == 101 {
				states = append(states, e.To)
			}
		}
		if got, want := strings.Join(states, " "), "started recovery starting started"; got != want {
			t.Errorf("101 went through %q, want %q", got, want)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.told) != len(w.events()) {
			t.Errorf("%d events are stored, people were told of %d", len(w.events()), len(w.told))
		}
	})
}

// The store's going away and its return are said by every node, since no leader can.
func TestStoreAwayIsTold(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		w.store("n1").SetUnavailable(true)
		w.pass(5 * time.Second)
		w.store("n1").SetUnavailable(false)
		w.pass(5 * time.Second)
		var got []string
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, e := range w.told {
			if e.Subject == "store" {
				got = append(got, e.To)
			}
		}
		if strings.Join(got, " ") != "away available" {
			t.Errorf("people were told of %q, want away, then available", got)
		}
	})
}

func TestProblemsAreShownAndCleared(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		w.fail("inventory n1", -1, errors.New("pveproxy: connection refused"))
		w.pass(5 * time.Second)
		if p := w.snapshot().Reports["n1"].Rec.Problems; len(p) != 1 || !strings.Contains(p[0], "connection refused") || !strings.Contains(p[0], "look at") {
			t.Errorf("problems %q: want the error and what to do", p)
		}
		w.fail("inventory n1", 0, nil)
		w.pass(5 * time.Second)
		if p := w.snapshot().Reports["n1"].Rec.Problems; len(p) != 0 {
			t.Errorf("problems are left: %q", p)
		}
	})
}

func TestSubscribersHearOfChanges(t *testing.T) {
	inWorld(t, 1, func(w *world) {
		c, cancel := w.agent("n1").Subscribe()
		select {
		case <-c:
			t.Error("a tick without a change")
		default:
		}
		w.guest(101, ha.QEMU, "n1", true)
		w.pass(5 * time.Second)
		select {
		case <-c:
		default:
			t.Error("no tick after a change")
		}
		cancel()
		w.edit(101, func(g *guest) { g.priority = 3 })
		w.pass(5 * time.Second)
		select {
		case <-c:
			t.Error("a tick after cancel")
		default:
		}
	})
}

// What storages know this boot by is published with the report, and anew when it grows.
func TestReportsByWhatStoragesKnowThisBoot(t *testing.T) {
	inColdWorld(t, 1, func(w *world) {
		clients := []string{"ip:10.0.0.1"}
		a := w.start("n1", func(c *Config) {
			c.Clients = func() []string { w.mu.Lock(); defer w.mu.Unlock(); return clients }
		})
		w.settle()
		if got := w.snapshot().Reports["n1"].Rec.Clients; !slices.Equal(got, []string{"ip:10.0.0.1"}) {
			t.Fatalf("published %v", got)
		}
		w.mu.Lock()
		clients = []string{"ip:10.0.0.1", "ip:10.0.0.2"}
		w.mu.Unlock()
		a.ReportSoon()
		w.pass(time.Second)
		if got := w.snapshot().Reports["n1"].Rec.Clients; len(got) != 2 {
			t.Fatalf("published %v", got)
		}
	})
}
