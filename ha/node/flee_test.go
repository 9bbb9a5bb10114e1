package node

import (
	"strings"
	"testing"
	"time"

	"bascule/ha"
)

// fleeing is a guest that runs here and is to leave for n2, because its storage is lost here.
func fleeing(t *testing.T) (*world, ha.GuestRecord) {
	w := ready(t)
	g := mine(101, 3)
	w.here(101, true)
	w.assign(g)
	w.said()
	g.Generation, g.State, g.Move = 4, ha.GuestRelocating, &ha.Move{From: "n1", Target: "n2", Inc: "b2", Stop: true}
	g.Holders = []ha.Holder{{Node: "n1", Incarnation: "b1", Generation: 4}, {Node: "n2", Incarnation: "b2", Generation: 4}}
	w.assign(g)
	return w, g
}

// TestFleeing: verified like a move (the target expects it), stopped, and released only after a scan found nothing. What a stop says does
// not count; what it leaves is killed, without waiting for anybody's worker: that one hangs on the same storage.
func TestFleeing(t *testing.T) {
	type step struct {
		name StepName
		out  Outcome
	}
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"stopped in order", []step{{StepVerify, Done}, {StepStop, Done}, {StepScan, Done}}},
		{"the target is not ready yet", []step{{StepVerify, Transient}, {StepVerify, Done}, {StepStop, Done}, {StepScan, Done}}},
		{"the stop's time is over", []step{{StepVerify, Done}, {StepStop, Transient}, {StepScan, Unclean}, {StepKill, Done}, {StepScan, Done}}},
		{"the stop fails", []step{{StepVerify, Done}, {StepStop, Failed}, {StepScan, Unclean}, {StepKill, Done}, {StepScan, Unclean}, {StepKill, Done}, {StepScan, Done}}},
		{"the stop succeeds and something is left", []step{{StepVerify, Done}, {StepStop, Done}, {StepScan, Unclean}, {StepKill, Done}, {StepScan, Done}}},
		{"the stop's worker hangs", []step{{StepVerify, Done}, {StepStop, Transient}, {StepScan, Working}, {StepKill, Done}, {StepScan, Done}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, _ := fleeing(t)
			for i, s := range c.steps {
				if r := w.said(); r.Phase.Gone() {
					t.Fatalf("before step %d it says %s", i, r.Phase)
				}
				w.pass(2 * time.Second)
				w.do(s.name, s.out, "x")
			}
			if r := w.said(); r.Phase != ha.PhaseReleased || r.Generation != 4 {
				t.Fatalf("report %+v", r)
			}
			w.here(101, false) // the config still lies here
			w.pass(time.Minute)
			none[Do](w)
			none[Report](w)
		})
	}
}

// TestFleeingFromAProcessThatStays: it is reported, tried again and again, and never called released.
func TestFleeingFromAProcessThatStays(t *testing.T) {
	w, _ := fleeing(t)
	w.do(StepVerify, Done, "")
	w.do(StepStop, Transient, "context deadline exceeded")
	began := w.now
	for i := range 40 {
		w.pass(slowKillPause + time.Second)
		w.do(StepScan, Unclean, "1 processes of VM 101 are left")
		if i > 0 && i <= tellKills && w.now.Sub(began) < 2*time.Second {
			t.Fatal("no pause between two rounds")
		}
		w.pass(slowKillPause + time.Second)
		w.do(StepKill, Done, "")
		if r := w.said(); r.Phase.Gone() || i > tellKills && r.Phase != "" && !strings.Contains(r.Message, "does not end") {
			t.Fatalf("round %d: %+v", i, r)
		}
	}
	if g := w.s.Guests[101].Written; g.Phase != ha.PhaseMigrating || !strings.Contains(g.Message, "1 processes of VM 101") {
		t.Fatalf("it says %+v", g)
	}
	w.pass(slowKillPause + time.Second)
	w.do(StepScan, Done, "")
	if r := w.said(); r.Phase != ha.PhaseReleased {
		t.Fatalf("report %+v", r)
	}
}

// TestFleeingEndsWithTheTarget: a target that is gone before anything was stopped leaves the guest as it is.
func TestFleeingEndsWithTheTarget(t *testing.T) {
	w, _ := fleeing(t)
	w.do(StepVerify, Failed, "n2 is not in the boot any more that was to take it")
	none[Do](w)
	w.here(101, true)
	if r := w.said(); r.Phase != ha.PhaseRunning || !strings.Contains(r.Message, "n2 is not in the boot") {
		t.Fatalf("report %+v", r)
	}
}

// TestFleeingAfterARestart: a daemon that starts anew goes on from what the store has of it.
func TestFleeingAfterARestart(t *testing.T) {
	for _, c := range []struct {
		said ha.Phase
		want StepName
	}{{ha.PhaseMigrating, StepVerify}, {ha.PhaseReleased, StepNone}} {
		t.Run(string(c.said), func(t *testing.T) {
			old, g := fleeing(t)
			w := newWorld(t)
			w.recs = old.recs
			w.ev(GuardSeen{Connected: true, Clean: true})
			want[Grant](w)
			w.ev(Granted{Sent: w.now, ID: 8, OK: true})
			want[Register](w)
			w.ev(Registered{ID: 8, OK: true})
			w.ev(View{Records: w.recs, Reports: map[ha.VMID]ha.GuestReport{101: {Guest: 101, Node: "n1", Incarnation: "b1", Generation: g.Generation, Phase: c.said}}})
			w.out = nil
			w.here(101, false)
			for range 8 {
				w.pass(time.Second)
			}
			if c.want == StepNone {
				none[Do](w)
				none[Report](w)
				return
			}
			if d := want[Do](w); d.Step != c.want {
				t.Fatalf("step %s, want %s", d.Step, c.want)
			}
		})
	}
}

// TestTargetOfAFlightDoesNotLook: nothing comes by itself, however long the other node takes.
func TestTargetOfAFlightDoesNotLook(t *testing.T) {
	w := ready(t)
	w.assign(ha.GuestRecord{ID: 101, Kind: ha.QEMU, Node: "n2", Incarnation: "b2", Generation: 4, Requested: ha.RequestedStarted, State: ha.GuestRelocating,
		Move:    &ha.Move{From: "n2", Target: "n1", Inc: "b1", Stop: true},
		Holders: []ha.Holder{{Node: "n2", Incarnation: "b2", Generation: 4}, {Node: "n1", Incarnation: "b1", Generation: 4}}})
	w.do(StepExpect, Done, "")
	if r := w.said(); r.Phase != ha.PhaseExpecting {
		t.Fatalf("report %+v", r)
	}
	w.look()
	w.pass(time.Minute)
	none[Do](w)
	none[Look](w)
	none[Report](w)
}

// TestFleeingGuestStaysReleased: what was released stays so when the permit ends and comes back.
func TestFleeingGuestStaysReleased(t *testing.T) {
	w, _ := fleeing(t)
	w.do(StepVerify, Done, "")
	w.do(StepStop, Done, "")
	w.do(StepScan, Done, "")
	if r := w.said(); r.Phase != ha.PhaseReleased {
		t.Fatalf("report %+v", r)
	}
	m := machine{c: w.c, now: w.now, s: w.s}
	m.dropJobs()
	w.s = m.s
	w.here(101, false)
	w.pass(10 * time.Second)
	for _, e := range w.out {
		if r, ok := e.(Report); ok && !r.Report.Phase.Gone() {
			t.Fatalf("it takes the release back: %+v", r.Report)
		}
	}
	none[Do](w)
}
