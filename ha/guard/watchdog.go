package guard

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Watchdog is a device that ends the node unless it is fed. One goroutine calls it.
type Watchdog interface {
	// Open arms it with this timeout, from now on and not less often than that to be fed. Called again after an error.
	Open(timeout time.Duration) error
	// Feed puts the reset off by one timeout.
	Feed() error
	// Disarm ends the watch in order (magic close), opening it for that if need be.
	Disarm() error
	// Close lets go and leaves it armed: the node ends.
	Close() error
	// Driver names it in records: watchdog-mux, softdog … Empty: there is no watchdog.
	Driver() string
}

// ErrNoWatchdog is returned by the driver none: the node has no watchdog, so nothing may count on its self-fencing.
var ErrNoWatchdog = errors.New("no watchdog is configured")

// watchdogDrivers lists every driver by its name in the configuration; path is the driver's device or socket. One
// file and one line for each.
var watchdogDrivers = map[string]func(path string) Watchdog{
	"none": func(string) Watchdog { return noWatchdog{} },
	"lab":  func(path string) Watchdog { return &labWatchdog{path: path} },
}

// NewWatchdog returns the driver with this name; it opens nothing yet.
func NewWatchdog(driver, path string) (Watchdog, error) {
	build, ok := watchdogDrivers[driver]
	if !ok {
		return nil, fmt.Errorf("watchdog driver %q is unknown: write one of %s", driver, strings.Join(WatchdogDrivers(), ", "))
	}
	return build(path), nil
}

// WatchdogDrivers returns the drivers' names, sorted.
func WatchdogDrivers() []string { return slices.Sorted(maps.Keys(watchdogDrivers)) }
