package guard

import (
	"bascule/ha"

	"golang.org/x/sys/unix"
)

// Boottime reads CLOCK_BOOTTIME, which counts suspend and never steps.
func Boottime() ha.Instant {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic("CLOCK_BOOTTIME cannot be read: " + err.Error()) // any Linux since 2.6.39 has it; without a clock there is no permit
	}
	return ha.Instant(ts.Nano())
}
