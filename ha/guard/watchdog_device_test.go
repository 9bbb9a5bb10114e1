package guard

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"bascule/ha"

	"golang.org/x/sys/unix"
)

// devBubble gives a driver with a fake device in virtual time.
func devBubble(t *testing.T, f func(t *testing.T, w *deviceWatchdog, d *fakeDevice)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		w, d := newDevice(t, func() ha.Instant { return ha.Instant(time.Since(began)) + 1 }, testTiming(t))
		f(t, w, d)
	})
}

func wantErr(t *testing.T, err error, says string) {
	t.Helper()
	if (err != nil) != (says != "") || err != nil && !strings.Contains(err.Error(), says) {
		t.Errorf("error %v, want one with %q", err, says)
	}
}

func TestDeviceTimeout(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(*fakeDevice)
		kept time.Duration
		says string
	}{
		"as asked":               {func(*fakeDevice) {}, 10 * time.Second, ""},
		"rounds up":              {func(d *fakeDevice) { d.round = 4 }, 8 * time.Second, ""},
		"rounds up far":          {func(d *fakeDevice) { d.round = 15 }, 0, "keeps a time-out of 15s"},
		"too long at least":      {func(d *fakeDevice) { d.min = 30 }, 0, "takes no time-out of at most 10s"},
		"shorter at most":        {func(d *fakeDevice) { d.max = 6 }, 6 * time.Second, ""},
		"too short at most":      {func(d *fakeDevice) { d.max = 4 }, 0, "takes no time-out"},
		"fixed":                  {func(d *fakeDevice) { d.options &^= unix.WDIOF_SETTIMEOUT; d.seconds = 9 }, 9 * time.Second, ""},
		"fixed and too long":     {func(d *fakeDevice) { d.options &^= unix.WDIOF_SETTIMEOUT }, 0, "keeps a time-out of 1m0s"},
		"fixed and too short":    {func(d *fakeDevice) { d.options &^= unix.WDIOF_SETTIMEOUT; d.seconds = 4 }, 0, "keeps a time-out of 4s"},
		"no magic close":         {func(d *fakeDevice) { d.options &^= unix.WDIOF_MAGICCLOSE }, 0, "neither magic close nor nowayout"},
		"no keep-alive call":     {func(d *fakeDevice) { d.options &^= unix.WDIOF_KEEPALIVEPING }, 10 * time.Second, ""},
		"pretimeout":             {func(d *fakeDevice) { d.options |= unix.WDIOF_PRETIMEOUT }, 10 * time.Second, ""},
		"disarms by magic alone": {func(d *fakeDevice) { d.noDisable = true }, 10 * time.Second, ""},
	} {
		for _, sysfs := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, sysfs %v", name, sysfs), func(t *testing.T) {
				devBubble(t, func(t *testing.T, w *deviceWatchdog, d *fakeDevice) {
					c.set(d)
					if sysfs {
						d.inSysfs(w)
					}
					err := w.Open(10*time.Second + 700*time.Millisecond) // devices count whole seconds
					if c.says != "" && strings.Contains(c.says, "at most 10s") {
						c.says = "at most 10.7s"
					}
					wantErr(t, err, c.says)
					if err != nil {
						time.Sleep(2 * time.Minute)
						if d.fired() || d.active || d.open {
							t.Errorf("a refused device is left armed %v, open %v, fired %v", d.active, d.open, d.fired())
						}
						return
					}
					if kept := time.Duration(d.seconds) * time.Second; kept != c.kept || w.Facts().Timeout != c.kept {
						t.Errorf("keeps %v, says %v, want %v", kept, w.Facts(), c.kept)
					}
					if d.options&unix.WDIOF_PRETIMEOUT != 0 && d.pretimeout != 0 {
						t.Error("the pretimeout is on")
					}
					for range 30 {
						time.Sleep(2 * time.Second)
						wantErr(t, w.Feed(), "")
					}
					if d.fired() || strings.Contains(d.wrote, "V") {
						t.Errorf("fired %v; wrote %q before any disarming", d.fired(), d.wrote)
					}
					wantErr(t, w.Disarm(), "")
					wantErr(t, w.Close(), "")
					time.Sleep(time.Minute)
					if d.fired() || d.active || !strings.HasSuffix(d.wrote, "V") {
						t.Errorf("after disarming: active %v, wrote %q", d.active, d.wrote)
					}
					wantErr(t, w.Open(10*time.Second), "")
					wantErr(t, w.Disarm(), "")
				})
			})
		}
	}
}

func TestDeviceNames(t *testing.T) {
	devBubble(t, func(t *testing.T, w *deviceWatchdog, d *fakeDevice) {
		d.identity, d.boot = "Software Watchdog", unix.WDIOF_CARDRESET
		if w.Driver() == "" || w.Facts() != nil {
			t.Errorf("before it is known: %q, %v", w.Driver(), w.Facts())
		}
		wantErr(t, w.Open(10*time.Second), "")
		if w.Driver() != softdog {
			t.Errorf("a leader would count on %q", w.Driver())
		}
		if s := w.Facts().String(); s != "Software Watchdog, timeout 10s, it ended the last boot of this node" {
			t.Error(s)
		}
		wantErr(t, w.Disarm(), "")
	})
}

