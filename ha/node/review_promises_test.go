package node

import (
	"testing"
	"time"

	"bascule/ha"
)

// What a second adversarial review found: about starts that wait, disarming, membership and promises.

// runTo answers steps with Done until one is handed out, and returns that.
func (w *world) runTo(step StepName) Do {
	w.t.Helper()
	for range 20 {
		d := want[Do](w)
		if d.Step == step {
			w.out = nil
			return d
		}
		w.out = nil
		w.ev(StepDone{Guest: d.Guest, Seq: d.Seq, Step: d.Step, Outcome: Done})
	}
	w.t.Fatalf("%s was never handed out", step)
	return Do{}
}

func starting(t *testing.T) *world {
	w := ready(t)
	w.seen[101] = ha.GuestSeen{ID: 101, Kind: ha.QEMU, Protected: true}
	w.look()
	w.assign(ha.GuestRecord{ID: 101, Node: "n1", Incarnation: "b1", Generation: 4, Requested: ha.RequestedStarted, State: ha.GuestStarting})
	return w
}

func TestAStartThatHadToWaitIsVerifiedAnew(t *testing.T) {
	w := starting(t)
	d := w.runTo(StepRecheck)
	w.ev(GuardSeen{Connected: false})
	w.ev(StepDone{Guest: 101, Seq: d.Seq, Step: StepRecheck, Outcome: Done})
	none[Do](w)
	w.ev(GuardSeen{Connected: true})
	if d := want[Do](w); d.Step != StepRecheck {
		t.Fatalf("it goes on with %s", d.Step)
	}
}

func TestAStartThatGoesOnIsLookedAtNotKilled(t *testing.T) {
	w := starting(t)
	d := w.runTo(StepStart)
	for range 60 {
		w.ev(Renewed{ID: w.s.Lease.ID, Sent: w.now, OK: true})
		w.pass(5 * time.Second)
	}
	w.out = nil
	w.ev(StepDone{Guest: 101, Seq: d.Seq, Step: StepStart, Outcome: Working, Message: "no answer in 5m0s"})
	if d = want[Do](w); d.Step != StepConfirm {
		t.Fatalf("it goes on with %s", d.Step)
	}
	w.ev(StepDone{Guest: 101, Seq: d.Seq, Step: StepConfirm, Outcome: Done})
	if g := w.s.Guests[101]; !g.Seen.Running || g.Job.Step != StepNone {
		t.Fatalf("%+v", g)
	}
}

func TestAPermitFromBeforeTheDisarmingIsRefused(t *testing.T) {
	tm, _ := ha.Profile("normal")
	now := ha.Instant(100 * time.Second)
	guests := []GuestRef{{ID: 101, Kind: ha.QEMU}}
	s := NewGuard(tm, "b1", GuardSaved{})
	s, _ = GuardStep(now, s, GuardPermit{Deadline: now.Add(4 * time.Second), Guests: guests, Incarnation: "b1", Sent: now})
	sent := now.Add(time.Second) // stamped, then held up
	s, _ = GuardStep(now.Add(1500*time.Millisecond), s, GuardDisarm{Sent: now.Add(1400 * time.Millisecond)})
	s, _ = GuardStep(now.Add(1600*time.Millisecond), s, GuardPermit{Deadline: sent.Add(4 * time.Second), Guests: guests, Incarnation: "b1", Sent: sent})
	if s.Phase != GuardDisarmed {
		t.Fatalf("phase %s", s.Phase)
	}
	s, _ = GuardStep(now.Add(20*time.Second), s, GuardPermit{Deadline: now.Add(24 * time.Second), Guests: guests, Incarnation: "b1", Sent: now.Add(20 * time.Second)})
	if s.Phase != GuardPermitted {
		t.Fatalf("a new daemon's permit: phase %s", s.Phase)
	}
}

func TestANodeThatIsNotListedDoesNotCampaign(t *testing.T) {
	w := ready(t)
	w.ev(View{Rev: 50, Records: w.recs, Cluster: ha.ClusterRecord{Epoch: 1, ListRev: 3, Members: []ha.NodeName{"a", "b", "c"}}})
	w.ev(LeaderSeen{Term: 0, Rev: 50, Own: 7})
	w.pass(time.Second)
	none[Campaign](w)
	w.ev(View{Rev: 51, Records: w.recs, Cluster: ha.ClusterRecord{Epoch: 1, ListRev: 51, Members: []ha.NodeName{"a", "b", "c", "n1"}}})
	w.pass(time.Second)
	want[Campaign](w)
}

func TestALostResignationIsRepeated(t *testing.T) {
	w := ready(t)
	w.ev(LeaderSeen{Own: w.s.Lease.ID})
	want[Campaign](w)
	w.ev(Campaigned{Term: 40})
	w.ev(Renewed{ID: w.s.Lease.ID, Sent: w.now}) // the store does not answer …
	w.s.Peers.Failing, w.s.Members = true, []ha.NodeName{"n1", "n2"}
	w.ev(PeerAsked{From: "n2", Incarnation: "b2", Round: 1})
	want[Resign](w)
	w.out = nil
	w.pass(w.c.Timing.RenewEvery) // … and this was lost
	if r := want[Resign](w); r.Term != 40 {
		t.Fatalf("term %d", r.Term)
	}
	w.ev(LeaderSeen{Own: w.s.Lease.ID, Rev: 99})
	w.out = nil
	w.pass(5 * w.c.Timing.RenewEvery)
	none[Resign](w)
}

func TestAPromiseLastsAsLongAsTheAskersPermit(t *testing.T) {
	w := ready(t)
	w.s.Peers.Failing, w.s.Members = true, []ha.NodeName{"n1", "n2"}
	w.ev(PeerAsked{From: "n2", Incarnation: "b2", Round: 1, TTL: 20 * time.Second})
	if got, least := w.s.Promises["n2"], w.now.Add(20*time.Second); got < least {
		t.Fatalf("promised until %v, its permit lasts until %v", got, least)
	}
	if a := want[AnswerPeer](w); !a.Promise {
		t.Fatal(a.Why)
	}
	w.ev(PeerAsked{From: "n2", Incarnation: "b2", Round: 2, TTL: time.Hour})
	if a := want[AnswerPeer](w); a.Promise {
		t.Fatal("promised an hour")
	}
	again := Start(w.now, w.c, Kept{Longest: w.s.Longest})
	if again.Lease.Quiet < w.s.Promises["n2"] {
		t.Fatalf("a restarted daemon is quiet until %v, its promise ends at %v", again.Lease.Quiet, w.s.Promises["n2"])
	}
}
