package agent

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"bascule/ha"
)

// leave is an orderly stop with the daemon's own time limit; the process ends after it.
func (w *world) leave(n ha.NodeName) error {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, 10*time.Second)
	defer cancel()
	err := w.agent(n).Leave(ctx)
	w.pass(100 * time.Millisecond)
	w.kill(n)
	return err
}

func TestLeaveSaysSoBeforeItDisarms(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(101, ha.QEMU, "n1", true)
		w.guarding("n1", func(g *fakeGuard) { g.driver = "iTCO_wdt" })
		w.startAll()
		w.settle()
		if s := w.snapshot(); s.Leader.Node != "n1" || !s.Reports["n1"].Rec.Armed {
			t.Fatalf("leader %+v, armed %v; this test wants n1 armed and leading", s.Leader, s.Reports["n1"].Rec.Armed)
		}
		lease := w.agent("n1").Lease().ID
		mark := w.mark()
		if err := w.leave("n1"); err != nil {
			t.Fatal(err)
		}
		w.order(mark, "n1 gossips that it leaves", "n1 wrote report/n1", "n1 guard: disarmed", "n1 revoked lease", "n1 left gossip")
		w.order(mark, "n1 resigned", "n1 revoked lease")
		s := w.snapshot()
		if rep := s.Reports["n1"].Rec; !rep.Leaving || rep.Armed || rep.Lease != lease {
			t.Errorf("report %+v", rep)
		}
		if _, stands := s.Leases["n1"]; stands {
			t.Error("the lease stands")
		}
		w.pass(time.Minute)
		s = w.snapshot()
		if s.Leader == nil || s.Leader.Node == "n1" {
			t.Errorf("leader %+v", s.Leader)
		}
		if n := s.Nodes["n1"].Rec; n.State != ha.NodeMaintenance {
			t.Errorf("n1 is %s (%s)", n.State, n.Reason)
		}
		if g := s.Guests[101].Rec; g.State != ha.GuestFrozen || !w.runsAlone(101, "n1") {
			t.Errorf("101 is %s (%s) and runs on %v", g.State, g.Reason, w.where(101))
		}
		if len(w.since(mark, "sends off")) != 0 {
			t.Error("a node that left in order was switched off")
		}
	})
}

// The report that says leaving comes with no armed in it, in one write.
func TestLeavingAndDisarmedAreOneWrite(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guarding("n2", func(g *fakeGuard) { g.driver = "iTCO_wdt" })
		w.startAll()
		w.settle()
		mark := w.mark()
		if err := w.leave("n2"); err != nil {
			t.Fatal(err)
		}
		for _, e := range w.since(mark, "n2 wrote report/n2") {
			var rep ha.NodeReport
			if err := json.Unmarshal(e.value, &rep); err != nil {
				t.Fatal(err)
			}
			if rep.Leaving == rep.Armed {
				t.Errorf("leaving %v, armed %v in one report", rep.Leaving, rep.Armed)
			}
		}
	})
}

// With the store away nothing is disarmed: the guard ends the guests with the permit, and the operator is told.
func TestLeaveWithoutTheStoreDoesNotDisarm(t *testing.T) {
	inColdWorld(t, 1, func(w *world) {
		w.guest(101, ha.QEMU, "n1", true)
		w.guarding("n1", func(g *fakeGuard) { g.driver = "iTCO_wdt" })
		w.startAll()
		w.settle()
		mark := w.mark()
		w.store("n1").SetUnavailable(true)
		if err := w.leave("n1"); err == nil {
			t.Error("leaving without the store was called a success")
		}
		w.pass(5 * time.Second)
		if n := len(w.since(mark, "guard: disarmed")); n != 0 {
			t.Error("the guard was disarmed although the store does not say so")
		}
		if on := w.where(101); len(on) != 0 {
			t.Errorf("101 runs on %v without a permit", on)
		}
	})
}

// The lease ends at the store while an agent tries to say that it leaves: the guard has not heard of that end, and must not be
// disarmed, since the store still says armed.
func TestLeaveAfterTheLeasesEndDoesNotDisarm(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(101, ha.QEMU, "n2", true)
		w.guarding("n2", func(g *fakeGuard) { g.driver = "iTCO_wdt" })
		w.startAll()
		w.settle()
		mark := w.mark()
		w.store("n2").set(func(s *storePort) { s.refuse = refusing(ha.KeyReport("n2"), ha.ErrUnavailable) })
		lease := w.agent("n2").Lease().ID
		time.AfterFunc(50*time.Millisecond, func() { w.mem.ExpireLease(lease) })
		if err := w.leave("n2"); err == nil {
			t.Error("it left without having said so, and called that a success")
		}
		if n := len(w.since(mark, "n2 guard: disarmed")); n != 0 {
			t.Error("the guard was disarmed although the store says armed")
		}
	})
}

// A guard that refuses to disarm is an error; leadership and lease are kept, since nobody may think that the node left.
func TestLeaveWithAGuardThatDoesNotAnswer(t *testing.T) {
	inColdWorld(t, 1, func(w *world) {
		w.startAll()
		w.settle()
		w.guarding("n1", func(g *fakeGuard) { g.down = true })
		mark := w.mark()
		if err := w.leave("n1"); err == nil {
			t.Error("leaving without the guard was called a success")
		}
		if len(w.since(mark, "n1 revoked lease")) != 0 {
			t.Error("the lease was given back")
		}
	})
}

// After an orderly stop the guests run on; the next start of the daemon takes them as they are.
func TestStartAfterLeaveTouchesNothing(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(101, ha.QEMU, "n2", true)
		w.startAll()
		w.settle()
		mark := w.mark()
		if err := w.leave("n2"); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Minute)
		w.start("n2")
		w.until(20*time.Second, "101 is started again in the record", func(s ha.Snapshot) bool {
			return s.Nodes["n2"].Rec.State == ha.NodeOnline && s.Guests[101].Rec.State == ha.GuestStarted
		})
		w.pass(10 * time.Second)
		for _, what := range []string{"101 by", "ends 101", "asked: "} {
			if got := w.since(mark, what); len(got) != 0 {
				t.Errorf("%q happened", got[0].what)
			}
		}
		if rep := w.snapshot().Reports["n2"].Rec; rep.Leaving {
			t.Error("the report still says leaving")
		}
	})
}

func TestLeaveOfAnEmptyNodeIsOffline(t *testing.T) {
	inWorld(t, 3, func(w *world) {
		if err := w.leave("n3"); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Minute)
		if n := w.snapshot().Nodes["n3"].Rec; n.State != ha.NodeOffline {
			t.Errorf("n3 is %s (%s)", n.State, n.Reason)
		}
	})
}
