package agent

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha"
)

// halt ends a guest where it runs, for a reason that Proxmox's tasks show.
func (w *world) halt(id ha.VMID, cause ha.StopCause, detail string) {
	w.edit(id, func(g *guest) {
		g.cause, g.detail = cause, detail
		for _, n := range sortedKeys(g.on) {
			w.stops(g, n, detail)
		}
	})
}

func TestUsersStopIsRespected(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(101, ha.QEMU, "n2", true)
		w.startAll()
		w.settle()
		w.halt(101, ha.CauseUser, "stopped by alice@pam (qmstop)")
		w.until(10*time.Second, "101 is requested stopped", func(s ha.Snapshot) bool {
			g := s.Guests[101].Rec
			return g.Requested == ha.RequestedStopped && g.State == ha.GuestStopped
		})
		if r := w.snapshot().Guests[101].Rec.Reason; !strings.Contains(r, "alice@pam") {
			t.Errorf("the reason is %q", r)
		}
		w.pass(time.Minute)
		if on := w.where(101); len(on) != 0 {
			t.Errorf("a guest that its user stopped runs on %v", on)
		}
		w.cutPower("n2")
		w.pass(time.Minute)
		if on := w.where(101); len(on) != 0 {
			t.Errorf("its node's death started a stopped guest on %v", on)
		}
		if g := w.snapshot().Guests[101].Rec; g.Node == "n2" || g.Requested != ha.RequestedStopped {
			t.Errorf("101 is %s on %s, requested %s", g.State, g.Node, g.Requested)
		}
	})
}

func TestUsersStartIsRespected(t *testing.T) {
	inColdWorld(t, 1, func(w *world) {
		w.guest(101, ha.QEMU, "n1", true)
		w.startAll()
		w.settle()
		w.halt(101, ha.CauseUser, "stopped by alice@pam (qmstop)")
		w.until(10*time.Second, "101 is requested stopped", func(s ha.Snapshot) bool { return s.Guests[101].Rec.Requested == ha.RequestedStopped })
		w.edit(101, func(g *guest) { w.runs(g, "n1", "by alice") })
		w.until(10*time.Second, "101 is requested started", func(s ha.Snapshot) bool {
			g := s.Guests[101].Rec
			return g.Requested == ha.RequestedStarted && g.State == ha.GuestStarted
		})
		w.halt(101, ha.CauseNone, "no task")
		w.until(10*time.Second, "101 runs again after a crash", func(ha.Snapshot) bool { return w.runsAlone(101, "n1") })
	})
}

func TestCrashedGuestIsStartedAgainInPlace(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(101, ha.QEMU, "n2", true)
		w.startAll()
		w.settle()
		w.halt(101, ha.CauseNone, "no task")
		took := w.until(10*time.Second, "101 runs again", func(ha.Snapshot) bool { return w.runsAlone(101, "n2") })
		t.Logf("restarted after %v", took)
		if g := w.snapshot().Guests[101].Rec; g.Generation != 1 {
			t.Errorf("a crash led to generation %d", g.Generation)
		}
	})
}

// A backup's or shutdown's stop changes nothing; whoever stopped it starts it again.
func TestPassingStopIsLeftAlone(t *testing.T) {
	inColdWorld(t, 1, func(w *world) {
		w.guest(101, ha.QEMU, "n1", true)
		w.startAll()
		w.settle()
		mark := w.mark()
		w.halt(101, ha.CausePassing, "vzdump")
		w.pass(30 * time.Second)
		if got := w.since(mark, "asked: start"); len(got) != 0 {
			t.Error("a guest under backup was started")
		}
		if g := w.snapshot().Guests[101].Rec; g.Requested != ha.RequestedStarted || g.State != ha.GuestStarted {
			t.Errorf("101: %s, requested %s", g.State, g.Requested)
		}
		w.edit(101, func(g *guest) { w.runs(g, "n1", "by vzdump"); g.cause = ha.CauseNone })
		w.pass(10 * time.Second)
		w.halt(101, ha.CauseNone, "no task")
		w.until(20*time.Second, "101 runs again after a crash", func(ha.Snapshot) bool { return w.runsAlone(101, "n1") })
	})
}

