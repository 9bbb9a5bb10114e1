package guard

import "time"

// noWatchdog is a node without watchdog: it cannot be armed, so its guard only kills.
type noWatchdog struct{}

func (noWatchdog) Open(time.Duration) error { return ErrNoWatchdog }
func (noWatchdog) Feed() error              { return ErrNoWatchdog }
func (noWatchdog) Disarm() error            { return nil }
func (noWatchdog) Fire() error              { return ErrNoWatchdog }
func (noWatchdog) Close() error             { return nil }
func (noWatchdog) Driver() string           { return "" }
func (noWatchdog) Facts() *WatchdogFacts    { return nil }
