package node

import (
	"testing"
	"time"

	"bascule/ha"
)

func TestTakeOverStepByStep(t *testing.T) {
	w := ready(t)
	w.assign(mine(101, 3))
	w.do(StepVerify, Done, "")
	if r := w.said(); r.Phase != ha.PhaseStarting || r.Generation != 3 {
		t.Fatalf("report %+v", r)
	}
	w.do(StepClaim, Transient, "pmxcfs blocks")
	none[Do](w)
	w.pass(time.Second)
	w.do(StepClaim, Done, "")
	w.do(StepUnlock, Done, "")
	w.do(StepStorages, Done, "")
	w.do(StepRecheck, Done, "")
	w.do(StepStart, Done, "")
	w.do(StepConfirm, Done, "")
	if r := w.said(); r.Phase != ha.PhaseRunning || r.Generation != 3 || r.Incarnation != "b1" {
		t.Fatalf("report %+v", r)
	}
	w.pass(3 * time.Second)
	none[Do](w)
}

func TestLookThatBeganBeforeTheStartDoesNotUndoIt(t *testing.T) {
	w := ready(t)
	w.here(101, false)
	old := w.now
	w.assign(mine(101, 3))
	for _, s := range []StepName{StepVerify, StepUnlock, StepStorages, StepRecheck, StepStart, StepConfirm} {
		w.do(s, Done, "")
	}
	w.ev(Looked{Began: old, Guests: []ha.GuestSeen{{ID: 101, Protected: true}}})
	none[Do](w)
}

func TestNothingStartsWithoutPermitOrGuard(t *testing.T) {
	w := ready(t)
	w.ev(GuardSeen{Connected: false})
	w.assign(mine(101, 3))
	w.here(101, false)
	w.pass(2 * time.Second)
	none[Do](w)
	w.ev(GuardSeen{Connected: true, Clean: true})
	w.do(StepVerify, NotMine, "assigned to n3")
	none[Do](w)
}

func TestPermitThatEndsInTheMiddleDropsTheJob(t *testing.T) {
	w := ready(t)
	w.assign(mine(101, 3))
	w.here(101, false)
	w.do(StepVerify, Done, "")
	w.do(StepUnlock, Done, "")
	w.do(StepStorages, Done, "")
	w.do(StepRecheck, Done, "")
	start := want[Do](w)
	w.now = w.s.Lease.Deadline
	w.ev(Tick{})
	w.out = nil
	w.ev(StepDone{Guest: 101, Seq: start.Seq, Step: StepStart, Outcome: Done})
	w.here(101, false)
	none[Do](w)
	if r := w.said(); r.Phase == ha.PhaseRunning {
		t.Fatal("an answer from before the permit's end counted")
	}
	// the guard is done, a new lease: the guest is started again in the same generation
	w.ev(GuardSeen{Connected: true, Clean: true})
	w.ev(Granted{Sent: w.now, ID: 8, OK: true})
	w.ev(Registered{ID: 8, OK: true})
	w.do(StepVerify, Done, "")
}

func TestFailedStartsEndInAReportOnlyWhenNothingIsLeft(t *testing.T) {
	w := ready(t)
	w.assign(mine(101, 3))
	w.here(101, false)
	for try := range 2 {
		w.do(StepVerify, Done, "")
		w.do(StepUnlock, Done, "")
		w.do(StepStorages, Done, "")
		w.do(StepRecheck, Done, "")
		w.do(StepStart, Failed, "no such volume")
		if try == 0 {
			none[Do](w)
			w.pass(1100 * time.Millisecond)
		}
	}
	w.said()
	w.do(StepScan, Unclean, "a worker is left")
	if r := w.said(); r.Phase.Gone() {
		t.Fatal("released with a worker left")
	}
	w.do(StepKill, Done, "")
	w.do(StepScan, Done, "")
	r := w.said()
	if r.Phase != ha.PhaseFailed || r.Message != "no such volume (attempt 2)" {
		t.Fatalf("report %+v", r)
	}
	w.pass(time.Minute)
	none[Do](w)
}

func TestUsersStopIsRespectedACrashIsNot(t *testing.T) {
	for _, c := range []struct {
		outcome Outcome
		want    ha.Phase
		user    bool
	}{{ByUser, ha.PhaseStopped, true}, {Done, ha.PhaseStarting, false}} {
		w := ready(t)
		w.here(101, true)
		w.assign(mine(101, 3))
		if r := w.said(); r.Phase != ha.PhaseRunning {
			t.Fatalf("report %+v", r)
		}
		w.here(101, false)
		w.do(StepCause, c.outcome, "root@pam stopped it")
		if !c.user {
			w.pass(1100 * time.Millisecond)
		}
		if r := w.said(); r.Phase != c.want || r.ByOperator != c.user {
			t.Fatalf("%s: report %+v", c.outcome, r)
		}
	}
}

