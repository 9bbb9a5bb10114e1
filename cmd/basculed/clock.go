package main

import (
	"golang.org/x/sys/unix"

	"bascule/ha"
)

// bootNow reads CLOCK_BOOTTIME: it counts suspend and never steps.
func bootNow() ha.Instant {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil { // Linux has had it since 2.6.39
		panic("CLOCK_BOOTTIME: " + err.Error())
	}
	return ha.Instant(ts.Nano())
}
