package guard

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

// muxBench is a guard behind the fake watchdog-mux.
type muxBench struct {
	*bench
	m   *fakeMux
	dog *muxWatchdog
}

func muxBubble(t *testing.T, f func(t *testing.T, b *muxBench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &muxBench{bench: newBench(t)}
		b.m = newFakeMux(t, b.cfg.Now)
		b.dog = newMuxWatchdog(WatchdogOptions{Feed: b.cfg.Timing.WatchdogFeed})
		b.dog.sys, b.dog.dial, b.dog.wall.read = sysfsWith(t, map[string]string{"identity": "iTCO_wdt", "bootstatus": "32"}), b.m.dial, b.m.clocks
		b.cfg.Watchdog = b.dog
		f(t, b)
	})
}

// renew keeps the permit for this long.
func (b *muxBench) renew(length time.Duration) {
	b.t.Helper()
	for end := b.cfg.Now().Add(length); b.cfg.Now() < end; time.Sleep(time.Second) {
		b.permit(4 * time.Second)
	}
}

// armed starts a guard with a permit and an armed watchdog.
func (b *muxBench) armed() {
	b.t.Helper()
	b.start()
	b.permit(4 * time.Second)
	if st := b.must(node.GuardArm{}); !st.Armed || st.Driver != ha.WatchdogMux {
		b.t.Fatalf("not armed: %+v", st)
	}
}

func (b *muxBench) alive() {
	b.t.Helper()
	if at, ok := b.m.fired(); ok {
		b.t.Fatalf("the device fired at %v", time.Duration(at))
	}
}

// w is what a leader waits after the permit's end.
func (b *muxBench) w() time.Duration {
	return b.cfg.Timing.Through(b.must(nil).Driver).SelfFence()
}

func TestMuxIsFedEveryFiveSecondsAtMost(t *testing.T) {
	for _, pace := range []time.Duration{100 * time.Millisecond, time.Second, 2 * time.Second, 4900 * time.Millisecond} {
		muxBubble(t, func(t *testing.T, b *muxBench) {
			b.cfg.Timing.WatchdogFeed = pace
			b.m.client(t, 5*time.Second)   // pve-ha-lrm
			b.m.client(t, 9*time.Second+1) // pve-ha-crm
			b.armed()
			b.renew(10 * time.Minute)
			b.alive()
			if st := b.must(nil); !st.Armed || st.Watchdog == nil || st.Watchdog.Timeout != 75*time.Second || !st.Watchdog.ResetLastBoot {
				t.Errorf("fed every %v: %+v, %+v", pace, st, st.Watchdog)
			}
			wrote := b.m.written()
			for i := range wrote[1:] {
				if gap := wrote[i+1].Sub(wrote[i]); gap < 5*time.Second || gap > 10*time.Second {
					t.Fatalf("called every %v it wrote after a pause of %v", pace, gap)
				}
			}
			b.must(node.GuardDisarm{})
			b.stop()
			time.Sleep(5 * time.Minute)
			b.alive()
		})
	}
}

// TestMuxStarves is why: whoever writes about once a second keeps the mux from its device.
func TestMuxStarves(t *testing.T) {
	for name, c := range map[string]struct {
		pauses []time.Duration
		starts time.Duration // between the clients
		dies   bool
	}{
		"once a second":                 {[]time.Duration{950 * time.Millisecond}, 0, true},
		"two, every other second":       {[]time.Duration{1900 * time.Millisecond, 1900 * time.Millisecond}, 950 * time.Millisecond, true},
		"every other second, alone":     {[]time.Duration{2 * time.Second}, 0, false},
		"every five seconds, ten of us": {[]time.Duration{5 * time.Second, 5 * time.Second, 5 * time.Second, 5 * time.Second}, 300 * time.Millisecond, false},
	} {
		t.Run(name, func(t *testing.T) {
			muxBubble(t, func(t *testing.T, b *muxBench) {
				began := b.cfg.Now()
				for _, p := range c.pauses {
					b.m.client(t, p)
					time.Sleep(c.starts)
				}
				time.Sleep(3 * time.Minute)
				if at, died := b.m.fired(); died != c.dies || died && at.Sub(began) > 12*time.Second {
					t.Errorf("fired %v after %v", died, at.Sub(began))
				}
			})
		})
	}
}

