package guard

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"bascule/ha"

	"golang.org/x/sys/unix"
)

// fakeDevice is a watchdog device with the rules of the kernel's watchdog_dev.c: opening arms; SETTIMEOUT feeds; a write without V
// takes the magic back; and a close that does not disarm counts as a feeding.
type fakeDevice struct {
	t   *testing.T
	now func() ha.Instant
	sys watchdogSysfs // "" without sysfs
	// What it is like.
	options   uint32
	identity  string
	nowayout  bool
	noDisable bool // no WDIOC_SETOPTIONS, as the lab's
	min, max  int
	round     int // rounds time-outs up to its multiples
	boot      int
	openHangs chan struct{}
	// What happened.
	mu           sync.Mutex // of what follows: feedAlone is a goroutine of its own
	seconds      int
	active, open bool
	release      bool
	fedAt        ha.Instant
	firedAt      ha.Instant
	pretimeout   int
	wrote        string
}

const allOptions = unix.WDIOF_SETTIMEOUT | unix.WDIOF_KEEPALIVEPING | unix.WDIOF_MAGICCLOSE

// newDevice is a driver with a fake device. Its path is a character device, so that sysfs can be asked about it.
func newDevice(t *testing.T, now func() ha.Instant, timing ha.Timing) (*deviceWatchdog, *fakeDevice) {
	d := &fakeDevice{t: t, now: now, options: allOptions, identity: "iTCO_wdt", min: 1, max: 600, round: 1, seconds: 60, pretimeout: 5}
	w := newDeviceWatchdog(WatchdogOptions{Path: "/dev/null", Feed: timing.WatchdogFeed})
	w.now = now
	w.open = func(string) (dogFile, error) {
		if d.openHangs != nil {
			<-d.openHangs
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.open {
			return nil, unix.EBUSY
		}
		d.open, d.release = true, false
		d.start()
		return d, nil
	}
	return w, d
}

// inSysfs makes a /sys for the device and its driver.
func (d *fakeDevice) inSysfs(w *deviceWatchdog) {
	d.t.Helper()
	root := d.t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "sys/class/watchdog/watchdog1"), 0o700); err != nil {
		d.t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "sys/dev/char"), 0o700); err != nil {
		d.t.Fatal(err)
	}
	if err := os.Symlink("../../class/watchdog/watchdog1", filepath.Join(root, "sys/dev/char/1:3")); err != nil { // /dev/null
		d.t.Fatal(err)
	}
	d.sys = watchdogSysfs{root}
	w.sys = d.sys
	d.show()
}

func (d *fakeDevice) show() {
	if d.sys.root == "" {
		return
	}
	state, nowayout := "inactive", "0"
	if d.active {
		state = "active"
	}
	if d.nowayout {
		nowayout = "1"
	}
	for name, text := range map[string]string{"identity": d.identity, "state": state, "nowayout": nowayout, "bootstatus": "0"} {
		if err := os.WriteFile(filepath.Join(d.sys.root, "sys/class/watchdog/watchdog1", name), []byte(text+"\n"), 0o600); err != nil {
			d.t.Fatal(err)
		}
	}
}

func (d *fakeDevice) start() {
	d.feed()
	if !d.active {
		d.active, d.fedAt = true, d.now()
	}
	d.show()
}

func (d *fakeDevice) halt() error {
	if d.nowayout {
		return unix.EBUSY
	}
	d.feed()
	d.active = false
	d.show()
	return nil
}

func (d *fakeDevice) feed() {
	if d.active && d.firedAt == 0 && d.now() >= d.due() {
		d.firedAt = d.due()
	}
	d.fedAt = d.now()
}

func (d *fakeDevice) due() ha.Instant { return d.fedAt.Add(time.Duration(d.seconds) * time.Second) }

// resets is when the device ends the node if nothing more happens.
func (d *fakeDevice) resets() (ha.Instant, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.firedAt != 0 {
		return d.firedAt, true
	}
	return d.due(), d.active
}

// isOpen says whether its driver holds it.
func (d *fakeDevice) isOpen() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open
}

func (d *fakeDevice) fired() bool {
	at, armed := d.resets()
	return armed && d.now() >= at
}

func (d *fakeDevice) info() (uint32, string, error) { return d.options, d.identity, nil }

func (d *fakeDevice) setTimeout(s int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.options&unix.WDIOF_SETTIMEOUT == 0 {
		return unix.EOPNOTSUPP
	}
	if s < d.min || s > d.max {
		return unix.EINVAL
	}
	d.feed()
	d.seconds = (s + d.round - 1) / d.round * d.round
	return nil
}

func (d *fakeDevice) timeout() (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.seconds, nil
}

func (d *fakeDevice) noPretimeout() error { d.pretimeout = 0; return nil }

func (d *fakeDevice) bootStatus() (int, error) { return d.boot, nil }

func (d *fakeDevice) ping() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.options&unix.WDIOF_KEEPALIVEPING == 0 {
		return unix.EOPNOTSUPP
	}
	d.feed()
	return nil
}

func (d *fakeDevice) stop() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.noDisable {
		return unix.ENOTTY
	}
	return d.halt()
}

func (d *fakeDevice) write(s string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.release = s[len(s)-1] == 'V'
	d.wrote += s
	d.feed()
	return nil
}

func (d *fakeDevice) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open = false
	if !d.active {
		return nil
	}
	if (d.release || d.options&unix.WDIOF_MAGICCLOSE == 0) && d.halt() == nil {
		return nil
	}
	d.feed()
	return nil
}