// A start that fails is tried again here, then elsewhere, then given up; the record has the task's own words.
func TestFailedStartsEndInTheRecord(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(101, ha.QEMU, "n2", true)
		w.startAll()
		w.settle()
		for _, n := range []string{"n1", "n3"} {
			w.fail("start "+n+" 101", -1, errors.New("start failed: QEMU exited with code 1: no such machine type"))
		}
		mark := w.mark()
		w.cutPower("n2")
		w.until(60*time.Second, "101 is given up", func(s ha.Snapshot) bool { return s.Guests[101].Rec.State == ha.GuestError })
		g := w.snapshot().Guests[101].Rec
		if !strings.Contains(g.Reason, "no such machine type") || !strings.Contains(g.Reason, "given up after 2 nodes") {
			t.Errorf("the reason is %q", g.Reason)
		}
		for _, n := range []string{"n1", "n3"} {
			if got := len(w.since(mark, "asked: start "+n+" 101")); got != 2 {
				t.Errorf("%s tried %d times, want a first start and max_restart 1", n, got)
			}
		}
		w.pass(time.Minute)
		if got := len(w.since(mark, "asked: start")); got != 4 {
			t.Errorf("%d starts in all, want 4: it was given up", got)
		}
		alarmed := false
		w.mu.Lock()
		for _, e := range w.told {
			alarmed = alarmed || e.Guest == 101 && e.To == string(ha.GuestError) && strings.Contains(e.Reason, "no such machine type")
		}
		w.mu.Unlock()
		if !alarmed {
			t.Error("nobody was told")
		}
		w.fail("start "+string(g.Node)+" 101", 0, nil)
		w.edit(101, func(x *guest) { w.runs(x, g.Node, "by alice") })
		w.until(10*time.Second, "an operator's own start ends the error", func(s ha.Snapshot) bool { return s.Guests[101].Rec.State == ha.GuestStarted })
	})
}

func TestOneFailedStartIsRepeatedInPlace(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(101, ha.QEMU, "n2", true)
		w.startAll()
		w.settle()
		w.fail("start n1 101", 1, errors.New("timeout"))
		w.fail("start n3 101", 1, errors.New("timeout"))
		w.cutPower("n2")
		w.until(20*time.Second, "101 runs", func(s ha.Snapshot) bool { return len(w.where(101)) == 1 })
		if g := w.snapshot().Guests[101].Rec; g.Generation != 2 {
			t.Errorf("generation %d: one failure must not relocate", g.Generation)
		}
	})
}

// A storage that is not active is no reason to start half a guest: the message names it, and another node gets the guest.
func TestInactiveStorageRelocates(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(101, ha.QEMU, "n2", true)
		w.startAll()
		w.settle()
		w.cutPower("n2")
		w.mu.Lock()
		w.nodes["n1"].storage, w.nodes["n3"].storage = false, false
		w.mu.Unlock()
		w.pass(20 * time.Second)
		g := w.snapshot().Guests[101].Rec
		if len(w.where(101)) != 0 || !strings.Contains(g.Reason, "ceph") {
			t.Errorf("101 is %s (%s), runs on %v", g.State, g.Reason, w.where(101))
		}
		w.mu.Lock()
		w.nodes["n3"].storage = true
		w.mu.Unlock()
		w.until(30*time.Second, "101 runs where its storage is", func(ha.Snapshot) bool { return w.runsAlone(101, "n3") })
	})
}

// A claim that pmxcfs refuses for the moment is waited out; it counts as no attempt.
func TestClaimWaitsForQuorum(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(101, ha.QEMU, "n2", true)
		w.startAll()
		w.settle()
		for _, n := range []string{"n1", "n3"} {
			w.fail("claim "+n+" 101", 20, ha.ErrNoQuorum)
		}
		w.cutPower("n2")
		w.until(30*time.Second, "101 runs", func(ha.Snapshot) bool { return len(w.where(101)) == 1 })
		if g := w.snapshot().Guests[101].Rec; g.Generation != 2 || g.Relocations != 0 {
			t.Errorf("generation %d, %d relocations: waiting is no failure", g.Generation, g.Relocations)
		}
	})
}

// No more starts at once than configured, and a place that becomes free goes to the most important guest.
func TestStartsAreBoundedAndInOrder(t *testing.T) {
	inColdWorld(t, 1, func(w *world) {
		for i := range 6 {
			g := w.guest(ha.VMID(101+i), ha.QEMU, "n1", false)
			g.onboot, g.priority = true, i
		}
		w.startAll()
		most := 0
		w.until(60*time.Second, "all run", func(ha.Snapshot) bool {
			running := 0
			for i := range 6 {
				running += len(w.where(ha.VMID(101 + i)))
			}
			w.mu.Lock()
			most = max(most, len(w.nodes["n1"].workers))
			w.mu.Unlock()
			return running == 6
		})
		if most != 2 {
			t.Errorf("%d starts at once, want 2", most)
		}
		starts := w.since(0, "asked: start")
		if !slices.ContainsFunc(starts[:4], func(e entry) bool { return strings.HasSuffix(e.what, " 106") }) {
			t.Errorf("the most important guest is not among the first to start: %v", starts)
		}
	})
}
