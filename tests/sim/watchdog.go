package sim

import (
	"errors"
	"time"
)

// The kinds of watchdogs of a HostSpec.
const (
	dogHW   = "hw"
	dogMux  = "mux"
	dogSoft = "softdog"
)

const (
	muxDevice = 10 * time.Second // the device behind watchdog-mux
	muxClient = 60 * time.Second // a client that is silent for longer, by the wall clock, ends the petting
	muxIdle   = time.Second      // without any client's event for so long the mux pets the device and looks at its clients
)

var errNoDog = errors.New("no watchdog is configured")

// watchdog is the device that resets the machine. One of its own hardware counts on while the machine is frozen, suspended or
// has crashed; softdog is a timer of the kernel: it stands still with it and dies with it.
type watchdog struct {
	h       *Host
	timeout time.Duration
	gen     int // which arming the timer belongs to
	armed   bool
	refuses bool
}

func newWatchdog(h *Host) *watchdog { return &watchdog{h: h} }

// arm starts the device's count from now.
func (d *watchdog) arm(timeout time.Duration) {
	d.armed, d.timeout = true, timeout
	d.gen++
	gen := d.gen
	fire := func() {
		if d.armed && d.gen == gen {
			d.h.Reset("watchdog")
		}
	}
	if d.h.spec.Watchdog == dogSoft {
		d.h.m.loop.After(timeout, d.h.boot.kernel.In(fire))
		return
	}
	d.h.m.loop.After(timeout, fire)
}

// off: no power, or the firmware's initial state.
func (d *watchdog) off() {
	d.armed = false
	d.gen++
}

// booted starts what holds the device from the boot on.
func (d *watchdog) booted() {
	if d.h.spec.Watchdog == dogMux {
		d.h.boot.mux = newMux(d.h)
	}
}

// Watchdog is what one process of a host, the guard, sees of the watchdog.
type Watchdog struct{ h *Host }

// Watchdog is the host's watchdog as its guard uses it.
func (h *Host) Watchdog() Watchdog { return Watchdog{h} }

// Driver is its name in records, "" when there is none.
func (w Watchdog) Driver() string {
	if w.h.spec.Watchdog == dogMux {
		return "watchdog-mux"
	}
	return w.h.spec.Watchdog
}

// Refuse lets arming and feeding fail, as a device does that somebody else has taken.
func (w Watchdog) Refuse(on bool) { w.h.dog.refuses = on }

// Armed says whether the device counts now.
func (w Watchdog) Armed() bool { return w.h.dog.armed }

// Arm opens it, which arms it. The mux has a time-out of its own.
func (w Watchdog) Arm(timeout time.Duration) error {
	switch {
	case w.h.spec.Watchdog == "":
		return errNoDog
	case w.h.dog.refuses:
		return errors.New("device or resource busy")
	case w.h.spec.Watchdog == dogMux:
		w.h.boot.mux.connect()
	default:
		w.h.dog.arm(timeout)
	}
	return nil
}

// Feed puts the reset off.
func (w Watchdog) Feed() error {
	d := w.h.dog
	switch {
	case d.refuses:
		return errors.New("input/output error")
	case w.h.spec.Watchdog == dogMux:
		return w.h.boot.mux.feed()
	case !d.armed:
		return errNoDog
	}
	d.arm(d.timeout)
	return nil
}

// Disarm is the magic close: the watch ends in order.
func (w Watchdog) Disarm() error {
	switch {
	case w.h.spec.Watchdog == "":
		return errNoDog
	case w.h.dog.refuses:
		return errors.New("input/output error")
	case w.h.spec.Watchdog == dogMux:
		w.h.boot.mux.leave()
	default:
		w.h.dog.off()
	}
	return nil
}

// Close lets go and leaves it armed, as the end of a process does.
func (w Watchdog) Close() {
	if w.h.spec.Watchdog == dogMux && w.h.boot != nil {
		w.h.boot.mux.dropped()
	}
}

// mux is Proxmox's watchdog-mux with one client. It pets its device and looks at the client's age only in a second without any
// client's event.
type mux struct {
	h      *Host
	p      *Proc
	client bool
	last   time.Time // of the client's last event, wall clock
	ended  bool      // it pets no more: a client went without a word, or was silent for too long
	gen    int
}

func newMux(h *Host) *mux {
	m := &mux{h: h, p: h.NewProc("watchdog-mux")}
	h.dog.arm(muxDevice)
	m.event()
	return m
}

// event restarts the idle second.
func (m *mux) event() {
	m.gen++
	gen := m.gen
	m.p.After(muxIdle, func() {
		if m.gen == gen {
			m.idle()
		}
	})
}

func (m *mux) idle() {
	if m.client && m.p.Clock().Wall().Sub(m.last) > muxClient {
		m.stop("a client did not answer")
	}
	if m.ended {
		return
	}
	m.h.dog.arm(muxDevice)
	m.event()
}

func (m *mux) stop(why string) {
	if !m.ended {
		m.h.logf("watchdog-mux: %s: it pets no more", why)
	}
	m.ended = true
}

func (m *mux) connect() {
	m.client, m.last = true, m.p.Clock().Wall()
	m.event()
}

func (m *mux) feed() error {
	if !m.client {
		return errors.New("not connected")
	}
	m.last = m.p.Clock().Wall()
	m.event()
	return nil
}

func (m *mux) leave() {
	m.client = false
	m.event()
}

// dropped is a close without the magic byte.
func (m *mux) dropped() {
	if m.client {
		m.client = false
		m.stop("a client went without a word")
	}
}
