package guard

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"bascule/ha"
)

// Watchdog is a device that ends the node unless it is fed. One goroutine calls it, but for Driver and Facts.
type Watchdog interface {
	// Open arms it, so that an unfed node ends within this timeout. Called again after any error; what is open stays open.
	Open(timeout time.Duration) error
	// Feed puts the reset off by one timeout.
	Feed() error
	// Disarm ends the watch in order (magic close), opening it for that if need be. After an error it is still armed and, where
	// the driver can, was fed once more: the caller repeats.
	Disarm() error
	// Fire lets it end the node, as soon as it can and never later than without this call. Nothing is fed afterwards.
	Fire() error
	// Close lets go at the end of the process and leaves it armed.
	Close() error
	// Driver names it in records: watchdog-mux, softdog, iTCO_wdt … Empty: there is no watchdog. Never blocks.
	Driver() string
	// Facts is what the driver learnt when it armed, nil before. Never blocks.
	Facts() *WatchdogFacts
}

// WatchdogFacts is what an armed watchdog said of itself.
type WatchdogFacts struct {
	Identity      string        `json:"identity"`                  // in its driver's words
	Timeout       time.Duration `json:"timeout"`                   // from the last feeding to the reset, at most
	NoWayOut      bool          `json:"no_way_out,omitempty"`      // nothing disarms it until the node is reset
	ResetLastBoot bool          `json:"reset_last_boot,omitempty"` // it ended the boot before this one
	Note          string        `json:"note,omitempty"`            // something odd that does no harm
}

func (f WatchdogFacts) String() string {
	s := fmt.Sprintf("%s, timeout %v", f.Identity, f.Timeout)
	if f.NoWayOut {
		s += ", cannot be disarmed (nowayout)"
	}
	if f.ResetLastBoot {
		s += ", it ended the last boot of this node"
	}
	if f.Note != "" {
		s += ", " + f.Note
	}
	return s
}

// ErrNoWatchdog is returned by the driver none: the node has no watchdog, so nothing may count on its self-fencing.
var ErrNoWatchdog = errors.New("no watchdog is configured")

// WatchdogOptions says which watchdog and how it will be used.
type WatchdogOptions struct {
	Driver       string        // one of WatchdogDrivers
	Path         string        // the driver's device or socket; empty: the driver's own default, where it has one
	Feed         time.Duration // pause between two calls of Feed
	TrustSoftdog bool          // a software watchdog may prove something: watchdog-mux is not used in front of one without it
}

// watchdogDrivers lists every driver by its name in the configuration. One file and one line for each.
var watchdogDrivers = map[string]func(WatchdogOptions) Watchdog{
	"none":         func(WatchdogOptions) Watchdog { return noWatchdog{} },
	"lab":          func(o WatchdogOptions) Watchdog { return &labWatchdog{path: o.Path} },
	"device":       func(o WatchdogOptions) Watchdog { return newDeviceWatchdog(o) },
	ha.WatchdogMux: func(o WatchdogOptions) Watchdog { return newMuxWatchdog(o) },
}

// NewWatchdog returns the driver with this name; it opens nothing yet.
func NewWatchdog(o WatchdogOptions) (Watchdog, error) {
	build, ok := watchdogDrivers[o.Driver]
	if !ok {
		return nil, fmt.Errorf("watchdog driver %q is unknown: write one of %s", o.Driver, strings.Join(WatchdogDrivers(), ", "))
	}
	return build(o), nil
}

// WatchdogDrivers returns the drivers' names, sorted.
func WatchdogDrivers() []string { return slices.Sorted(maps.Keys(watchdogDrivers)) }
