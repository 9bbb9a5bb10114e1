package node

import (
	"testing"
	"time"

	"bascule/ha"
)

// A holder that committed failed(generation), which counts as released, starts the guest again in the same generation after it lost
// and regained its lease: the leader may be giving it to somebody else at the same moment.
func TestReviewNothingIsStartedInAGenerationThatWasReleased(t *testing.T) {
	w := ready(t)
	w.assign(mine(101, 3))
	w.here(101, false)
	for try := range 2 {
		for _, s := range []StepName{StepVerify, StepUnlock, StepStorages, StepRecheck} {
			w.do(s, Done, "")
		}
		w.do(StepStart, Failed, "no such volume")
		if try == 0 {
			w.pass(1100 * time.Millisecond)
		}
	}
	w.do(StepScan, Done, "")
	if r := w.said(); r.Phase != ha.PhaseFailed {
		t.Fatalf("report %+v", r)
	}
	g := w.recs[101]
	g.State = ha.GuestRecovery // the leader waits for a place elsewhere
	w.assign(g)
	w.now = w.s.Lease.Deadline
	w.ev(Tick{})
	w.ev(GuardSeen{Connected: true, Clean: true})
	w.ev(Granted{Sent: w.now, ID: 8, OK: true})
	w.ev(Registered{ID: 8, OK: true})
	w.here(101, false)
	for _, e := range w.out {
		if d, ok := e.(Do); ok && (d.Step == StepVerify || d.Step == StepStart) {
			t.Fatalf("step %s of generation %d although %s(3) is in the store and its state is %s", d.Step, d.Record.Generation, ha.PhaseFailed, g.State)
		}
	}
}

// A move is begun on the watched copy alone: no linearizable read says that it is still wanted.
func TestReviewMoveIsVerifiedBeforeItBegins(t *testing.T) {
	w := ready(t)
	g := mine(101, 3)
	w.here(101, true)
	w.assign(g)
	g.Generation, g.Move = 4, &ha.Move{From: "n1", Target: "n2", Inc: "b2", Live: true}
	w.assign(g)
	if d := want[Do](w); d.Step == StepMigrate {
		t.Fatal("the first step of a move is the migration itself")
	}
}

// A look for the cause of a stop never ends once the guest runs again.
func TestReviewCauseEndsWhenTheGuestRunsAgain(t *testing.T) {
	w := ready(t)
	w.here(101, true)
	w.assign(mine(101, 3))
	w.here(101, false)
	w.do(StepCause, Passing, "backup in stop mode")
	w.here(101, true)
	w.pass(causePause)
	none[Do](w)
}

// A process that cannot be killed (D state, no permission) is scanned and killed in turn without any pause.
func TestReviewKillAndScanPause(t *testing.T) {
	w := ready(t)
	g := ha.GuestRecord{ID: 101, Kind: ha.LXC, Node: "n2", Incarnation: "b2", Generation: 5, Requested: ha.RequestedStarted, State: ha.GuestStarted,
		Holders: []ha.Holder{{Node: "n2", Incarnation: "b2", Generation: 5}, {Node: "n1", Incarnation: "b1", Generation: 4}}}
	w.assign(g)
	began, n := w.now, 0
	for ; n < 100; n++ {
		var d *Do
		for i, e := range w.out {
			if x, ok := e.(Do); ok {
				d = &x
				w.out = append(w.out[:i:i], w.out[i+1:]...)
				break
			}
		}
		if d == nil {
			break
		}
		w.ev(StepDone{Guest: 101, Seq: d.Seq, Step: d.Step, Outcome: Unclean, Message: "operation not permitted"})
	}
	if n == 100 {
		t.Fatalf("%d kills and scans in %v", n, w.now.Sub(began))
	}
}

// A guest that runs here with its config, assigned elsewhere, held by nobody here: R2 wants it reported or ended.
func TestReviewGuestThatRunsHereButBelongsElsewhereIsReported(t *testing.T) {
	w := ready(t)
	w.assign(ha.GuestRecord{ID: 101, Kind: ha.QEMU, Node: "n2", Incarnation: "b2", Generation: 5, Requested: ha.RequestedStarted, State: ha.GuestStarting})
	w.here(101, true)
	w.pass(10 * time.Second)
	for _, e := range w.out {
		switch e.(type) {
		case Do, Report:
			return
		}
	}
	t.Fatal("neither reported nor ended")
}

// The witness's lease: GuardSeen comes once in its life (agent.Run); a lease that was lost never comes back.
func TestReviewWitnessGetsItsLeaseBack(t *testing.T) {
	w := newWorld(t)
	w.c.Witness = true
	w.ev(GuardSeen{Connected: true, Clean: true}) // as agent.Run does, once
	want[Grant](w)
	w.ev(Granted{Sent: w.now, ID: 7, OK: true})
	w.ev(Registered{ID: 7, OK: true})
	w.now = w.s.Lease.Deadline
	w.out = nil
	w.ev(Tick{})
	w.pass(time.Minute)
	want[Grant](w)
}

// While a renewal is under way at the deadline, the machine asks for a tick that lies in the past, again and again.
func TestReviewNoTickInThePast(t *testing.T) {
	w := ready(t)
	w.now = w.next
	w.ev(Tick{})
	want[Renew](w)
	w.now = w.s.Lease.Deadline.Add(10 * time.Millisecond)
	w.ev(Tick{})
	if w.next != 0 && w.next <= w.now {
		t.Fatalf("next tick %v ago: the loop runs a thousand times a second until the answer", w.now.Sub(w.next))
	}
}

// A stopped guest that was taken over is reported stopped; "starting" is the last that the leader hears of it.
func TestReviewTakenOverStoppedGuestIsReportedStopped(t *testing.T) {
	w := ready(t)
	g := mine(101, 3)
	g.Requested, g.State = ha.RequestedStopped, ha.GuestStopped
	w.assign(g)
	w.do(StepVerify, Done, "")
	w.do(StepClaim, Done, "")
	w.here(101, false)
	w.pass(10 * time.Second)
	if r := w.said(); r.Phase != ha.PhaseStopped {
		t.Fatalf("last report %+v", r)
	}
}

// The request to migrate may have been taken although its answer was lost (ErrStillRunning): the move may run, and must not be
// reported as failed because a second request met the first one's lock.
func TestReviewMoveWhoseAnswerWasLostIsNotAskedForAgain(t *testing.T) {
	w := ready(t)
	g := mine(101, 3)
	w.here(101, true)
	w.assign(g)
	g.Generation, g.Move = 4, &ha.Move{From: "n1", Target: "n2", Inc: "b2", Live: true}
	w.assign(g)
	d := want[Do](w)
	for d.Step != StepMigrate {
		w.ev(StepDone{Guest: 101, Seq: d.Seq, Step: d.Step, Outcome: Done})
		d = want[Do](w)
	}
	w.ev(StepDone{Guest: 101, Seq: d.Seq, Step: StepMigrate, Outcome: Transient, Message: "PVE's answer was lost, a worker may run"})
	w.here(101, true)
	w.pass(time.Second)
	for _, e := range w.out {
		if x, ok := e.(Do); ok && x.Step == StepMigrate {
			t.Fatal("asked again while the first worker may run: PVE answers \"locked\", and the leader gives the move up under the running worker")
		}
	}
}
