package guard

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// This file is what happens between opening a watchdog device and counting on it, and what ends that again.

// arrange makes an open device one that W can be built on, or says why it is none.
func (w *deviceWatchdog) arrange(timeout time.Duration) error {
	options, identity, err := w.file.info()
	if err != nil {
		return w.failed(fmt.Errorf("is no watchdog device: %w", err))
	}
	sys := w.sys.of(w.path)
	if options&unix.WDIOF_MAGICCLOSE == 0 && !sys.nowayout {
		return w.failed(fmt.Errorf("%s has neither magic close nor nowayout: the death of the guard would disarm it, so it proves nothing; load its module with nowayout=1 or use another device", identity))
	}
	w.byWrite = options&unix.WDIOF_KEEPALIVEPING == 0
	facts := &WatchdogFacts{Identity: identity, NoWayOut: sys.nowayout, ResetLastBoot: sys.reset}
	if options&unix.WDIOF_PRETIMEOUT != 0 {
		if err := w.file.noPretimeout(); err != nil { // it strikes before the time-out, so W holds
			facts.Note = fmt.Sprintf("its pretimeout cannot be turned off: %v", err)
		}
	}
	if err := w.setTimeout(timeout); err != nil {
		return w.failed(fmt.Errorf("%s: %w", identity, err))
	}
	if status, err := w.file.bootStatus(); err == nil && status&unix.WDIOF_CARDRESET != 0 {
		facts.ResetLastBoot = true
	}
	if err := w.Feed(); err != nil {
		return err
	}
	facts.Timeout = w.kept
	name := driverName(identity)
	if name == "" {
		name = w.path
	}
	w.name.Store(&name)
	if old := w.facts.Load(); old == nil || *old != *facts {
		w.facts.Store(facts)
	}
	return nil
}

// setTimeout sets the longest time-out that the device keeps and that is at most the wanted one: W counts on it as an upper bound, so
// a device that rounds up is asked for less. Not so short that one late feeding would be the node's end.
func (w *deviceWatchdog) setTimeout(want time.Duration) error {
	least := 2 * w.feed
	if !w.fast { // before the time-out that counts: it must not be left at this one
		n, err := w.ask(fireTime)
		w.fast = err == nil && n == fireTime
	}
	kept, err := time.Duration(0), error(nil)
	for try := want.Truncate(time.Second); try > least; try -= time.Second {
		if kept, err = w.ask(try); err == nil && kept <= want && kept > least {
			w.kept = kept
			return nil
		}
		if unknownCall(err) {
			break
		}
	}
	if unknownCall(err) { // a fixed time-out
		seconds, getErr := w.file.timeout()
		kept, err = time.Duration(seconds)*time.Second, getErr
		if err == nil && kept <= want && kept > least {
			w.kept = kept
			return nil
		}
	}
	switch {
	case want.Truncate(time.Second) <= least:
		return fmt.Errorf("devices count whole seconds, and %v is not more than twice the %v between feedings: lengthen watchdog_timeout", want.Truncate(time.Second), w.feed)
	case err != nil:
		return fmt.Errorf("takes no time-out of at most %v: %w", want, err)
	}
	return fmt.Errorf("keeps a time-out of %v, and this node publishes that it is reset within %v: set watchdog_timeout to at least that, the same on every member, or use another device", kept, want)
}

// ask sets a time-out and returns what the device made of it.
func (w *deviceWatchdog) ask(d time.Duration) (time.Duration, error) {
	at := w.now()
	if err := w.file.setTimeout(int(d / time.Second)); err != nil {
		return 0, err
	}
	w.fed = at // setting it is a feeding
	seconds, err := w.file.timeout()
	return time.Duration(seconds) * time.Second, err
}

var errNoWayOut = errors.New("nowayout: nothing disarms it until this node is reset")

// stop disarms and closes. After an error the device is open and armed, if it can be opened at all.
func (w *deviceWatchdog) stop() error {
	sys := w.sys.of(w.path)
	if sys.nowayout {
		return w.failed(errNoWayOut)
	}
	if err := w.file.stop(); errors.Is(err, unix.EBUSY) { // the kernel's answer where nowayout is set
		return w.failed(errNoWayOut)
	}
	if err := w.file.write("V"); err != nil {
		return w.failed(fmt.Errorf("does not take the magic character: %w", err))
	}
	if err := w.drop(); err != nil {
		return w.failed(err)
	}
	if w.sys.of(w.path).state == "active" {
		return errors.Join(w.failed(errors.New("runs on after the magic close")), w.openFile())
	}
	return nil
}
