package guard

import (
	"cmp"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"bascule/ha"
)

const (
	muxSocket = "/run/watchdog-mux.sock"
	// muxFeedEvery is the shortest pause between two bytes. The mux pets its device only in a second without an event from any client,
	// and others (pve-ha-lrm, pve-ha-crm) write too.
	muxFeedEvery = 5 * time.Second
	// muxSlowest is the longest pause between two calls of Feed with which its 60 seconds are safely kept.
	muxSlowest = 15 * time.Second
	// muxReads is how long it may take to read what was sent. It reads at once, or it hangs.
	muxReads = time.Second
)

// muxWatchdog shares the node's first watchdog through Proxmox's watchdog-mux: a stream socket on which connecting arms 60 seconds, any
// byte starts them anew, and `V` as the last byte before the close disarms. A close without it, and so the guard's death, makes it
// pet its device no more, for good: the node is reset within 11 seconds, whoever connects again.
type muxWatchdog struct {
	path         string
	feed         time.Duration
	trustSoftdog bool
	sys          watchdogSysfs
	dial         func(path string) (muxConn, error)
	wall         wallClock

	conn  muxConn    // nil: not connected. Closing it without V ends the node, so nothing but the end closes it
	sent  ha.Instant // when the last byte was sent
	lost  bool       // a connection ended without V
	facts atomic.Pointer[WatchdogFacts]
}

func newMuxWatchdog(o WatchdogOptions) *muxWatchdog {
	return &muxWatchdog{path: cmp.Or(o.Path, muxSocket), feed: o.Feed, trustSoftdog: o.TrustSoftdog, dial: dialMux, wall: wallClock{read: readClocks}}
}

// Driver is the same whatever lies behind the mux: a leader recognizes its long W by this name.
func (w *muxWatchdog) Driver() string        { return ha.WatchdogMux }
func (w *muxWatchdog) Facts() *WatchdogFacts { return w.facts.Load() }

// Open ignores the time-out: the mux has its own, and leaders reckon with that (ha.Timing.Through).
func (w *muxWatchdog) Open(time.Duration) error {
	if w.conn == nil {
		if err := w.connect(); err != nil {
			return err
		}
	}
	return w.Feed()
}

func (w *muxWatchdog) connect() error {
	if w.feed > muxSlowest {
		return w.failed(fmt.Errorf("watchdog_feed %v is too slow for its 60 s: set it to at most %v", w.feed, muxSlowest))
	}
	behind := w.sys.named("watchdog0")
	if !w.trustSoftdog && (!behind.known || behind.identity == softdogIdentity) {
		return w.failed(fmt.Errorf("the device behind it is %s, which does not survive a hung kernel and so proves nothing: give Proxmox a hardware watchdog (WATCHDOG_MODULE in /etc/default/pve-ha-manager), or accept it with guard.trust_softdog: true",
			cmp.Or(behind.identity, "unknown (no /sys/class/watchdog/watchdog0/identity)")))
	}
	conn, err := w.dial(w.path)
	if err != nil {
		if w.lost {
			err = fmt.Errorf("%w: an earlier connection was lost, so the mux pets its device no more: expect this node to be reset", err)
		}
		return w.failed(fmt.Errorf("%w: is watchdog-mux.service running?", err))
	}
	w.conn = conn
	w.wall.start()
	if err := w.send("."); err != nil {
		return err
	}
	for began := w.wall.boot; ; time.Sleep(5 * time.Millisecond) { // accepted and armed is what it has read from
		unread, err := w.conn.unread()
		if err != nil {
			return w.gone(err)
		}
		if now, _ := w.wall.read(); unread == 0 || now.Sub(began) > muxReads {
			break // if it has not read yet, Feed says so
		}
	}
	facts := &WatchdogFacts{Identity: "watchdog-mux in front of " + cmp.Or(behind.identity, "an unknown device"),
		Timeout: ha.Timing{}.Through(ha.WatchdogMux).WatchdogTimeout, ResetLastBoot: behind.reset}
	if old := w.facts.Load(); old == nil || *old != *facts {
		w.facts.Store(facts)
	}
	return nil
}

// Feed is called more often than the mux may be fed: in between it looks at the mux and at the clock.
func (w *muxWatchdog) Feed() error {
	if w.conn == nil {
		return w.failed(errors.New("not connected"))
	}
	unread, err := w.conn.unread()
	switch {
	case err != nil:
		return w.gone(err)
	case unread > 0: // more bytes would be read later, and count from then
		return w.failed(errors.New("it does not read what it is fed: it hangs, and its device ends this node unless it goes on"))
	}
	wallErr := w.wall.check(muxFeedEvery)
	if now := w.wall.boot; now.Sub(w.sent) >= muxFeedEvery {
		if err := w.send("."); err != nil {
			return err
		}
	}
	if wallErr != nil {
		return w.failed(wallErr)
	}
	return nil
}

func (w *muxWatchdog) Disarm() error {
	if w.conn == nil {
		if !w.lost {
			return nil // nothing of this process is armed, and what a dead one had connected the mux does not forgive
		}
		if err := w.connect(); err != nil {
			return err
		}
	}
	if err := w.send("V"); err != nil {
		return err
	}
	err := w.conn.close()
	w.conn = nil
	if err != nil {
		return w.failed(err)
	}
	return nil
}

// Fire closes without V: 11 seconds instead of the 72 of a client that falls silent.
func (w *muxWatchdog) Fire() error { return w.Close() }

func (w *muxWatchdog) Close() error {
	if w.conn == nil {
		return nil
	}
	err := w.conn.close()
	w.conn, w.lost = nil, true
	return err
}

func (w *muxWatchdog) send(s string) error {
	now, _ := w.wall.read()
	if err := w.conn.write(s); err != nil {
		return w.gone(err)
	}
	w.sent = now
	return nil
}

// gone is a connection that the mux has ended: by its own end, which leaves its device armed.
func (w *muxWatchdog) gone(err error) error {
	_ = w.Close() // nobody is at the other end
	return w.failed(fmt.Errorf("the connection is lost: %w: without it the mux pets its device no more, expect this node to be reset", err))
}

func (w *muxWatchdog) failed(err error) error { return fmt.Errorf("watchdog-mux %s: %w", w.path, err) }
