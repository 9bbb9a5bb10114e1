package node

import (
	"bascule/ha"
)

// Circumstances are what a node's report is made from, beyond its configuration.
type Circumstances struct {
	Lease      ha.LeaseID
	Version    string
	SystemUUID string
	Leaving    bool
	Trusted    bool // the watchdog's driver may prove an end
	Epoch      Epoch
	Highest    ha.Generation // of a store that was ever restored
	Guard      ha.GuardStatus
	Inventory  ha.Inventory
	Corosync   ha.CorosyncView
	Clients    []string // every address from which this boot writes to shared storages
	Problems   []string
}

// Report is what this node says of itself. It says armed only while its guard holds a trusted watchdog, runs with the waits that this
// node publishes, keeps no guests when its permit ends, and is not leaving: the leader may build SelfFenceElapsed on it (R3).
func (c Config) Report(x Circumstances) ha.NodeReport {
	return ha.NodeReport{Schema: ha.Schema, Node: c.Self, Incarnation: c.Incarnation, Lease: x.Lease, Version: x.Version,
		SystemUUID: x.SystemUUID, Timing: c.Timing, Leaving: x.Leaving, Witness: c.Witness, Isolation: c.Isolation,
		Armed:          x.Guard.Connected && x.Guard.Armed && !x.Leaving && x.Trusted && c.Isolation != ha.IsolationKeep && SameWaits(x.Guard.Timing, c.Timing),
		WatchdogDriver: x.Guard.Driver, Memory: x.Inventory.Memory, Quorate: x.Corosync.Quorate, CorosyncOnline: x.Corosync.Online,
		Storages: x.Inventory.Storages, Guests: x.Inventory.Guests, Managed: x.Inventory.Managed,
		Clients: x.Clients, Epoch: x.Epoch.Taken, WentBack: x.Epoch.lost(), Highest: x.Highest, Problems: x.Problems}
}

// SameWaits says whether the guard runs with the waits that this node publishes: W is derived from them (R6).
func SameWaits(guard, own ha.Timing) bool {
	return guard.SelfFence() == own.SelfFence() && guard.LeaseTTL == own.LeaseTTL && guard.PermitGrace == own.PermitGrace
}

// MayDisarm says whether the watchdog may be disarmed: the store holds a report of this boot, the last one written, that says that the node
// leaves and is not armed (R3: a leader builds nothing on a watchdog that is gone).
func (c Config) MayDisarm(stored ha.NodeReport) bool {
	return stored.Incarnation == c.Incarnation && stored.Leaving && !stored.Armed
}
