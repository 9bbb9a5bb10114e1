package leader

import (
	"strings"
	"testing"
	"time"

	"bascule/ha"
)

// everythingWasDown: n1 and n2 have booted anew since anybody led, and n1 leads now; n3 has power and is silent.
func everythingWasDown(t *testing.T) *world {
	w := newWorld(t, 3)
	w.guest(103, ha.QEMU, "n3")
	for _, m := range w.leader.Members {
		w.die(m.Name)
	}
	w.coro.Online = []ha.NodeName{"n1", "n2"}
	w.boot("n1", "again-n1")
	w.boot("n2", "again-n2")
	for _, n := range []ha.NodeName{"n1", "n2", "n3"} {
		w.device[string(n)+"-bmc"].power = ha.PowerOn
	}
	w.state, w.pending = State{}, nil
	return w
}

// ahead lets time pass without looking at each round of it.
func (w *world) ahead(d time.Duration) {
	w.now = w.now.Add(d)
	w.run(2)
}

// A machine that boots more slowly than the others after a power loss of all is not switched off in the middle of it.
func TestAfterAnOutageOfEverythingSlowBootersAreNotSwitchedOff(t *testing.T) {
	w := everythingWasDown(t)
	w.run(120) // fence_delay, daemon_grace, a lease's time: all over
	w.wantNode("n1", ha.NodeOnline)
	w.wantNode("n3", ha.NodeSuspect)
	if r := w.node("n3").Reason; !strings.Contains(r, "may still be booting") || !strings.Contains(r, "hactl fence n3") {
		t.Errorf("n3 waits for %q", r)
	}
	w.state, w.term = State{}, 6 // the next leader: its own boot has been judged, the record says the rest
	w.run(120)
	w.wantNode("n3", ha.NodeSuspect)
	if len(w.sent) != 0 {
		t.Fatalf("sent %v", w.sent)
	}
	w.boot("n3", "again-n3")
	w.run(10)
	w.wantNode("n3", ha.NodeOnline)
	w.wantGuest(103, ha.GuestStarting, "n3")
	if w.node("n3").Outage {
		t.Error("it is still said to be down since the outage")
	}
	w.cut("n3") // and from now on it is a node like any other
	w.run(100)
	w.wantNode("n3", ha.NodeFenced)
}

// What does not come up within boot_time is fenced like any other; a machine that reads off proves itself at once.
func TestAfterAnOutageOfEverythingProofsCountAndBootTimeEnds(t *testing.T) {
	w := everythingWasDown(t)
	w.run(100)
	w.ahead(w.tm.BootTime)
	w.run(20)
	w.wantNode("n3", ha.NodeFenced)
	if len(w.sent) == 0 {
		t.Error("nothing was sent to a machine that never came up")
	}

	w = everythingWasDown(t)
	w.device["n3-bmc"].power = ha.PowerOff
	w.run(40)
	w.wantNode("n3", ha.NodeFenced)
	if len(w.sent) != 0 {
		t.Errorf("sent %v to a machine that reads off", w.sent)
	}
}

// The survivor of two power losses leads again when one of the others is back: the last one, slower to boot, is not switched off either.
func TestTheSurvivorOfAnOutageDoesNotSwitchOffWhoBoots(t *testing.T) {
	w := newWorld(t, 3)
	w.guest(103, ha.QEMU, "n3")
	w.cut("n2")
	w.cut("n3")
	w.state = State{} // without the two there was no store and no leader
	w.run(10)
	w.boot("n2", "again-n2") // it registers a moment after the election
	w.run(200)
	w.wantNode("n2", ha.NodeOnline)
	w.wantNode("n3", ha.NodeSuspect)
	if len(w.sent) != 0 {
		t.Errorf("sent %v", w.sent)
	}
}

// An election alone is no outage, nor is one while a node that was known to be gone comes back: who dies then is fenced as always.
func TestAnElectionIsNoOutage(t *testing.T) {
	w := newWorld(t, 3)
	w.die("n2")
	w.run(30)
	w.wantNode("n2", ha.NodeFenced)
	w.state = State{}
	w.boot("n2", "again-n2")
	w.device["n2-bmc"].power = ha.PowerOn
	w.cut("n3")
	w.run(120)
	w.wantNode("n3", ha.NodeFenced)
}

// Mains that fail again and again quarantine nobody; a node that flaps by itself after an outage is counted as always.
func TestAnOutageOfEverythingIsNobodysFlapping(t *testing.T) {
	w := everythingWasDown(t)
	w.run(60)
	w.boot("n3", "again-n3")
	w.run(10)
	for _, m := range w.leader.Members {
		if n := w.node(m.Name); n.State != ha.NodeOnline || len(n.Fences) != 0 {
			t.Errorf("%s is %s and counts %d fencings", m.Name, n.State, len(n.Fences))
		}
	}
	w.die("n3")
	w.run(30)
	if n := w.node("n3"); n.State != ha.NodeFenced || len(n.Fences) != 1 {
		t.Errorf("n3 died alone: it is %s and counts %d fencings", n.State, len(n.Fences))
	}
}

// An operator who knows better does not wait.
func TestOperatorFencesABootingNode(t *testing.T) {
	w := everythingWasDown(t)
	w.run(60)
	w.request(ha.RequestFence, "n3")
	w.run(30)
	w.wantNode("n3", ha.NodeFenced)
}
