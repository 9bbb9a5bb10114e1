package node

import (
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha"

	"pgregory.net/rapid"
)

// sees is a look that saw enough disks: it counts for 5 s, less the drift margin of half a second.
func (r *guardRun) sees(after time.Duration, device string) *guardRun {
	return r.step(after, GuardSight{Device: device, Until: r.now.Add(after + 5*time.Second)})
}

// watching is an armed guard with one slot in sight.
func watching(t testing.TB) *guardRun {
	r := newGuardRun(t, GuardSaved{}, "sbd")
	return r.sees(0, "sbd").arm()
}

func TestBeforeTheFirstSightNothingIsArmed(t *testing.T) {
	r := newGuardRun(t, GuardSaved{}, "sbd")
	r.step(0, GuardArm{}).want("refuse")
	if r.s.SlotsSeen(r.now) || !r.s.Obeys() {
		t.Fatalf("seen %v, obeys %v", r.s.SlotsSeen(r.now), r.s.Obeys())
	}
	r.step(time.Second, GuardSight{Device: "sbd", Problem: "no answer"}).step(0, GuardArm{}).want("refuse")
	r.step(0, GuardObey{Obey: true, Sent: r.now}).want("refuse")
	r.sees(0, "sbd").arm().step(0, GuardObey{Obey: true, Sent: r.now}).want()
	if !r.s.Armed() {
		t.Fatal("not armed")
	}
}

func TestFedOnlyWhileTheSlotIsSeen(t *testing.T) {
	r := watching(t)
	r.step(2*time.Second, GuardTick{}).want("feed")
	feed := r.out[0].(GuardFeed)
	if want := guardTestStart.Add(4 * time.Second); feed.NotAfter != want { // the next feeding is due before the sight ends
		t.Fatalf("not after %v", feed.NotAfter.Sub(guardTestStart))
	}
	r.step(2*time.Second, GuardTick{}).want("feed")
	if feed := r.out[0].(GuardFeed); feed.NotAfter != guardTestStart.Add(4500*time.Millisecond) {
		t.Fatalf("not after %v: beyond the end of sight", feed.NotAfter.Sub(guardTestStart))
	}
	r.step(500*time.Millisecond, GuardTick{}).want() // the sight ends
	r.step(2*time.Second, GuardTick{}).want()
	r.step(time.Second, GuardSight{Device: "sbd", Problem: "hangs"}).want()
	r.sees(0, "sbd").want("feed") // in time: the watchdog has 10 s
}

func TestReleasedItLivesOnWithoutSight(t *testing.T) {
	r := watching(t)
	r.step(4500*time.Millisecond, GuardTick{}).want() // overdue, and too late
	r.step(time.Second, GuardObey{Sent: r.now}).want("feed")
	if r.s.Obeys() || !r.s.Saved().Released {
		t.Fatal("not released")
	}
	r.step(2*time.Second, GuardTick{}).want("feed")
	// A word that was sent before and comes later changes nothing; the same word again does no harm.
	r.sees(0, "sbd").step(0, GuardObey{Obey: true, Sent: r.now}).want()
	r.step(0, GuardObey{Obey: true, Sent: r.now}).want()
	r.step(time.Millisecond, GuardObey{Sent: r.now.Add(-time.Second)}).want("refuse")
	if !r.s.Obeys() {
		t.Fatal("released by an old word")
	}
	r.step(10*time.Second, GuardTick{}).want()
}

func TestAMessageEndsTheNodeInAnyPhase(t *testing.T) {
	for name, prepare := range map[string]func(r *guardRun){
		"idle":      func(r *guardRun) {},
		"permitted": func(r *guardRun) { r.permit(0, 4*time.Second, 101) },
		"released":  func(r *guardRun) { r.step(0, GuardObey{Sent: r.now}) },
		"disarmed":  func(r *guardRun) { r.step(0, GuardDisarm{Sent: r.now}) },
		"killing":   func(r *guardRun) { r.permit(0, time.Second, 101).step(2*time.Second, GuardTick{}) },
	} {
		t.Run(name, func(t *testing.T) {
			r := watching(t)
			prepare(r)
			r.step(10*time.Millisecond, GuardSight{Device: "sbd", Until: r.now.Add(5 * time.Second), Message: EndOff, From: "n2"}).phase(GuardFailing)
			if words := guardWords(r.out); !slices.Contains(words, "end-off") || !slices.Contains(words, "stop-feeding") {
				t.Fatalf("%q", words)
			}
			r.step(0, GuardPermit{Deadline: r.now.Add(time.Second), Incarnation: "boot1"})
			if !slices.ContainsFunc(r.out, func(e GuardEffect) bool {
				x, ok := e.(GuardRefuse)
				return ok && strings.Contains(x.Reason, `message off from "n2"`)
			}) {
				t.Fatalf("%v", r.out)
			}
			r.step(0, GuardObey{Sent: r.now})
			for range 20 {
				r.step(time.Second, GuardSight{Device: "sbd", Until: r.now.Add(5 * time.Second), Message: EndOff, From: "n2"})
				for _, w := range guardWords(r.out) {
					if w == "feed" || w == "arm" || w == "end-off" {
						t.Fatalf("%q after the end was asked for", w)
					}
				}
			}
		})
	}
}

