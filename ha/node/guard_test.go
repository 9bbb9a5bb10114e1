package node

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"bascule/ha"

	"github.com/google/go-cmp/cmp"
)

const guardTestStart = ha.Instant(1000 * time.Second)

func guardTestTiming(t testing.TB) ha.Timing {
	t.Helper()
	tm, err := ha.Profile("normal") // grace 500ms, kill 3s, feed 2s, watchdog 10s, TTL 5s
	if err != nil {
		t.Fatal(err)
	}
	return tm
}

// guardRun drives a guard by hand: the clock moves only where a test says so.
type guardRun struct {
	t   testing.TB
	now ha.Instant
	s   GuardState
	out []GuardEffect // of the last step
}

func newGuardRun(t testing.TB, saved GuardSaved, slots ...string) *guardRun {
	return &guardRun{t: t, now: guardTestStart, s: NewGuard(guardTestTiming(t), "boot1", saved, slots...)}
}

func (r *guardRun) step(after time.Duration, e GuardEvent) *guardRun {
	r.now = r.now.Add(after)
	r.s, r.out = GuardStep(r.now, r.s, e)
	return r
}

func (r *guardRun) permit(after, length time.Duration, ids ...ha.VMID) *guardRun {
	return r.step(after, GuardPermit{Deadline: r.now.Add(after + length), Guests: guardRefs(ids...), Incarnation: "boot1"})
}

func (r *guardRun) arm() *guardRun {
	return r.step(0, GuardArm{}).want("arm").step(0, GuardWatchdogOK{WatchdogOpen})
}

func (r *guardRun) scan(after time.Duration, left ...GuardRemnant) *guardRun {
	return r.step(after, GuardScanResult{Seq: r.s.ScanSeq, Remaining: left})
}

// want compares the last step's effects without wake-ups and logs, in short words.
func (r *guardRun) want(words ...string) *guardRun {
	r.t.Helper()
	if diff := cmp.Diff(strings.Join(words, " "), strings.Join(guardWords(r.out), " ")); diff != "" {
		r.t.Fatalf("at +%v in %s, effects (-want +got):\n%s", r.now.Sub(guardTestStart), r.s.Phase, diff)
	}
	return r
}

func (r *guardRun) phase(p GuardPhase) *guardRun {
	r.t.Helper()
	if r.s.Phase != p {
		r.t.Fatalf("at +%v: phase %s, want %s; effects %v", r.now.Sub(guardTestStart), r.s.Phase, p, r.out)
	}
	return r
}

func guardWords(out []GuardEffect) []string {
	words := []string{}
	for _, e := range out {
		switch e := e.(type) {
		case GuardArmWatchdog:
			words = append(words, "arm")
		case GuardFeed:
			words = append(words, "feed")
		case GuardStopFeeding:
			words = append(words, "stop-feeding")
		case GuardEndNode:
			words = append(words, "end-"+string(e.How))
		case GuardDisarmWatchdog:
			words = append(words, "disarm")
		case GuardKillWorkers:
			words = append(words, "workers"+guardIDs(e.Guests))
		case GuardKillGuests:
			words = append(words, "guests"+guardIDs(e.Guests))
		case GuardScan:
			words = append(words, "scan")
		case GuardRefuse:
			words = append(words, "refuse")
		}
	}
	return words
}

func guardIDs(refs []GuestRef) string {
	ids := []string{}
	for _, g := range refs {
		ids = append(ids, fmt.Sprint(g.ID))
	}
	return "(" + strings.Join(ids, ",") + ")"
}

func guardRefs(ids ...ha.VMID) []GuestRef {
	refs := []GuestRef{}
	for _, id := range ids {
		refs = append(refs, GuestRef{ID: id, Kind: ha.QEMU})
	}
	return refs
}

func guardWake(t testing.TB, out []GuardEffect) ha.Instant {
	t.Helper()
	if w, ok := out[len(out)-1].(GuardWakeAt); ok {
		return w.At
	}
	t.Fatalf("no wake-up asked for in %v", out)
	return 0
}

