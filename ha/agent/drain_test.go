package agent

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"bascule/ha"
)

func (w *world) ask(n ha.NodeName, kind ha.RequestKind, about ha.NodeName) {
	w.t.Helper()
	q := ha.Request{ID: fmt.Sprintf("%s-%d", kind, time.Since(w.began)), Kind: kind, Node: about, Incarnation: w.inc(about), By: "ada", At: time.Now()}
	if err := w.agent(n).Submit(w.ctx, q); err != nil {
		w.t.Fatal(err)
	}
}

func TestDrainMovesGuestsAwayAndBackNothing(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(101, ha.QEMU, "n2", true)
		w.guest(102, ha.QEMU, "n2", true)
		w.guest(201, ha.LXC, "n2", true)
		w.guest(103, ha.QEMU, "n2", false)
		w.startAll()
		w.settle()
		mark := w.mark()
		w.ask("n3", ha.RequestDrain, "n2")
		w.until(60*time.Second, "n2 is drained", func(s ha.Snapshot) bool { return s.Nodes["n2"].Rec.State == ha.NodeMaintenance })
		w.pass(10 * time.Second)
		s := w.snapshot()
		for _, id := range []ha.VMID{101, 102, 201} {
			g := s.Guests[id].Rec
			if on := w.where(id); len(on) != 1 || on[0] == "n2" || g.Node != on[0] || g.State != ha.GuestStarted || g.Move != nil {
				t.Errorf("%d is %s on %s and runs on %v", id, g.State, g.Node, on)
			}
		}
		for _, what := range []string{"asked: start", "killed by"} {
			if got := w.since(mark, what); len(got) != 0 {
				t.Errorf("%q happened", got[0].what)
			}
		}
		if len(s.Requests) != 0 {
			t.Errorf("requests are left: %v", s.Requests)
		}
		for _, id := range []ha.VMID{101, 102, 201} {
			if h := w.snapshot().Guests[id].Rec.Holders; len(h) != 1 {
				t.Errorf("%d still has holders %+v", id, h)
			}
		}
		mark = w.mark()
		w.ask("n1", ha.RequestUndrain, "n2")
		w.until(5*time.Second, "n2 is online", func(s ha.Snapshot) bool { return s.Nodes["n2"].Rec.State == ha.NodeOnline })
		w.pass(10 * time.Second)
		if got := w.since(mark, "asked: "); len(got) != 0 {
			t.Errorf("after undrain %q", got[0].what)
		}
	})
}

// A guest that cannot move stays and runs; its record says why.
func TestFailedMoveLeavesTheGuestRunning(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(101, ha.QEMU, "n2", true)
		w.startAll()
		w.settle()
		w.fail("migrate n2 101", -1, errors.New("migration aborted: can't connect to the target"))
		mark := w.mark()
		w.ask("n1", ha.RequestDrain, "n2")
		w.pass(60 * time.Second)
		g := w.snapshot().Guests[101].Rec
		if !w.runsAlone(101, "n2") || g.Node != "n2" || g.State != ha.GuestStarted || !strings.Contains(g.Reason, "cannot be moved") {
			t.Errorf("101 is %s on %s (%s), runs on %v", g.State, g.Node, g.Reason, w.where(101))
		}
		if n := len(w.since(mark, "asked: migrate")); n != 2 {
			t.Errorf("%d moves were tried, want one to each other node", n)
		}
		said := false
		for _, e := range w.events() {
			said = said || e.Guest == 101 && strings.Contains(e.Reason, "can't connect to the target")
		}
		if !said {
			t.Error("no event has the migration's own error")
		}
		if len(w.since(mark, "ends 101")) != 0 {
			t.Error("a failed move interrupted the guest")
		}
	})
}

// The source dies in the middle of a move: the guest runs once, on a node that was given it after the proof.
func TestSourceDiesWhileMoving(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(101, ha.QEMU, "n2", true)
		w.startAll()
		w.settle()
		w.ask("n1", ha.RequestDrain, "n2")
		w.until(10*time.Second, "the move begins", func(ha.Snapshot) bool { return len(w.since(0, "asked: migrate n2 101")) == 1 })
		w.pass(time.Second)
		w.cutPower("n2")
		w.until(30*time.Second, "101 runs elsewhere", func(s ha.Snapshot) bool {
			return len(w.where(101)) == 1 && s.Guests[101].Rec.State == ha.GuestStarted
		})
	})
}