func TestPassingStopIsWaitedOut(t *testing.T) {
	w := ready(t)
	w.here(101, true)
	w.assign(mine(101, 3))
	w.here(101, false)
	w.do(StepCause, Passing, "backup in stop mode")
	none[Do](w)
	w.pass(causePause)
	w.do(StepCause, Passing, "backup in stop mode")
	w.said()
	w.now = w.now.Add(time.Second)
	w.here(101, true)
	w.pass(causePause)
	none[Do](w)
	if r := w.said(); r.Phase != "" {
		t.Fatalf("report %+v: it had been reported running", r)
	}
}

// A migration that stopped a container and failed leaves it down: nobody but us starts it again.
func TestAPassingStopThatIsOverIsNotWaitedOutForEver(t *testing.T) {
	w := ready(t)
	w.here(101, true)
	w.assign(mine(101, 3))
	w.here(101, false)
	for end := w.now.Add(passedPatience); w.now < end; {
		w.do(StepCause, Passed, "migration")
		w.pass(causePause)
	}
	w.do(StepCause, Passed, "migration")
	w.pass(1100 * time.Millisecond)
	if d := want[Do](w); d.Step != StepVerify {
		t.Fatalf("goes on with %s", d.Step)
	}
}

func TestMoveAndRelease(t *testing.T) {
	w := ready(t)
	g := mine(101, 3)
	w.here(101, true)
	w.assign(g)
	w.said()
	g.Generation, g.Move = 4, &ha.Move{From: "n1", Target: "n2", Inc: "b2", Live: true}
	g.Holders = []ha.Holder{{Node: "n1", Incarnation: "b1", Generation: 4}, {Node: "n2", Incarnation: "b2", Generation: 4}}
	w.assign(g)
	w.do(StepVerify, Done, "")
	w.do(StepMigrate, Done, "")
	none[Do](w) // where it is now is looked at afresh
	w.now = w.now.Add(time.Millisecond)
	delete(w.seen, 101)
	w.look()
	w.do(StepScan, Done, "")
	if r := w.said(); r.Phase != ha.PhaseReleased || r.Generation != 4 || r.ConfigGone {
		t.Fatalf("report %+v", r)
	}
}

func TestFailedMoveIsReportedFromAFreshLook(t *testing.T) {
	w := ready(t)
	g := mine(101, 3)
	w.here(101, true)
	w.assign(g)
	g.Generation, g.Move = 4, &ha.Move{From: "n1", Target: "n2", Inc: "b2", Live: true}
	w.assign(g)
	w.said()
	w.do(StepVerify, Done, "")
	w.do(StepMigrate, Failed, "no route to host")
	if r := w.said(); r.Phase != ha.PhaseMigrating {
		t.Fatalf("reported %+v from an old look", r)
	}
	w.here(101, true)
	if r := w.said(); r.Phase != ha.PhaseRunning || r.Message != "no route to host" {
		t.Fatalf("report %+v", r)
	}
	none[Do](w)
}

func TestTargetOfAMoveNeverReleasesWhileItIsTarget(t *testing.T) {
	w := ready(t)
	g := ha.GuestRecord{ID: 101, Kind: ha.QEMU, Node: "n2", Incarnation: "b2", Generation: 4, Requested: ha.RequestedStarted, State: ha.GuestMigrating,
		Move:    &ha.Move{From: "n2", Target: "n1", Inc: "b1", Live: true},
		Holders: []ha.Holder{{Node: "n2", Incarnation: "b2", Generation: 4}, {Node: "n1", Incarnation: "b1", Generation: 4}}}
	w.assign(g)
	none[Report](w)
	w.do(StepExpect, Done, "") // the guard knows it: only now may the move begin
	if r := w.said(); r.Phase != ha.PhaseExpecting || r.Phase.Gone() {
		t.Fatalf("report %+v", r)
	}
	w.look()
	w.pass(3 * time.Second)
	none[Do](w)
	none[Report](w)
	w.here(101, true)
	if r := w.said(); r.Phase != ha.PhaseRunning || r.Generation != 4 {
		t.Fatalf("report %+v", r)
	}
}

func TestFormerHolderLooksBeforeItReleases(t *testing.T) {
	w := ready(t)
	g := ha.GuestRecord{ID: 101, Kind: ha.LXC, Node: "n2", Incarnation: "b2", Generation: 5, Requested: ha.RequestedStarted, State: ha.GuestStarted,
		Holders: []ha.Holder{{Node: "n2", Incarnation: "b2", Generation: 5}, {Node: "n1", Incarnation: "b1", Generation: 4}}}
	w.assign(g)
	w.do(StepScan, Unclean, "monitor left")
	none[Do](w) // its config may have come meanwhile: a newer look first
	w.pass(killPause)
	w.look()
	w.do(StepScan, Unclean, "monitor left")
	w.do(StepKill, Done, "")
	w.do(StepScan, Done, "")
	if r := w.said(); r.Phase != ha.PhaseReleased || r.Generation != 5 {
		t.Fatalf("report %+v", r)
	}
	w.pass(5 * time.Second)
	none[Do](w)
}