const (
	gms = time.Millisecond
	gs  = time.Second
)

var guardLeft = GuardRemnant{Guest: 101, PID: 4711, What: "guest"}

func TestGuardWithoutPermitNeverKills(t *testing.T) {
	r := newGuardRun(t, GuardSaved{}).arm()
	for range 20 {
		r.step(2*gs, GuardTick{}).want("feed").phase(GuardIdle)
	}
	if !r.s.Armed() {
		t.Fatal("not armed after the watchdog opened")
	}
}

func TestGuardKillsAfterGraceAndFeedsWhenClean(t *testing.T) {
	r := newGuardRun(t, GuardSaved{}).permit(0, 4*gs, 102, 101).phase(GuardPermitted).arm()
	r.step(2*gs, GuardTick{}).want("feed")
	r.step(2*gs, GuardTick{}).want("feed").phase(GuardGrace)
	if at := guardWake(t, r.out); at != guardTestStart.Add(4500*gms) {
		t.Fatalf("wakes at +%v, want the end of permit_grace", at.Sub(guardTestStart))
	}
	r.step(499*gms, GuardTick{}).want().phase(GuardGrace)
	r.step(1*gms, GuardTick{}).want("workers(101,102)", "guests(101,102)", "scan").phase(GuardKilling)
	r.scan(20*gms, guardLeft).want()
	r.step(100*gms, GuardTick{}).want("workers(101,102)", "guests(101,102)", "scan")
	r.scan(20 * gms).want("scan").phase(GuardKilling) // one empty scan is not enough
	r.scan(20 * gms).want("feed").phase(GuardClean)
	for range 5 { // a scan each second, a feeding each other one
		r.step(1*gs, GuardTick{}).want("scan").scan(0).phase(GuardClean)
		r.step(1*gs, GuardTick{}).want("scan", "feed").scan(0).phase(GuardClean)
	}
}

func TestGuardPermitRules(t *testing.T) {
	t.Run("renewed in grace", func(t *testing.T) {
		newGuardRun(t, GuardSaved{}).permit(0, 4*gs, 101).step(4300*gms, GuardTick{}).phase(GuardGrace).
			permit(0, 4*gs, 101).want().phase(GuardPermitted)
	})
	t.Run("too late by a moment", func(t *testing.T) {
		newGuardRun(t, GuardSaved{}).permit(0, 4*gs, 101).
			permit(4500*gms, 4*gs, 101).want("refuse", "workers(101)", "guests(101)", "scan").phase(GuardKilling)
	})
	t.Run("an earlier deadline never shortens", func(t *testing.T) {
		r := newGuardRun(t, GuardSaved{}).permit(0, 4*gs, 101, 102).permit(0, 3*gs, 101).want("refuse")
		if len(r.s.Guests) != 2 || r.s.Deadline != guardTestStart.Add(4*gs) {
			t.Fatalf("the older permit changed the state: %+v", r.s)
		}
	})
	t.Run("an overtaken permit with the same deadline", func(t *testing.T) {
		r := newGuardRun(t, GuardSaved{})
		d := r.now.Add(4 * gs)
		r.step(3*gms, GuardPermit{Deadline: d, Guests: guardRefs(101, 102), Sent: guardTestStart + 2}).want()
		r.step(1*gms, GuardPermit{Deadline: d, Guests: guardRefs(101), Sent: guardTestStart + 1}).want("refuse")
		if len(r.s.Guests) != 2 {
			t.Fatalf("the older permit replaced the guests: %v", r.s.Guests)
		}
	})
	t.Run("expired is no permit", func(t *testing.T) {
		newGuardRun(t, GuardSaved{}).permit(0, 0, 101).want("refuse").phase(GuardIdle)
	})
	t.Run("of another boot", func(t *testing.T) {
		newGuardRun(t, GuardSaved{}).step(0, GuardPermit{Deadline: guardTestStart.Add(gs), Incarnation: "boot0"}).want("refuse").phase(GuardIdle)
	})
	t.Run("longer than a lease", func(t *testing.T) {
		r := newGuardRun(t, GuardSaved{}).permit(0, time.Hour, 101).phase(GuardPermitted)
		if r.s.Deadline != guardTestStart.Add(5*gs) {
			t.Fatalf("deadline +%v, want the lease TTL", r.s.Deadline.Sub(guardTestStart))
		}
	})
	t.Run("a guest taken off the list is not killed", func(t *testing.T) {
		newGuardRun(t, GuardSaved{}).permit(0, 4*gs, 101, 102).permit(gs, 4*gs, 102).
			step(4500*gms, GuardTick{}).want("workers(102)", "guests(102)", "scan")
	})
	t.Run("no guests", func(t *testing.T) {
		newGuardRun(t, GuardSaved{}).permit(0, 4*gs).arm().step(5*gs, GuardTick{}).want("feed").phase(GuardClean)
	})
}

