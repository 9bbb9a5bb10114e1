package node

import (
	"testing"
	"time"
)

func TestPermitCountsFromTheSending(t *testing.T) {
	w := newWorld(t)
	w.ev(GuardSeen{Connected: true, Clean: true})
	sent := w.now
	want[Grant](w)
	w.now = w.now.Add(800 * time.Millisecond) // a slow answer shortens the permit, never lengthens it
	w.ev(Granted{Sent: sent, ID: 7, OK: true})
	w.now = w.now.Add(100 * time.Millisecond)
	w.ev(Registered{ID: 7, OK: true})
	if d := want[Permit](w).Deadline; d != w.c.Timing.PermitDeadline(sent) {
		t.Fatalf("deadline %v after sending", d.Sub(sent))
	}
}

func TestNoPermitBeforeTheNodeIsRegistered(t *testing.T) {
	w := newWorld(t)
	w.ev(GuardSeen{Connected: true, Clean: true})
	want[Grant](w)
	w.ev(Granted{Sent: w.now, ID: 7, OK: true})
	none[Permit](w)
	w.ev(Registered{ID: 7, OK: false})
	none[Permit](w)
	if w.s.Lease.Valid(w.now) {
		t.Fatal("a permit without registration")
	}
}

func TestLostRenewalsEndThePermitOnItsDeadline(t *testing.T) {
	w := ready(t)
	deadline := w.s.Lease.Deadline
	for w.now < deadline {
		w.now = min(w.next, deadline)
		w.ev(Tick{})
		for _, e := range w.out {
			if r, ok := e.(Renew); ok {
				w.now = w.now.Add(time.Second)
				w.ev(Renewed{ID: r.ID, Sent: w.now, OK: false})
			}
		}
		w.out = nil
	}
	w.ev(Tick{})
	if w.s.Lease.Phase != LeaseEnding || w.s.Lease.ID != 0 {
		t.Fatalf("lease %+v", w.s.Lease)
	}
	w.now = w.now.Add(time.Minute)
	w.ev(Tick{})
	none[Grant](w) // not before the guard says that nothing runs
	w.ev(GuardSeen{Connected: true, Clean: false})
	none[Grant](w)
	w.ev(GuardSeen{Connected: true, Clean: true})
	want[Grant](w)
}

func TestRevokedLeaseEndsLeadershipAtOnce(t *testing.T) {
	w := ready(t)
	w.ev(LeaderSeen{Own: w.s.Lease.ID})
	want[Campaign](w)
	w.ev(Campaigned{Term: 40})
	if !w.s.Lease.Leads(w.now) {
		t.Fatal("does not lead")
	}
	w.pass(900 * time.Millisecond)
	w.now = w.next
	w.ev(Tick{})
	w.ev(Renewed{ID: 7, Sent: w.now, Gone: true})
	if w.s.Lease.Leads(w.now) || w.s.Lease.Valid(w.now) {
		t.Fatal("leads, or has a permit, without a lease")
	}
}

func TestAnswerOfAnOlderLeaseIsIgnored(t *testing.T) {
	w := ready(t)
	d := w.s.Lease.Deadline
	w.now = w.next
	w.ev(Tick{})
	want[Renew](w)
	w.ev(Renewed{ID: 6, Sent: w.now.Add(time.Hour), OK: true})
	if w.s.Lease.Deadline != d {
		t.Fatal("an answer about another lease moved the permit")
	}
}

func TestStartingDaemonIsQuiet(t *testing.T) {
	w := newWorld(t)
	w.ev(GuardSeen{Connected: true, Clean: true})
	w.ev(Granted{Sent: w.now, ID: 7, OK: true})
	w.ev(Registered{ID: 7, OK: true})
	w.ev(LeaderSeen{Own: w.s.Lease.ID})
	w.assign(mine(101, 3))
	w.here(101, false)
	for w.now < w.s.Lease.Quiet.Add(-10*time.Millisecond) {
		w.pass(5 * time.Millisecond)
		none[Campaign](w)
		none[Do](w)
	}
	w.pass(20 * time.Millisecond)
	want[Campaign](w)
	want[Do](w)
}

func TestRestartedDaemonGoesOnWithItsLease(t *testing.T) {
	w := newWorld(t)
	deadline := w.now.Add(2 * time.Second)
	w.s = Start(w.now, w.c, Kept{Lease: 9, Deadline: deadline})
	w.ev(GuardSeen{Connected: true, Clean: false, Deadline: deadline})
	if r := want[Renew](w); r.ID != 9 {
		t.Fatalf("renews %d", r.ID)
	}
	none[Grant](w)
	w.ev(LeaderSeen{Own: w.s.Lease.ID, Term: 33, Mine: true, Rev: 50}) // a term of the process before: given back
	if r := want[Resign](w); r.Term != 33 {
		t.Fatalf("resigned %d", r.Term)
	}
	late := Start(w.now, w.c, Kept{Lease: 9, Deadline: w.now})
	if late.Lease.ID != 0 {
		t.Fatal("adopted a lease whose permit had ended")
	}
}

func TestViewOlderThanOwnTermDoesNotUnseatTheLeader(t *testing.T) {
	w := ready(t)
	w.ev(LeaderSeen{Own: w.s.Lease.ID, Rev: 30})
	want[Campaign](w)
	w.ev(Campaigned{Term: 40})
	w.ev(LeaderSeen{Own: w.s.Lease.ID, Term: 0, Rev: 39})
	if w.s.Lease.Term != 40 {
		t.Fatal("a view from before the election took the term away")
	}
	w.ev(LeaderSeen{Own: w.s.Lease.ID, Term: 55, Rev: 60})
	if w.s.Lease.Term != 0 {
		t.Fatal("leads under a term that is over")
	}
}

func TestWitnessNeverCampaigns(t *testing.T) {
	w := newWorld(t)
	w.c.Witness = true
	w.ev(GuardSeen{Connected: true, Clean: true})
	w.ev(Granted{Sent: w.now, ID: 7, OK: true})
	w.ev(Registered{ID: 7, OK: true})
	w.ev(LeaderSeen{Own: w.s.Lease.ID})
	w.pass(20 * time.Second)
	none[Campaign](w)
}

func TestLeaveResignsAndStartsNothing(t *testing.T) {
	w := ready(t)
	w.ev(LeaderSeen{Own: w.s.Lease.ID})
	want[Campaign](w)
	w.ev(Campaigned{Term: 40})
	w.ev(Leave{})
	want[Resign](w)
	w.ev(LeaderSeen{Own: w.s.Lease.ID, Rev: 99})
	w.assign(mine(101, 3))
	w.here(101, false)
	w.pass(3 * time.Second)
	none[Campaign](w)
	none[Do](w)
}
