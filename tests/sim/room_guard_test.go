package sim

import (
	"errors"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

// guarded is a room whose n1 has an armed guard with a permit of 4 s for 101.
func guarded(t *testing.T, seed uint64, watchdog string, g GuestSpec) (*room, *[]string) {
	t.Helper()
	r := newRoom(t, seed, 3, watchdog, g)
	resets := &[]string{}
	r.OnReset = func(host, why string) { *resets = append(*resets, host+" "+why) }
	r.Host("n1").StartGuard()
	r.permit("n1", 4*time.Second, 101)
	if watchdog != "" {
		r.arm("n1")
	}
	return r, resets
}

func (r *room) phase(host string) string {
	h := r.Host(host)
	var got ha.GuardStatus
	h.Guard().Status(h.NewProc("agent"), func(st ha.GuardStatus, _ error) { got = st })
	r.run(10 * time.Millisecond)
	return got.Phase
}

func TestTheGuardKillsAtThePermitsEnd(t *testing.T) {
	r, resets := guarded(t, 50, dogHW, vm(101))
	end := r.l.Now() + 4*time.Second
	took := r.await("the kill", 10*time.Second, func() bool { return r.writers(101) == "" })
	if at := r.l.Now(); at < end || at > end+r.timing.PermitGrace+time.Second {
		t.Errorf("killed after %v, the permit ended at %v", took, end)
	}
	r.run(30 * time.Second)
	if p := r.phase("n1"); p != string(node.GuardClean) || len(*resets) > 0 {
		t.Errorf("phase %s, resets %v: a clean node is not reset", p, *resets)
	}
}

func TestTheGuardKillsAWorkerBeforeItStartsTheGuest(t *testing.T) {
	slow := stopped(vm(101))
	slow.StartTakes = 10 * time.Second
	r, _ := guarded(t, 51, dogHW, slow)
	_, c := r.pve("n1")
	a, done := r.answer()
	c.Start(101, ha.QEMU, done)
	r.run(30 * time.Second)
	r.wantWriters(101, "")
	if a.n != 1 || a.err == nil {
		t.Errorf("the start answered %d times: %v", a.n, a.err)
	}
}

func TestTheWatchdogEndsANodeThatIsNotClean(t *testing.T) {
	stuck := vm(101)
	stuck.NeverStops = true
	for _, kind := range []string{dogHW, dogSoft, dogMux} {
		r, resets := guarded(t, 52, kind, stuck)
		end := r.l.Now() + 4*time.Second
		r.await(kind+": the reset", time.Minute, func() bool { return len(*resets) > 0 })
		w := r.timing.SelfFence()
		if at := r.l.Now(); at > end+w || (*resets)[0] != "n1 watchdog" {
			t.Errorf("%s: reset at %v (%v), the permit ended at %v, W is %v", kind, at, *resets, end, w)
		}
		r.wantWriters(101, "")
	}
}

func TestAFrozenOrCrashedNodeIsResetByHardwareOnly(t *testing.T) {
	for _, c := range []struct {
		kind  string
		crash bool
		reset bool
	}{{dogHW, false, true}, {dogHW, true, true}, {dogMux, false, true}, {dogSoft, false, false}, {dogSoft, true, false}, {"", true, false}} {
		r, resets := guarded(t, 53, c.kind, vm(101))
		if c.crash {
			r.Host("n1").Crash()
		} else {
			r.Host("n1").Freeze(true)
		}
		r.run(15 * time.Second)
		if got := len(*resets) > 0; got != c.reset {
			t.Errorf("%q, crash %v: reset %v", c.kind, c.crash, got)
		}
	}
}

func TestAGuardThatWakesLateKillsAtOnce(t *testing.T) {
	r, _ := guarded(t, 54, "", vm(101))
	r.Host("n1").Suspend(20 * time.Second)
	r.run(20 * time.Second)
	r.wantWriters(101, "n1 ")
	r.run(time.Second)
	r.wantWriters(101, "")
}

func TestTheGuardsMemoryOutlivesItsCrashButNotTheBoot(t *testing.T) {
	r, resets := guarded(t, 55, dogHW, vm(101))
	h := r.Host("n1")
	h.KillGuard()
	a, done := r.answer()
	h.Guard().Status(h.NewProc("agent"), func(_ ha.GuardStatus, err error) { done(err) })
	if err := r.wait(a, 2*time.Second); err == nil || errors.Is(err, ErrGuardRefused) {
		t.Errorf("a dead guard answered: %v", err)
	}
	r.run(8 * time.Second)
	r.wantWriters(101, "") // the deadline was on file
	if len(*resets) > 0 {
		t.Errorf("resets %v", *resets)
	}
	h.Reset("test")
	r.run(25 * time.Second)
	h.StartGuard()
	if p := r.phase("n1"); p != string(node.GuardIdle) {
		t.Errorf("after a boot: %s", p)
	}
}

func TestAStoppedGuardAnswersLate(t *testing.T) {
	r, _ := guarded(t, 56, dogHW, vm(101))
	h := r.Host("n1")
	h.GuardProc().Stop()
	a, done := r.answer()
	e := node.GuardPermit{Deadline: h.Clock().Now().Add(5 * time.Second), Guests: []ha.GuestRef{{ID: 101, Kind: ha.QEMU}}, Incarnation: h.Inc()}
	h.Guard().Permit(h.NewProc("agent"), e, func(_ ha.GuardStatus, err error) { done(err) })
	if err := r.wait(a, 1100*time.Millisecond); err == nil {
		t.Error("a stopped guard answered")
	}
	h.GuardProc().Continue()
	r.run(4 * time.Second)
	r.wantWriters(101, "n1 ") // it took the permit when it went on
}

func TestARefusedPermitAndARefusingWatchdog(t *testing.T) {
	r := newRoom(t, 57, 3, dogHW)
	h := r.Host("n1")
	h.StartGuard()
	r.permit("n1", 4*time.Second, 101)
	a, done := r.answer()
	h.Guard().Permit(h.NewProc("agent"), node.GuardPermit{Deadline: h.Clock().Now() - 1, Incarnation: h.Inc()}, func(_ ha.GuardStatus, err error) { done(err) })
	if err := r.wait(a, 2*time.Second); !errors.Is(err, ErrGuardRefused) {
		t.Errorf("a permit that has ended: %v", err)
	}
	h.Watchdog().Refuse(true)
	b, done := r.answer()
	h.Guard().Arm(h.NewProc("agent"), func(st ha.GuardStatus, err error) { done(err) })
	if err := r.wait(b, 3*time.Second); err == nil {
		t.Error("armed a watchdog that refuses")
	}
}

func TestDisarmedInOrder(t *testing.T) {
	for _, kind := range []string{dogHW, dogMux} {
		r, resets := guarded(t, 58, kind, vm(101))
		h := r.Host("n1")
		a, done := r.answer()
		h.Guard().Disarm(h.NewProc("agent"), func(_ ha.GuardStatus, err error) { done(err) })
		if err := r.wait(a, 3*time.Second); err != nil {
			t.Fatal(err)
		}
		h.KillGuard()
		r.run(90 * time.Second)
		r.wantWriters(101, "n1 ")
		if len(*resets) > 0 {
			t.Errorf("%s: %v", kind, *resets)
		}
	}
}

func TestTheMuxPetsOnlyInIdleSeconds(t *testing.T) {
	for _, c := range []struct {
		every time.Duration
		reset bool
	}{{2 * time.Second, false}, {5 * time.Second, false}, {900 * time.Millisecond, true}} {
		r := newRoom(t, 59, 1, dogMux)
		h := r.Host("n1")
		resets := 0
		r.OnReset = func(string, string) { resets++ }
		if err := h.Watchdog().Arm(0); err != nil {
			t.Fatal(err)
		}
		p := h.NewProc("client")
		var feed func()
		feed = func() { _ = h.Watchdog().Feed(); p.After(c.every, feed) }
		feed()
		r.run(15 * time.Second)
		if got := resets > 0; got != c.reset {
			t.Errorf("fed every %v: reset %v", c.every, got)
		}
	}
}

func TestTheMuxCountsItsClientByTheWallClock(t *testing.T) {
	ended := func(step time.Duration, drop bool) time.Duration {
		r := newRoom(t, 60, 1, dogMux)
		h := r.Host("n1")
		at := time.Duration(0)
		r.OnReset = func(string, string) { at = r.l.Now() }
		_ = h.Watchdog().Arm(0)
		r.run(time.Second)
		h.Clock().StepWall(step)
		if drop {
			h.Watchdog().Close()
		}
		r.run(4 * time.Minute)
		return at
	}
	if at := ended(0, false); at < 62*time.Second || at > 75*time.Second {
		t.Errorf("a silent client: reset at %v", at)
	}
	if at := ended(-time.Minute, false); at < 120*time.Second {
		t.Errorf("with a step back: reset at %v", at)
	}
	if at := ended(0, true); at == 0 || at > 12*time.Second {
		t.Errorf("a client that went without a word: reset at %v", at)
	}
}