func TestGuardPermitDuringAndAfterKill(t *testing.T) {
	r := newGuardRun(t, GuardSaved{}).permit(0, 4*gs, 101).arm().step(4500*gms, GuardTick{}).phase(GuardKilling)
	r.scan(10*gms, guardLeft).permit(0, 4*gs, 102).want("refuse").phase(GuardKilling)
	r.step(100*gms, GuardTick{}).want("workers(101)", "guests(101)", "scan")
	r.scan(10 * gms).scan(10 * gms).phase(GuardClean)
	r.permit(10*gms, 4*gs, 102).want().phase(GuardPermitted)
	r.step(4500*gms, GuardTick{}).want("workers(102)", "guests(102)", "scan", "feed")
}

func TestGuardFailsWhenNotClean(t *testing.T) {
	r := newGuardRun(t, GuardSaved{}).permit(0, 4*gs, 101).arm().step(4500*gms, GuardTick{}).phase(GuardKilling)
	for r.now < guardTestStart.Add(7370*gms) {
		r.scan(20*gms, guardLeft).step(100*gms, GuardTick{}).phase(GuardKilling)
	}
	r.now = guardTestStart.Add(7500 * gms)
	r.scan(0, guardLeft).want("stop-feeding").phase(GuardFailing)
	if r.s.Armed() {
		t.Fatal("a failing guard says that it is armed")
	}
	r.step(100*gms, GuardTick{}).want("workers(101)", "guests(101)", "scan") // goes on killing
	r.permit(0, 4*gs, 101).want("refuse").step(0, GuardArm{}).want("refuse").step(0, GuardDisarm{}).want("refuse")
	r.scan(10 * gms).scan(10 * gms).phase(GuardFailing) // clean too late changes nothing
	for range 10 {
		r.step(gs, GuardTick{}).want("scan").scan(0).want()
	}
	again := NewGuard(r.s.Timing, "boot1", r.s.Saved())
	if again.Phase != GuardFailing {
		t.Fatalf("a restarted guard forgot that it was failing: %s", again.Phase)
	}
}

func TestGuardHungScan(t *testing.T) {
	r := newGuardRun(t, GuardSaved{}).permit(0, 4*gs, 101).arm().step(4500*gms, GuardTick{}).want("workers(101)", "guests(101)", "scan", "feed")
	r.step(2*gs, GuardTick{}).want("feed").step(gs, GuardTick{}).want("stop-feeding").phase(GuardFailing)

	r = newGuardRun(t, GuardSaved{}).permit(0, 4*gs, 101).arm().step(4500*gms, GuardTick{}).scan(0).scan(0).phase(GuardClean)
	r.step(gs, GuardTick{}).want("scan").step(3*gs, GuardTick{}).phase(GuardKilling)
	r.step(3*gs, GuardTick{}).want("stop-feeding").phase(GuardFailing)
}

