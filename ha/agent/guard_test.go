package agent

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"bascule/ha"
)

func TestGuardDownAtStartMeansNoPermitAndNoStart(t *testing.T) {
	inColdWorld(t, 1, func(w *world) {
		w.guest(101, ha.QEMU, "n1", false).onboot = true
		w.guarding("n1", func(g *fakeGuard) { g.down = true })
		a := w.start("n1")
		w.pass(time.Minute)
		if s := w.snapshot(); s.Leases["n1"].Rev != 0 || len(w.where(101)) != 0 {
			t.Errorf("lease %+v, 101 runs on %v", s.Leases["n1"].Rec, w.where(101))
		}
		if p := strings.Join(a.Snapshot().Problems, "\n"); !strings.Contains(p, "bascule-guard.service") {
			t.Errorf("the operator is told %q", p)
		}
		w.guarding("n1", func(g *fakeGuard) { g.down = false })
		w.until(20*time.Second, "101 runs once there is a guard", func(ha.Snapshot) bool { return w.runsAlone(101, "n1") })
		w.pass(5 * time.Second)
		if p := a.Snapshot().Problems; len(p) != 0 {
			t.Errorf("problems are left: %q", p)
		}
	})
}

// A guard that goes down later: what runs goes on, nothing new is started, also nothing that a dead node left behind.
func TestGuardGoneLaterStartsNothingNew(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(101, ha.QEMU, "n2", true)
		w.startAll()
		w.settle()
		for _, n := range []ha.NodeName{"n1", "n3"} {
			w.guarding(n, func(g *fakeGuard) { g.down = true })
		}
		w.pass(3 * time.Second)
		mark := w.mark()
		w.cutPower("n2")
		w.pass(30 * time.Second)
		if n := len(w.since(mark, "asked: start")); n != 0 {
			t.Errorf("%d starts without a guard", n)
		}
		for _, n := range []ha.NodeName{"n1", "n3"} {
			w.guarding(n, func(g *fakeGuard) { g.down = false })
		}
		w.until(10*time.Second, "101 runs once there are guards", func(ha.Snapshot) bool { return len(w.where(101)) == 1 })
	})
}

// The guard's permits never overtake each other: an older list of guests must not replace a newer one. The world watches that,
// and that a guest is in the list before it starts.
func TestPermitsReachASlowGuardOneByOne(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		for i := range 6 {
			w.guest(ha.VMID(101+i), ha.QEMU, "n2", true)
		}
		for _, n := range w.names {
			w.guarding(n, func(g *fakeGuard) { g.slow = 150 * time.Millisecond })
		}
		w.startAll()
		w.settle()
		w.cutPower("n2")
		w.until(30*time.Second, "all guests run elsewhere", func(ha.Snapshot) bool {
			for i := range 6 {
				if len(w.where(ha.VMID(101+i))) != 1 {
					return false
				}
			}
			return true
		})
	})
}

func TestPermitFollowsTheLease(t *testing.T) {
	inColdWorld(t, 1, func(w *world) {
		w.guest(101, ha.QEMU, "n1", true)
		w.startAll()
		w.settle()
		tm, _ := ha.Profile("normal")
		for range 20 {
			w.pass(333 * time.Millisecond)
			w.guarding("n1", func(g *fakeGuard) {
				left := g.deadline.Sub(w.boottime())
				if most := tm.LeaseTTL - tm.DriftMargin; left > most || left < most-tm.RenewEvery-tm.RenewTimeout {
					t.Errorf("the guard's permit has %v left", left)
				}
				if len(g.guests) != 1 || g.guests[0] != (ha.GuestRef{ID: 101, Kind: ha.QEMU}) {
					t.Errorf("the guard knows %v", g.guests)
				}
			})
		}
	})
}

// A node alone without the store: its guard ends its guests at the permit's end, and they start again by themselves.
func TestPermitEndsWithoutTheStoreAndComesBack(t *testing.T) {
	inColdWorld(t, 1, func(w *world) {
		w.guest(101, ha.QEMU, "n1", true)
		w.startAll()
		w.settle()
		tm, _ := ha.Profile("normal")
		w.store("n1").SetUnavailable(true)
		took := w.until(10*time.Second, "the guard ends 101", func(ha.Snapshot) bool { return len(w.where(101)) == 0 })
		if least := tm.LeaseTTL - tm.DriftMargin - tm.RenewEvery; took < least || took > tm.LeaseTTL+tm.PermitGrace {
			t.Errorf("the guard ended 101 %v after the store went away", took)
		}
		w.pass(time.Minute)
		mark := w.mark()
		w.store("n1").SetUnavailable(false)
		w.until(20*time.Second, "101 runs again", func(ha.Snapshot) bool { return w.runsAlone(101, "n1") })
		w.order(mark, "n1 was granted lease", "n1 wrote lease/n1", "n1 runs 101 by start")
	})
}

// A watchdog is armed only after the guard has a permit: an armed guard without one would end the guests.
func TestWatchdogIsArmedUnderAPermit(t *testing.T) {
	inColdWorld(t, 1, func(w *world) {
		w.guest(101, ha.QEMU, "n1", true)
		w.guarding("n1", func(g *fakeGuard) { g.driver = "iTCO_wdt" })
		w.startAll()
		w.settle()
		w.order(0, "n1 was granted lease", "n1 wrote lease/n1", "n1 guard: armed")
		if n := len(w.since(0, "guard: armed")); n != 1 {
			t.Errorf("armed %d times", n)
		}
		if !w.snapshot().Reports["n1"].Rec.Armed {
			t.Error("the report does not say armed")
		}
	})
}

// guests.json has the generation of a guest before it starts.
func TestGenerationIsNotedForPeople(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(101, ha.QEMU, "n2", true)
		w.startAll()
		w.settle()
		w.cutPower("n2")
		w.until(12*time.Second, "101 runs elsewhere", func(ha.Snapshot) bool { return len(w.where(101)) == 1 })
		var got map[string]map[string]ha.Generation
		if err := json.Unmarshal(w.readFile(w.where(101)[0], "guests.json"), &got); err != nil {
			t.Fatal(err)
		}
		if got["101"]["generation"] != 2 {
			t.Errorf("guests.json: %v", got)
		}
	})
}
