package config

import (
	"strings"
	"time"

	"bascule/ha"
)

// wait ties a key of the timing section to the value of ha.Timing that it changes.
type wait struct {
	key     string
	setting *time.Duration
	timing  *time.Duration
}

// waits lists the waits that a configuration may set; all others follow from the profile (R6).
func (c *Config) waits(t *ha.Timing) []wait {
	set := &c.TimingSettings
	return []wait{
		{"fence_delay", &set.FenceDelay, &t.FenceDelay},
		{"daemon_grace", &set.DaemonGrace, &t.DaemonGrace},
		{"permit_grace", &set.PermitGrace, &t.PermitGrace},
		{"kill_time", &set.KillTime, &t.KillTime},
		{"watchdog_timeout", &set.WatchdogTimeout, &t.WatchdogTimeout},
		{"device_timeout", &set.DeviceTimeout, &t.DeviceTimeout},
		{"level_timeout", &set.LevelTimeout, &t.LevelTimeout},
		{"boot_time", &set.BootTime, &t.BootTime},
	}
}

// validateTiming notes the inequality that the timing breaks at the setting that breaks it.
func (c *Config) validateTiming(s *source) {
	if s.broken("timing") || s.broken("guard.watchdog.timeout") {
		return
	}
	if s.has("guard.watchdog.timeout") && c.Guard.Watchdog.Timeout != c.timing.WatchdogTimeout {
		s.fail("guard.watchdog.timeout", "is %v, but timing.watchdog_timeout in line %d is %v; remove one of the two",
			c.Guard.Watchdog.Timeout, s.line("timing.watchdog_timeout"), c.timing.WatchdogTimeout)
		return
	}
	err := c.timing.Check()
	if err == nil {
		return
	}
	at := "timing"
	for _, w := range c.waits(&c.timing) {
		if s.has("timing."+w.key) && strings.Contains(err.Error(), w.key) {
			at = "timing." + w.key
		}
	}
	if at == "timing.watchdog_timeout" && s.line(at) == s.line("guard.watchdog.timeout") {
		at = "guard.watchdog.timeout" // it was written there
	}
	s.failCause(err, at, "%v; remove the setting or choose another profile: fast, normal or patient", err)
}

// Timing returns every wait of the cluster: the profile's, with what the file changes. It has passed ha.Timing's Check.
func (c *Config) Timing() ha.Timing { return c.timing }