func TestGuardScanWithProblemVerifiesNothing(t *testing.T) {
	r := newGuardRun(t, GuardSaved{}).permit(0, 4*gs, 101).arm().step(4500*gms, GuardTick{})
	for range 4 {
		r.step(10*gms, GuardScanResult{Seq: r.s.ScanSeq, Problem: "cannot read PID 7"}).phase(GuardKilling).step(100*gms, GuardTick{})
	}
	stale := r.s.ScanSeq - 1
	r.step(0, GuardScanResult{Seq: stale}).step(0, GuardScanResult{Seq: stale}).phase(GuardKilling)
	if r.s.Empty != 0 {
		t.Fatal("a stale result counted")
	}
}

func TestGuardKillsWhatAppearsWhenClean(t *testing.T) {
	r := newGuardRun(t, GuardSaved{}).permit(0, 4*gs, 101).arm().step(4500*gms, GuardTick{}).scan(0).scan(0).phase(GuardClean)
	r.step(gs, GuardTick{}).want("scan")
	r.scan(10*gms, guardLeft).phase(GuardKilling).step(0, GuardTick{})
	if r.s.ScanSeq != 4 {
		t.Fatalf("no new round: scan %d", r.s.ScanSeq)
	}
	from := r.now
	for r.now < from.Add(2870*gms) {
		r.scan(20*gms, guardLeft).step(100*gms, GuardTick{}).phase(GuardKilling)
	}
	r.now = from.Add(3 * gs)
	r.step(0, GuardTick{}).phase(GuardFailing)
}

func TestGuardWithoutWatchdogKillsOnAndRecovers(t *testing.T) {
	r := newGuardRun(t, GuardSaved{}).permit(0, 4*gs, 101).step(4500*gms, GuardTick{}).phase(GuardKilling)
	said := 0
	for range 100 {
		r.scan(20*gms, guardLeft).step(100*gms, GuardTick{}).want("workers(101)", "guests(101)", "scan").phase(GuardKilling)
		for _, e := range r.out {
			if l, ok := e.(GuardLog); ok && strings.Contains(l.Transition.Reason, "power it off") {
				said++
			}
		}
	}
	if said != 1 {
		t.Fatalf("said %d times that nothing ends the node, want once", said)
	}
	r.step(0, GuardArm{}).want("refuse")
	r.scan(0).scan(0).phase(GuardClean)
}

func TestGuardDisarm(t *testing.T) {
	r := newGuardRun(t, GuardSaved{}).permit(0, 4*gs, 101).arm().step(gs, GuardDisarm{}).want("disarm").phase(GuardDisarmed)
	if r.s.Armed() {
		t.Fatal("armed while disarming")
	}
	r.step(0, GuardArm{}).want("refuse")
	r.step(2*gs, GuardWatchdogFault{WatchdogDisarm, "broken pipe"}).want()
	r.step(2*gs, GuardTick{}).want("disarm").step(0, GuardWatchdogOK{WatchdogDisarm}).want()
	r.step(time.Hour, GuardTick{}).want().phase(GuardDisarmed) // nothing is killed, nothing fed
	r.step(0, GuardArm{}).want("refuse").phase(GuardDisarmed)  // it would vouch for guests without a permit
	r.permit(0, 4*gs, 101).want().phase(GuardPermitted).arm()
	if !r.s.Armed() {
		t.Fatal("not armed again")
	}
	r.step(4200*gms, GuardDisarm{}).want("refuse", "feed").phase(GuardGrace)
	r.step(gs, GuardDisarm{}).phase(GuardKilling)
	r.scan(0).scan(0).phase(GuardClean).step(0, GuardDisarm{}).want("disarm").phase(GuardDisarmed)
}

// A guard may be ended for another only while it counts no deadline and surely holds no watchdog.
func TestGuardFree(t *testing.T) {
	r := newGuardRun(t, GuardSaved{})
	want := func(when string, free bool) {
		t.Helper()
		if r.s.Free() != free {
			t.Errorf("%s (%s): free %t, want %t", when, r.s.Phase, r.s.Free(), free)
		}
	}
	want("nothing was ever permitted", true)
	r.permit(0, 5*time.Second, 101)
	want("it counts a deadline", false)
	r.arm()
	r.step(0, GuardDisarm{})
	want("the watchdog has not answered the disarming", false)
	r.step(0, GuardWatchdogFault{Op: WatchdogDisarm, Problem: "nowayout"})
	want("the watchdog cannot be disarmed", false)
	r.step(0, GuardWatchdogOK{WatchdogDisarm})
	want("disarmed", true)
	r.s = NewGuard(r.s.Timing, "boot1", r.s.Saved())
	want("restarted", true)
	r.permit(0, 6*time.Second, 101).step(8*time.Second, GuardTick{})
	want("it kills", false)
}

