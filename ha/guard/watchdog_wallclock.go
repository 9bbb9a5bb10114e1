package guard

import (
	"fmt"
	"time"

	"bascule/ha"

	"golang.org/x/sys/unix"
)

// wallClock watches the wall clock for what would make a client of watchdog-mux look younger than it is: the mux takes its clients' ages
// from time(). A clock that falls back, or is slowed down, after the guard's last feeding puts the reset off.
type wallClock struct {
	read  func() (boot ha.Instant, wall time.Duration) // CLOCK_BOOTTIME and CLOCK_REALTIME
	boot  ha.Instant
	wall  time.Duration
	until ha.Instant // distrusted before this
}

// A lag of a hundredth and what the reading itself costs is allowed: over the mux's 61 seconds it stays below self_fence_margin.
// NTP's ordinary slewing is a two-thousandth.
const wallLagParts, wallLagSlack = 100, 10 * time.Millisecond

// start forgets what was: from here on the clocks are compared.
func (c *wallClock) start() {
	c.boot, c.wall = c.read()
	c.until = 0
}

// check compares both clocks' progress since the last check. After a lag the clock is distrusted until it went right for settle.
func (c *wallClock) check(settle time.Duration) error {
	boot, wall := c.read()
	progress := boot.Sub(c.boot)
	lag := progress - (wall - c.wall)
	c.boot, c.wall = boot, wall
	if lag > wallLagSlack+progress/wallLagParts {
		c.until = boot.Add(settle)
	}
	if boot < c.until {
		return fmt.Errorf("the wall clock was set back or slowed down, and watchdog-mux counts by it: not relied on until it goes right for %v; look at chrony", settle)
	}
	return nil
}

// readClocks reads both clocks at one moment: again, if something came between.
func readClocks() (ha.Instant, time.Duration) {
	for range 10 {
		before := Boottime()
		wall := realtime()
		if after := Boottime(); after.Sub(before) < time.Millisecond {
			return after, wall
		}
	}
	return Boottime(), realtime() // a wall clock read too late looks fast now, and slow next time: the safe side
}

func realtime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &ts); err != nil {
		panic("CLOCK_REALTIME cannot be read: " + err.Error()) // no Linux is without
	}
	return time.Duration(ts.Nano())
}