// The target dies in the middle of a move: the guest goes on at its source.
func TestTargetDiesWhileMoving(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(110, ha.QEMU, "n1", true) // so that n1, which leads, is not the emptiest
		w.guest(101, ha.QEMU, "n2", true)
		w.startAll()
		w.settle()
		w.ask("n1", ha.RequestDrain, "n2")
		w.until(10*time.Second, "the move begins", func(ha.Snapshot) bool { return len(w.since(0, "asked: migrate n2 101")) == 1 })
		target := w.snapshot().Guests[101].Rec.Move.Target
		if target != "n3" {
			t.Fatalf("it moves to %s, this test wants n3", target)
		}
		w.pass(time.Second)
		w.cutPower(target)
		w.pass(60 * time.Second)
		if on := w.where(101); len(on) != 1 || on[0] == target {
			t.Errorf("101 runs on %v\n%s", on, w.picture())
		}
	})
}

func TestFenceRequestSwitchesALivingNodeOff(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(101, ha.QEMU, "n2", true)
		w.startAll()
		w.settle()
		mark := w.mark()
		w.ask("n3", ha.RequestFence, "n2")
		w.until(20*time.Second, "101 runs elsewhere", func(ha.Snapshot) bool { o := w.where(101); return len(o) == 1 && o[0] != "n2" })
		w.order(mark, "wrote fence/n2", "sends off to n2-bmc", "n2 lost power", "claimed 101 from n2")
		if f := w.snapshot().Fences["n2"].Rec; f.Operator != "ada" {
			t.Errorf("the fence record names %q as its operator", f.Operator)
		}
	})
}

// A source that knows only an old view moves nothing on its word: the move was given up meanwhile, and its target is in another
// boot, which holds nothing.
func TestMoveIsNotBegunOnAnOldView(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(101, ha.QEMU, "n3", true)
		w.guest(110, ha.QEMU, "n1", true) // so that n2 is the target
		w.startAll()
		w.settle()
		w.guarding("n3", func(g *fakeGuard) { g.down = true }) // it sees the move, and may not begin it
		w.pass(2 * time.Second)
		w.ask("n1", ha.RequestDrain, "n3")
		w.until(5*time.Second, "the move is wanted", func(s ha.Snapshot) bool { return s.Guests[101].Rec.Move != nil })
		w.pass(time.Second)
		heal := w.store("n3").BreakView()
		w.cutPower("n2")
		w.until(20*time.Second, "the move is given up", func(s ha.Snapshot) bool { return s.Guests[101].Rec.Move == nil })
		w.ask("n1", ha.RequestUndrain, "n3")
		w.boot("n2")
		w.start("n2")
		w.pass(20 * time.Second)
		mark := w.mark()
		w.guarding("n3", func(g *fakeGuard) { g.down = false })
		w.pass(20 * time.Second)
		if got := w.since(mark, "asked: migrate"); len(got) != 0 {
			t.Error("a move that was given up was begun")
		}
		heal()
		w.pass(20 * time.Second)
		if g := w.snapshot().Guests[101].Rec; !w.runsAlone(101, "n3") || g.Node != "n3" || g.State != ha.GuestStarted {
			t.Errorf("101 is %s on %s, runs on %v", g.State, g.Node, w.where(101))
		}
	})
}

// A node leaves in order while a move of its guest waits to begin; when it is back, the move goes on or is given up.
func TestMoveThatWaitedOverAnOrderlyStopGoesOn(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(101, ha.QEMU, "n3", true)
		w.guest(110, ha.QEMU, "n1", true) // so that n2 is the target
		w.startAll()
		w.settle()
		w.guarding("n2", func(g *fakeGuard) { g.down = true }) // the target cannot expect it
		w.pass(2 * time.Second)
		w.ask("n1", ha.RequestDrain, "n3")
		w.until(5*time.Second, "the move is wanted", func(s ha.Snapshot) bool { return s.Guests[101].Rec.Move != nil })
		w.pass(time.Second)
		if err := w.leave("n3"); err != nil {
			t.Fatal(err)
		}
		w.pass(5 * time.Second)
		w.guarding("n2", func(g *fakeGuard) { g.down = false })
		w.start("n3")
		w.until(60*time.Second, "the move has ended", func(s ha.Snapshot) bool {
			g := s.Guests[101].Rec
			return g.Move == nil && g.State == ha.GuestStarted && w.runsAlone(101, g.Node)
		})
	})
}
