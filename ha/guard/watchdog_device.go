package guard

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"bascule/ha"

	"golang.org/x/sys/unix"
)

// fireTime is the time-out with which a device is told to end the node now: long enough that setting it is no accident, and so short that
// even the close that follows, which the kernel takes for a feeding, does not put the reset off.
const (
	fireTime  = 3 * time.Second
	fireSlack = 500 * time.Millisecond
)

// deviceWatchdog is a watchdog device of the guard's own, /dev/watchdogN, by the calls of linux/watchdog.h.
//
// Three things of the kernel's decide how it is used: opening arms; closing without the magic character leaves it armed and
// counts as a feeding; and with nowayout nothing disarms it.
type deviceWatchdog struct {
	path string
	feed time.Duration
	open func(path string) (dogFile, error)
	sys  watchdogSysfs
	now  func() ha.Instant

	file    dogFile       // nil: not open
	byWrite bool          // it has no keep-alive call
	kept    time.Duration // the time-out that it keeps
	fast    bool          // it keeps fireTime exactly
	fed     ha.Instant    // when the last feeding was begun
	name    atomic.Pointer[string]
	facts   atomic.Pointer[WatchdogFacts]

	dismissal func() // ends feedAlone; nil: it does not run
}

func newDeviceWatchdog(o WatchdogOptions) *deviceWatchdog {
	w := &deviceWatchdog{path: o.Path, feed: o.Feed, open: openDogFile, now: Boottime}
	w.name.Store(&w.path)
	return w
}

func (w *deviceWatchdog) Driver() string        { return *w.name.Load() }
func (w *deviceWatchdog) Facts() *WatchdogFacts { return w.facts.Load() }

func (w *deviceWatchdog) Open(timeout time.Duration) error {
	w.dismiss()
	if w.file != nil {
		err := w.arrange(timeout)
		if err == nil || w.Feed() == nil { // never disarmed here: somebody may count on it
			return err
		}
		_ = w.drop() // the device is gone (its module was loaded anew), and with it what the close could say
	}
	active := w.sys.of(w.path).state == "active"
	if err := w.openFile(); err != nil {
		return err
	}
	err := w.arrange(timeout)
	if err == nil {
		return nil
	}
	if active {
		return fmt.Errorf("%w; an earlier guard armed it and nobody said that it is disarmed, so it is left to reset this node", err)
	}
	if stopErr := w.stop(); stopErr != nil {
		w.feedAlone()
		return fmt.Errorf("%w; opening armed it and it cannot be disarmed (%v), so it is fed until the guard ends: correct the configuration first", err, stopErr)
	}
	return err
}

func (w *deviceWatchdog) Feed() error {
	if w.file == nil {
		return w.failed(errors.New("not open"))
	}
	at := w.now()
	ping := w.file.ping
	if w.byWrite {
		ping = func() error { return w.file.write(".") }
	}
	if err := ping(); err != nil {
		return w.failed(fmt.Errorf("takes no feeding: %w", err))
	}
	w.fed = at
	return nil
}

func (w *deviceWatchdog) Disarm() error {
	w.dismiss()
	if w.file == nil {
		if w.sys.of(w.path).state == "inactive" { // opening it would arm it
			return nil
		}
		if err := w.openFile(); err != nil {
			return err
		}
	}
	if err := w.stop(); err != nil {
		return fmt.Errorf("%w; it is fed on; this node is reset when the guard ends", errors.Join(err, w.Feed()))
	}
	return nil
}

// Fire sets a short time-out where that cannot be later than the reset that is due anyway. The device stays open.
func (w *deviceWatchdog) Fire() error {
	w.dismiss()
	if w.file == nil {
		return w.failed(errors.New("not open"))
	}
	if !w.fast || w.now().Add(2*fireTime+fireSlack) > w.fed.Add(w.kept) { // twice: the guard may die just before
		return nil
	}
	if err := w.file.setTimeout(int(fireTime / time.Second)); err != nil {
		return w.failed(fmt.Errorf("takes no shorter time-out: %w", err))
	}
	return nil
}

func (w *deviceWatchdog) Close() error {
	w.dismiss()
	return w.drop()
}

func (w *deviceWatchdog) openFile() error {
	f, err := w.open(w.path)
	switch {
	case errors.Is(err, unix.EBUSY):
		return w.failed(fmt.Errorf("%w: another process holds it (on Proxmox VE watchdog-mux holds /dev/watchdog, which is /dev/watchdog0): name a second device, or write driver: %s", err, ha.WatchdogMux))
	case errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO):
		return w.failed(fmt.Errorf("%w: is its module loaded? ls /dev/watchdog* shows what there is", err))
	case err != nil:
		return w.failed(err)
	}
	w.file, w.byWrite, w.fast, w.fed = f, false, false, w.now()
	return nil
}

// drop closes without the magic character.
func (w *deviceWatchdog) drop() error {
	if w.file == nil {
		return nil
	}
	err := w.file.close()
	w.file = nil
	return err
}

// feedAlone feeds a device that nobody counts on, so that a mistake in the configuration does not reset the node.
func (w *deviceWatchdog) feedAlone() {
	if w.file == nil {
		return
	}
	end, ended, file := make(chan struct{}), make(chan struct{}), w.file
	w.dismissal = func() { close(end); <-ended }
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			_ = file.write(".") // what fails here fails in the next Open, which says so
			select {
			case <-end:
				return
			case <-tick.C:
			}
		}
	}()
}

// dismiss ends feedAlone.
func (w *deviceWatchdog) dismiss() {
	if w.dismissal != nil {
		w.dismissal()
		w.dismissal = nil
	}
}

func (w *deviceWatchdog) failed(err error) error { return fmt.Errorf("watchdog %s: %w", w.path, err) }