func TestStrayIsEnded(t *testing.T) {
	w := ready(t)
	w.assign(ha.GuestRecord{ID: 101, Kind: ha.QEMU, Node: "n2", Incarnation: "b2", Generation: 5, Requested: ha.RequestedStarted, State: ha.GuestStarted})
	w.now = w.now.Add(time.Second)
	w.ev(Looked{Began: w.now, Quorate: true, Strays: []ha.VMID{101}})
	none[Do](w) // its config may have come with it: a newer look first
	w.now = w.now.Add(time.Second)
	w.ev(Looked{Began: w.now, Quorate: true, Strays: []ha.VMID{101}})
	w.do(StepKill, Done, "")
}

func TestOnbootIsTakenBeforeAnythingElse(t *testing.T) {
	w := ready(t)
	w.seen[101] = ha.GuestSeen{ID: 101, Kind: ha.QEMU, Protected: true, Onboot: true}
	w.look()
	w.assign(mine(101, 1))
	w.do(StepOnboot, Done, "")
	w.do(StepVerify, Done, "")
}

func TestOnbootIsPutBackWhenProtectionEnds(t *testing.T) {
	w := ready(t)
	w.seen[101] = ha.GuestSeen{ID: 101, Kind: ha.QEMU}
	w.look()
	w.ev(View{Records: map[ha.VMID]ha.GuestRecord{}, Onboot: map[ha.VMID]bool{101: true}})
	w.do(StepRestore, Done, "")
}

func TestStartsAreBounded(t *testing.T) {
	w := ready(t)
	for id := range ha.VMID(4) {
		w.seen[101+id] = ha.GuestSeen{ID: 101 + id, Kind: ha.QEMU, Protected: true}
		w.recs[101+id] = mine(101+id, 1)
	}
	w.look()
	w.view()
	var starting []Do
	for len(starting) < w.c.ParallelStarts {
		d := want[Do](w)
		if d.Step == StepStart {
			starting = append(starting, d)
			continue
		}
		w.ev(StepDone{Guest: d.Guest, Seq: d.Seq, Step: d.Step, Outcome: Done})
	}
	for range 3 * 2 { // the other two, up to their last verification
		w.answerAll()
		w.pass(transientPause)
	}
	for _, e := range w.out {
		if d, ok := e.(Do); ok && (d.Step == StepStart || d.Step == StepRecheck) {
			t.Fatalf("guest %d: %s beside %d others", d.Guest, d.Step, len(starting))
		}
	}
}

// answerAll answers every step that is asked for, but those of a start.
func (w *world) answerAll() {
	out := w.out
	w.out = nil
	for _, e := range out {
		if d, ok := e.(Do); ok && d.Step != StepStart && d.Step != StepRecheck {
			w.ev(StepDone{Guest: d.Guest, Seq: d.Seq, Step: d.Step, Outcome: Done})
		} else {
			w.out = append(w.out, e)
		}
	}
}

func TestFrozenIsLeftAlone(t *testing.T) {
	w := ready(t)
	g := mine(101, 3)
	g.State = ha.GuestFrozen
	w.assign(g)
	w.here(101, false)
	w.pass(10 * time.Second)
	none[Do](w)
}

func TestConfigThatIsNowhereIsReleasedAsGone(t *testing.T) {
	w := ready(t)
	w.assign(mine(101, 3))
	w.do(StepVerify, Done, "")
	w.do(StepClaim, ConfigGone, "nowhere")
	w.do(StepScan, Done, "")
	if r := w.said(); r.Phase != ha.PhaseReleased || !r.ConfigGone {
		t.Fatalf("report %+v", r)
	}
	w.pass(5 * time.Second)
	none[Do](w)
}

func TestArrivedGuestIsLookedAtAfresh(t *testing.T) {
	w := ready(t)
	g := ha.GuestRecord{ID: 101, Kind: ha.QEMU, Node: "n2", Incarnation: "b2", Generation: 4, Requested: ha.RequestedStarted, State: ha.GuestMigrating,
		Move: &ha.Move{From: "n2", Target: "n1", Inc: "b1", Live: true}}
	w.assign(g)
	w.do(StepExpect, Done, "")
	w.look() // it has not come yet
	w.out = nil
	w.now = w.now.Add(10 * time.Millisecond)
	g.Node, g.Incarnation, g.Generation, g.Move = "n1", "b1", 5, nil
	w.assign(g)
	none[Do](w)
	want[Look](w)
	w.here(101, true)
	none[Do](w)
	if r := w.said(); r.Phase != ha.PhaseRunning || r.Generation != 5 {
		t.Fatalf("report %+v", r)
	}
}

func TestNothingIsDoneBeforeTheFirstLook(t *testing.T) {
	w := ready(t)
	w.s.Looked = false
	w.assign(mine(101, 3))
	w.pass(5 * time.Second)
	none[Do](w)
}
