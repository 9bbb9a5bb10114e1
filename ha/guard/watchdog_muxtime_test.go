package guard

import (
	"strings"
	"testing"
	"time"

	"bascule/ha"
)

// TestMuxGuardFallsSilent measures the time from the last feeding to the reset, at every phase of the mux's seconds: what
// ha.Timing.Through reckons with, what Proxmox's own clients add by postponing the quiet second in which the mux looks, and what a
// wall clock that is set back makes of it.
func TestMuxGuardFallsSilent(t *testing.T) {
	longest := map[string]time.Duration{}
	for name, more := range map[string]func(*testing.T, *fakeMux){
		"alone": func(*testing.T, *fakeMux) {},
		"with Proxmox's own clients": func(t *testing.T, m *fakeMux) {
			m.client(t, 5*time.Second)
			time.Sleep(830 * time.Millisecond)
			m.client(t, 5*time.Second)
		},
		"1 % slow": func(_ *testing.T, m *fakeMux) { m.slew(-0.01) },
		"set back": func(_ *testing.T, m *fakeMux) {
			time.AfterFunc(9*time.Second, func() { m.step(-30 * time.Second) })
		},
	} {
		for phase := time.Duration(0); phase < 5*time.Second; phase += 170 * time.Millisecond {
			muxBubble(t, func(t *testing.T, b *muxBench) {
				if err := b.dog.Open(0); err != nil {
					t.Fatal(err)
				}
				more(t, b.m)
				time.Sleep(5*time.Second - 830*time.Millisecond)
				time.Sleep(phase) // where in the others' rounds it falls
				_ = b.dog.Feed()  // a slow clock is reported
				fed := b.cfg.Now()
				took := b.m.untilFired(t, 5*time.Minute).Sub(fed)
				longest[name] = max(longest[name], took)
				if took < 60*time.Second {
					t.Errorf("%s, phase %v: reset after %v already", name, phase, took)
				}
			})
		}
	}
	bound, margin := ha.Timing{}.Through(ha.WatchdogMux).WatchdogTimeout, testTiming(t).SelfFenceMargin
	t.Logf("longest from the last feeding to the reset, reckoned with %v: %v", bound, longest)
	if longest["alone"] > bound || longest["alone"] < bound-4*time.Second {
		t.Errorf("alone: reset %v after the last feeding, reckoned with %v", longest["alone"], bound)
	}
	if longest["1 % slow"] > bound+margin {
		t.Errorf("longer than %v + %v: %v", bound, margin, longest)
	}
	// Each of the two can postpone the look at the ages by a second, and the end of the mux comes up to a second after it.
	if longest["with Proxmox's own clients"] > bound {
		t.Errorf("the rules of the mux leave room for 61 + 1 + 2 + 1 + 10 s, reckoned with %v: %v", bound, longest)
	}
	if longest["set back"] < bound+25*time.Second {
		t.Errorf("the fake does not go by the wall clock: %v", longest["set back"])
	}
}

func TestMuxWallClock(t *testing.T) {
	for name, c := range map[string]struct {
		upset, calm func(*fakeMux)
		distrusts   bool
	}{
		"set back":         {func(m *fakeMux) { m.step(-3 * time.Second) }, func(*fakeMux) {}, true},
		"set back a bit":   {func(m *fakeMux) { m.step(-100 * time.Millisecond) }, func(*fakeMux) {}, true},
		"slowed by chrony": {func(m *fakeMux) { m.slew(-0.08) }, func(m *fakeMux) { m.slew(0) }, true},
		"set forward":      {func(m *fakeMux) { m.step(20 * time.Second) }, func(*fakeMux) {}, false},
		"ordinary slewing": {func(m *fakeMux) { m.slew(-0.0005) }, func(m *fakeMux) { m.slew(0) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			muxBubble(t, func(t *testing.T, b *muxBench) {
				b.armed()
				b.renew(31500 * time.Millisecond)
				c.upset(b.m)
				b.renew(3 * time.Second)
				st := b.must(nil)
				if st.Armed == c.distrusts || c.distrusts && !strings.Contains(st.Detail, "wall clock") {
					t.Fatalf("armed %v: %s", st.Armed, st.Detail)
				}
				c.calm(b.m)
				calm := b.cfg.Now()
				for !b.must(nil).Armed {
					b.renew(100 * time.Millisecond)
				}
				if again := b.cfg.Now().Sub(calm); again > 12*time.Second || c.distrusts && again < 3*time.Second {
					t.Errorf("armed again %v after the clock went right", again)
				}
				b.renew(5 * time.Minute)
				b.alive()
				b.stop()
			})
		})
	}
}