func TestDeviceCannotBeOpened(t *testing.T) {
	for err, says := range map[unix.Errno]string{unix.EBUSY: "watchdog-mux", unix.ENOENT: "module", unix.EACCES: "permission denied"} {
		devBubble(t, func(t *testing.T, w *deviceWatchdog, _ *fakeDevice) {
			w.open = func(string) (dogFile, error) { return nil, err }
			wantErr(t, w.Open(10*time.Second), says)
			wantErr(t, w.Disarm(), says)
			wantErr(t, w.Feed(), "not open")
			wantErr(t, w.Fire(), "not open")
			wantErr(t, w.Close(), "")
		})
	}
	w := newDeviceWatchdog(WatchdogOptions{Path: "/dev/null", Feed: time.Second})
	wantErr(t, w.Open(10*time.Second), "no watchdog device")
	wantErr(t, w.Close(), "")
}

func TestDeviceNoWayOut(t *testing.T) {
	for _, sysfs := range []bool{true, false} {
		devBubble(t, func(t *testing.T, w *deviceWatchdog, d *fakeDevice) {
			d.nowayout, d.noDisable = true, sysfs
			if sysfs {
				d.inSysfs(w)
			}
			wantErr(t, w.Open(10*time.Second), "")
			for range 30 { // the machine repeats it at its feeding pace
				wantErr(t, w.Disarm(), "nowayout")
				time.Sleep(2 * time.Second)
			}
			if d.fired() || !d.open || d.wrote != "" {
				t.Errorf("fired %v, open %v, wrote %q", d.fired(), d.open, d.wrote)
			}
			wantErr(t, w.Open(10*time.Second), "")
			wantErr(t, w.Close(), "")
			time.Sleep(10 * time.Second)
			if !d.fired() {
				t.Error("the guard's end has disarmed it")
			}
		})
		devBubble(t, func(t *testing.T, w *deviceWatchdog, d *fakeDevice) { // and of no use
			d.nowayout, d.min = true, 30
			if sysfs {
				d.inSysfs(w)
			}
			wantErr(t, w.Open(10*time.Second), "correct the configuration")
			time.Sleep(5 * time.Minute)
			if d.fired() {
				t.Error("a wrong configuration has reset the node")
			}
			wantErr(t, w.Close(), "")
			time.Sleep(2 * time.Minute)
			if !d.fired() {
				t.Error("it is fed after the end")
			}
		})
	}
}

// TestDeviceOfAnEarlierGuard: what a dead guard armed may be counted on. A refusal does not disarm it.
func TestDeviceOfAnEarlierGuard(t *testing.T) {
	devBubble(t, func(t *testing.T, w *deviceWatchdog, d *fakeDevice) {
		d.active, d.seconds, d.min = true, 10, 10
		d.inSysfs(w)
		wantErr(t, w.Open(9*time.Second), "left to reset")
		time.Sleep(11 * time.Second)
		if !d.fired() {
			t.Error("it was disarmed or is fed")
		}
		wantErr(t, w.Close(), "")
	})
	devBubble(t, func(t *testing.T, w *deviceWatchdog, d *fakeDevice) { // it crashed while disarming
		d.active, d.seconds = true, 10
		d.inSysfs(w)
		wantErr(t, w.Disarm(), "")
		wantErr(t, w.Disarm(), "")
		if d.active || d.open {
			t.Error("armed after disarming")
		}
	})
	devBubble(t, func(t *testing.T, w *deviceWatchdog, d *fakeDevice) { // a broken device that was good is not disarmed either
		wantErr(t, w.Open(10*time.Second), "")
		d.min = 30
		wantErr(t, w.Open(10*time.Second), "takes no time-out")
		if !d.active || !d.open {
			t.Error("disarmed without a word")
		}
		d.min = 1
		wantErr(t, w.Open(10*time.Second), "")
		wantErr(t, w.Disarm(), "")
	})
}

// TestDeviceFire: the reset comes sooner and never later, whenever the last feeding was and whenever the guard dies afterwards.
func TestDeviceFire(t *testing.T) {
	sooner := 0
	for age := time.Duration(0); age < 10*time.Second; age += 230 * time.Millisecond {
		for dies := time.Duration(0); dies < 4*time.Second; dies += 500 * time.Millisecond {
			devBubble(t, func(t *testing.T, w *deviceWatchdog, d *fakeDevice) {
				wantErr(t, w.Open(10*time.Second), "")
				time.Sleep(age)
				due, _ := d.resets()
				wantErr(t, w.Fire(), "")
				time.Sleep(dies)
				short := d.seconds == 3
				wantErr(t, w.Close(), "") // which feeds
				at, armed := d.resets()
				if !armed || short && at > due {
					t.Fatalf("age %v, dies after %v: armed %v, resets at %v instead of %v", age, dies, armed, at, due)
				}
				if short {
					sooner++
				}
				time.Sleep(15 * time.Second)
				if !d.fired() {
					t.Error("the node lives")
				}
			})
		}
	}
	if sooner == 0 {
		t.Error("it was never brought forward")
	}
	for name, set := range map[string]func(*fakeDevice){"no shorter one": func(d *fakeDevice) { d.min = 8 }, "rounds up": func(d *fakeDevice) { d.round = 10 }} {
		devBubble(t, func(t *testing.T, w *deviceWatchdog, d *fakeDevice) {
			set(d)
			wantErr(t, w.Open(10*time.Second), "")
			time.Sleep(2 * time.Second)
			due, _ := d.resets()
			wantErr(t, w.Fire(), "")
			if at, _ := d.resets(); at != due || !d.open {
				t.Errorf("%s: resets at %v instead of %v, open %v", name, at, due, d.open)
			}
			wantErr(t, w.Close(), "")
		})
	}
}