func TestEverySlotMustBeSeen(t *testing.T) {
	r := newGuardRun(t, GuardSaved{}, "sbd", "other")
	r.sees(0, "sbd").step(0, GuardArm{}).want("refuse")
	r.sees(0, "nobody's").sees(0, "other").arm()
	r.sees(3*time.Second, "sbd")
	r.step(1500*time.Millisecond, GuardTick{}).want()
	if p := r.s.SlotsProblem(r.now); !strings.Contains(p, "slot of other") {
		t.Fatal(p)
	}
}

// A restarted guard does not forget that somebody counts on the slots, even when its configuration names them no more.
func TestRestartWithinABootKeepsTheWord(t *testing.T) {
	old := watching(t)
	saved := old.s.Saved()
	for name, slots := range map[string][]string{"same": {"sbd"}, "renamed": {"other"}, "none": nil} {
		r := newGuardRun(t, saved, slots...)
		r.step(0, GuardTick{}).want() // armed before, but blind
		if !r.s.Obeys() || !r.s.Slots[slices.IndexFunc(r.s.Slots, func(x GuardSlot) bool { return x.Device == "sbd" })].Known {
			t.Fatalf("%s: %+v", name, r.s.Slots)
		}
		for _, d := range slots {
			r.sees(0, d)
		}
		if fed := slices.Contains(guardWords(r.out), "arm"); fed != (name == "same") {
			t.Errorf("%s: %q", name, guardWords(r.out))
		}
		r.step(time.Second, GuardObey{Sent: r.now.Add(time.Second)}) // the store does not count on it any more
		if seen := r.s.SlotsSeen(r.now); r.s.Obeys() || seen != (len(slots) > 0) {
			t.Errorf("%s: obeys %v, seen %v, %+v", name, r.s.Obeys(), seen, r.s.Slots)
		}
	}
	other := NewGuard(guardTestTiming(t), "boot2", saved, "sbd")
	if other.Slots[0].Known || other.Released {
		t.Errorf("another boot: %+v", other.Slots)
	}
	r := newGuardRun(t, func() GuardSaved { s := saved; s.Released = true; return s }(), "sbd")
	if r.step(0, GuardTick{}).want("arm"); r.s.Obeys() {
		t.Error("the release is forgotten")
	}
}

// The promise behind PoisonPill. A message is on a majority from some moment on; a node that obeys has read it, or has not been fed for
// longer than the disks' watchdog time after it. A word "released" may come at any time before the message: what counts is what holds
// when msgwait is over.
func TestSlotsKeepTheirPromise(t *testing.T) {
	const diskTime = 5 * time.Second
	rapid.Check(t, func(t *rapid.T) {
		tm, err := ha.Profile("normal")
		if err != nil {
			t.Fatal(err)
		}
		now := guardTestStart
		s := NewGuard(tm, "boot1", GuardSaved{}, "sbd")
		var written, lastFed, lastSent ha.Instant
		ended := false
		step := func(e GuardEvent) {
			var out []GuardEffect
			s, out = GuardStep(now, s, e)
			for _, x := range out {
				switch x := x.(type) {
				case GuardFeed:
					lastFed = max(now, min(x.NotAfter, now.Add(100*time.Millisecond)))
				case GuardArmWatchdog:
					lastFed = now
				case GuardEndNode:
					ended = true
				}
			}
		}
		for range rapid.IntRange(20, 120).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(1, 1500).Draw(t, "pause")) * time.Millisecond)
			switch rapid.SampledFrom([]string{"look", "look", "blind", "tick", "tick", "obey", "release", "late", "arm", "opened", "restart", "message"}).Draw(t, "what") {
			case "look":
				began := now.Add(-time.Duration(rapid.IntRange(0, 900).Draw(t, "took")) * time.Millisecond)
				e := GuardSight{Device: "sbd", Until: began.Add(diskTime)}
				if written != 0 && began >= written {
					e.Message = EndOff
				}
				step(e)
			case "blind":
				step(GuardSight{Device: "sbd", Problem: "hangs"})
			case "obey":
				lastSent = now
				step(GuardObey{Obey: true, Sent: now})
			case "release":
				step(GuardObey{Sent: now})
				lastSent = now
			case "late": // sent before the last word
				if lastSent != 0 {
					step(GuardObey{Sent: lastSent - 1})
				}
			case "arm":
				step(GuardArm{})
			case "opened":
				if s.Opening {
					step(GuardWatchdogOK{WatchdogOpen})
				}
			case "restart":
				s, lastSent = NewGuard(tm, "boot1", s.Saved(), "sbd"), 0
			case "message":
				if written == 0 {
					written = now
				}
			default:
				step(GuardTick{})
			}
			if written != 0 && !ended && s.Obeys() && lastFed >= written.Add(diskTime) {
				t.Fatalf("fed %v after the message, without having seen it, and it obeys", lastFed.Sub(written))
			}
		}
	})
}
