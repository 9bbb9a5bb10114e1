package guard

import (
	"strings"
	"testing"
	"time"

	"bascule/ha/node"
)

// devGuard is a guard with the driver and a fake device.
func devGuard(t *testing.T, f func(t *testing.T, b *bench, d *fakeDevice)) {
	t.Helper()
	bubble(t, func(t *testing.T, b *bench) {
		w, d := newDevice(t, b.cfg.Now, b.cfg.Timing)
		b.cfg.Watchdog = w
		f(t, b, d)
	})
}

func TestGuardWithDevice(t *testing.T) {
	t.Run("not clean", func(t *testing.T) {
		devGuard(t, func(t *testing.T, b *bench, d *fakeDevice) {
			b.procs.undying = true
			b.start()
			b.permit(4 * time.Second)
			if st := b.must(node.GuardArm{}); !st.Armed || st.Driver != "iTCO_wdt" || st.Watchdog.Timeout != 10*time.Second {
				t.Fatalf("%+v", st)
			}
			time.Sleep(8 * time.Second)
			if st := b.must(nil); st.Phase != node.GuardFailing || !d.isOpen() {
				t.Errorf("in phase %s it is closed, which feeds it", st.Phase)
			}
			time.Sleep(22 * time.Second)
			b.stop()
			at, armed := d.resets()
			since := time.Duration(at) - 4*time.Second
			if !armed || since < 3500*time.Millisecond || since > b.cfg.Timing.SelfFence() || since > 7*time.Second {
				t.Errorf("reset %v after the permit's end; W is %v", since, b.cfg.Timing.SelfFence())
			}
		})
	})
	t.Run("the guard dies", func(t *testing.T) {
		devGuard(t, func(t *testing.T, b *bench, d *fakeDevice) {
			b.start()
			b.permit(4 * time.Second)
			b.must(node.GuardArm{})
			time.Sleep(3 * time.Second)
			b.stop()
			died := b.cfg.Now()
			if at, armed := d.resets(); !armed || at.Sub(died) > 10*time.Second {
				t.Errorf("armed %v, reset after %v", armed, at.Sub(died))
			}
			time.Sleep(time.Second)
			b.start() // a new one goes on
			b.permit(4 * time.Second)
			if st := b.must(node.GuardArm{}); !st.Armed {
				t.Errorf("%+v", st)
			}
			time.Sleep(5 * time.Minute)
			if d.fired() {
				t.Error("reset though fed")
			}
			b.permit(4 * time.Second)
			b.must(node.GuardDisarm{})
			b.stop()
			if d.active {
				t.Error("armed after disarming")
			}
		})
	})
	t.Run("nowayout", func(t *testing.T) {
		devGuard(t, func(t *testing.T, b *bench, d *fakeDevice) {
			d.nowayout = true
			b.start()
			b.permit(4 * time.Second)
			b.must(node.GuardArm{})
			if a := b.ask(node.GuardDisarm{}); a.OK || !strings.Contains(a.Error, "nowayout") || !strings.Contains(a.Status.Detail, "nowayout") {
				t.Errorf("%+v", a)
			}
			time.Sleep(5 * time.Minute)
			if d.fired() {
				t.Error("not fed after a disarming that cannot be")
			}
			b.stop()
		})
	})
	t.Run("opening hangs", func(t *testing.T) {
		devGuard(t, func(t *testing.T, b *bench, d *fakeDevice) {
			d.openHangs = make(chan struct{})
			b.start()
			b.permit(4 * time.Second)
			asked := make(chan answer, 1)
			b.l.inbox <- message{event: node.GuardArm{}, reply: func(a answer) { asked <- a }}
			time.Sleep(10 * time.Second)
			b.want("kill", "4.5s kill worker 102", "4.5s kill guest 101")
			if st := b.must(nil); st.Phase != node.GuardClean || st.Armed {
				t.Errorf("%+v", st)
			}
			close(d.openHangs)
			if a := <-asked; !a.OK || !a.Status.Armed {
				t.Errorf("%+v", a)
			}
			b.must(node.GuardDisarm{})
			b.stop()
		})
	})
}
