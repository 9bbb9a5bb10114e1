package setup

import (
	"fmt"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/setup/discover"
)

// WatchdogChoice is a node's watchdog driver.
type WatchdogChoice struct {
	Driver       string // "device", "watchdog-mux", "none"
	Device       string
	TrustSoftdog bool
	Why          string // in one line
}

// ChooseWatchdog takes the best watchdog that a node has: a hardware one of the guard's own, Proxmox's with hardware behind it, softdog if
// somebody trusts it, none.
func ChooseWatchdog(w discover.Watchdogs, trustSoftdog bool) WatchdogChoice {
	if d, ok := w.Free(); ok {
		return WatchdogChoice{Driver: "device", Device: d.Path, Why: fmt.Sprintf("%s is hardware that nobody else holds", d.Identity)}
	}
	first, ok := w.First()
	switch {
	case w.Mux && ok && first.Identity != "" && !first.Software():
		return WatchdogChoice{Driver: "watchdog-mux", Why: fmt.Sprintf("%s is hardware, behind Proxmox's watchdog-mux; its proof takes 62 s longer than a device of the guard's own", first.Identity)}
	case w.Mux && trustSoftdog:
		return WatchdogChoice{Driver: "watchdog-mux", TrustSoftdog: true, Why: "softdog behind Proxmox's watchdog-mux, trusted as asked: it does not survive a hung kernel"}
	case w.Mux:
		return WatchdogChoice{Driver: "none", Why: "only softdog, which does not survive a hung kernel, is there; give watchdog-mux a hardware watchdog, or trust softdog with --trust-softdog"}
	}
	return WatchdogChoice{Driver: "none", Why: "no watchdog was found"}
}

// watchdogOf is a node's watchdog in a site: on two nodes without a third vote none, because its proof would start a recovery that cannot end well.
func watchdogOf(conf *config.Config, node ha.NodeName, w discover.Watchdogs, trustSoftdog bool) WatchdogChoice {
	if levels := conf.Fencing.Levels[node]; len(conf.Members) == 2 && len(levels) == 1 && len(levels[0]) == 1 && levels[0][0] == config.Manual {
		return WatchdogChoice{Driver: "none", Why: "without a third vote nothing is recovered by itself"}
	}
	return ChooseWatchdog(w, trustSoftdog)
}
