package main

import (
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// newPulse returns the function that tells systemd that the machine's loop lives; it is called often and speaks seldom. Without
// WatchdogSec it does nothing.
func newPulse() func() {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil || every == 0 {
		return func() {}
	}
	var last time.Time
	return func() {
		if now := time.Now(); now.Sub(last) >= every/3 {
			last = now
			_, _ = daemon.SdNotify(false, daemon.SdNotifyWatchdog)
		}
	}
}
