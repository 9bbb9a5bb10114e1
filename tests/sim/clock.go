package sim

import (
	"time"

	"bascule/ha"
)

// Clock is one boot's clocks: CLOCK_BOOTTIME, which drifts but never steps, and the wall clock, which somebody may set.
type Clock struct {
	loop *Loop
	boot time.Duration // world time of the boot
	ppm  int64         // drift of the crystal: both clocks run 1 + ppm/1e6 as fast as the world
	wall time.Duration // error of the wall clock
}

// epoch is the wall clock's time at the world's start.
var epoch = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// bootBase is the CLOCK_BOOTTIME at which the simulated firmware hands over.
const bootBase = ha.Instant(10 * time.Second)

// NewClock starts a boot's clocks now.
func NewClock(l *Loop, ppm int64) *Clock { return &Clock{loop: l, boot: l.Now(), ppm: ppm} }

// Now is the boot's CLOCK_BOOTTIME.
func (c *Clock) Now() ha.Instant {
	d := c.loop.Now() - c.boot
	return bootBase.Add(d + d/1e6*time.Duration(c.ppm))
}

// Wall is what the node takes for the time of day.
func (c *Clock) Wall() time.Time {
	return epoch.Add(c.loop.Now() + c.wall)
}

// StepWall sets the wall clock forward or back.
func (c *Clock) StepWall(d time.Duration) { c.wall += d }

// World turns a duration of this clock into the world's, rounded up, so that a timer never fires early.
func (c *Clock) World(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return d - d/1e6*time.Duration(c.ppm) + 1000
}

// Until is the world time from now to an instant of this clock.
func (c *Clock) Until(i ha.Instant) time.Duration { return c.World(i.Sub(c.Now())) }