func TestGuardWatchdogFaults(t *testing.T) {
	r := newGuardRun(t, GuardSaved{}).step(0, GuardArm{}).want("arm").step(0, GuardWatchdogFault{WatchdogOpen, "no such file"}).want()
	if r.s.Armed() || r.s.Held {
		t.Fatal("armed though it could not be opened")
	}
	r.step(1999*gms, GuardTick{}).want().step(1*gms, GuardTick{}).want("arm").step(0, GuardWatchdogOK{WatchdogOpen})
	r.step(2*gs, GuardTick{}).want("feed").step(0, GuardWatchdogFault{WatchdogFeed, "broken pipe"}).want("arm")
	if r.s.Armed() || !r.s.Held {
		t.Fatal("a watchdog that took no feeding is not armed for the leader, but may still fire")
	}
}

func TestGuardRestart(t *testing.T) {
	saved := GuardSaved{Incarnation: "boot1", Deadline: guardTestStart.Add(-gs), Guests: guardRefs(101), Permitted: true, Want: true, Held: true}
	t.Run("deadline ahead", func(t *testing.T) {
		s := saved
		s.Deadline = guardTestStart.Add(gs)
		newGuardRun(t, s).step(0, GuardTick{}).want("arm").phase(GuardPermitted).
			step(1500*gms, GuardTick{}).want("workers(101)", "guests(101)", "scan").phase(GuardKilling)
	})
	t.Run("within kill_time", func(t *testing.T) {
		r := newGuardRun(t, saved).step(0, GuardTick{}).want("workers(101)", "guests(101)", "scan", "arm").phase(GuardKilling)
		if at := r.out[len(r.out)-2].(GuardArmWatchdog).NotAfter; at != saved.Deadline.Add(3500*gms) && at != r.now.Add(2*gs) {
			t.Fatalf("may open until +%v", at.Sub(guardTestStart))
		}
	})
	t.Run("kill_time over: no feeding before it is clean", func(t *testing.T) {
		s := saved
		s.Deadline = guardTestStart.Add(-9 * gs)
		r := newGuardRun(t, s).step(0, GuardTick{}).want("workers(101)", "guests(101)", "scan").phase(GuardKilling)
		r.scan(10 * gms).want("scan").scan(10 * gms).want("arm").phase(GuardClean)
	})
	t.Run("kill_time over and not clean", func(t *testing.T) {
		s := saved
		s.Deadline = guardTestStart.Add(-9 * gs)
		r := newGuardRun(t, s).step(0, GuardTick{})
		for r.now < guardTestStart.Add(2870*gms) {
			r.scan(20*gms, guardLeft).want().step(100*gms, GuardTick{}).want("workers(101)", "guests(101)", "scan")
		}
		r.step(gs, GuardTick{}).phase(GuardFailing)
	})
	t.Run("another boot", func(t *testing.T) {
		s := saved
		s.Incarnation = "boot0"
		newGuardRun(t, s).step(0, GuardTick{}).want().phase(GuardIdle)
	})
	t.Run("disarmed", func(t *testing.T) {
		s := saved
		s.Want, s.Held, s.Disarmed = false, false, true
		newGuardRun(t, s).step(time.Hour, GuardTick{}).want().phase(GuardDisarmed)
		s.Held = true // it crashed while disarming
		newGuardRun(t, s).step(0, GuardTick{}).want("disarm").step(0, GuardWatchdogOK{WatchdogDisarm}).step(time.Hour, GuardTick{}).want().phase(GuardDisarmed)
	})
}