func TestMuxEndsANodeThatIsNotClean(t *testing.T) {
	muxBubble(t, func(t *testing.T, b *muxBench) {
		b.procs.undying = true
		b.armed()
		b.renew(90 * time.Second)
		deadline := b.must(nil).Deadline
		w := b.w()
		at := b.m.untilFired(t, 3*time.Minute)
		b.stop()
		// not before kill_time is over; then a second until the mux ends, and the device's 10
		if since := at.Sub(deadline); since < 3500*time.Millisecond || since > 3500*time.Millisecond+11*time.Second || since > w {
			t.Errorf("reset %v after the permit's end; W is %v", since, w)
		}
		if w != 79500*time.Millisecond {
			t.Errorf("W is %v", w)
		}
	})
}

func TestMuxLetsACleanNodeLive(t *testing.T) {
	muxBubble(t, func(t *testing.T, b *muxBench) {
		b.armed()
		time.Sleep(10 * time.Minute)
		b.alive()
		if st := b.must(nil); st.Phase != node.GuardClean || !st.Armed {
			t.Errorf("%+v", st)
		}
		b.stop()
	})
}

// TestMuxGuardDies: the kernel closes for it. A new guard cannot undo that, and says so.
func TestMuxGuardDies(t *testing.T) {
	muxBubble(t, func(t *testing.T, b *muxBench) {
		b.armed()
		b.renew(21 * time.Second)
		died := b.cfg.Now()
		b.stop()
		b.start()
		time.Sleep(2 * time.Second)
		if a := b.ask(node.GuardArm{}); a.OK || a.Status.Armed || !strings.Contains(a.Error, "expect this node to be reset") && !strings.Contains(a.Error, "running") {
			t.Errorf("%+v", a)
		}
		if took := b.m.untilFired(t, time.Minute).Sub(died); took > 11*time.Second {
			t.Errorf("reset after %v", took)
		}
		b.stop()
	})
}

func TestMuxTrouble(t *testing.T) {
	for name, c := range map[string]struct {
		trouble func(*testing.T, *fakeMux)
		says    string
		dies    bool
	}{
		"it hangs": {func(_ *testing.T, m *fakeMux) { m.hang(true) }, "does not read", true},
		"it hangs for a moment": {func(_ *testing.T, m *fakeMux) {
			m.hang(true)
			time.AfterFunc(7*time.Second, func() { m.hang(false) })
		}, "does not read", false},
		"it ends": {func(_ *testing.T, m *fakeMux) {
			m.mu.Lock()
			m.end()
			m.mu.Unlock()
		}, "reset", true},
		"one client too many": {func(t *testing.T, m *fakeMux) {
			for range muxMaxClients {
				m.client(t, 20*time.Second)
			}
		}, "reset", true},
		"a full house": {func(t *testing.T, m *fakeMux) {
			for range muxMaxClients - 1 {
				m.client(t, 20*time.Second)
			}
		}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			muxBubble(t, func(t *testing.T, b *muxBench) {
				b.armed()
				b.renew(10 * time.Second)
				c.trouble(t, b.m)
				b.renew(6 * time.Second)
				if st := b.must(nil); st.Armed == (c.says != "") || !strings.Contains(st.Detail, c.says) {
					t.Errorf("armed %v: %s", st.Armed, st.Detail)
				}
				b.renew(2 * time.Minute)
				if _, died := b.m.fired(); died != c.dies || !died && !b.must(nil).Armed {
					t.Errorf("fired: %v; %+v", died, b.must(nil))
				}
				b.stop()
			})
		})
	}
}

// TestMuxBeforeSoftdog: Proxmox's default, which is no proof; the name must not hide it.
func TestMuxBeforeSoftdog(t *testing.T) {
	for name, c := range map[string]struct {
		sys   map[string]string
		trust bool
		says  string
	}{
		"hardware":         {map[string]string{"identity": "iTCO_wdt"}, false, ""},
		"softdog":          {map[string]string{"identity": "Software Watchdog"}, false, "trust_softdog"},
		"softdog, trusted": {map[string]string{"identity": "Software Watchdog"}, true, ""},
		"unknown":          {nil, false, "unknown"},
		"unknown, trusted": {nil, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			muxBubble(t, func(t *testing.T, b *muxBench) {
				b.dog.sys, b.dog.trustSoftdog = sysfsWith(t, c.sys), c.trust
				b.start()
				a := b.ask(node.GuardArm{})
				if a.OK != (c.says == "") || !strings.Contains(a.Error, c.says) || a.Status.Armed != a.OK {
					t.Errorf("%+v", a)
				}
				if !a.OK {
					time.Sleep(time.Minute)
					b.alive() // it has not even connected
				}
				b.stop()
			})
		})
	}
	muxBubble(t, func(t *testing.T, b *muxBench) {
		b.dog.feed = time.Minute
		if err := b.dog.Open(0); err == nil || !strings.Contains(err.Error(), "too slow") {
			t.Error(err)
		}
	})
}
