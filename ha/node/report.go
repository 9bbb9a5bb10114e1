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
	Obeys      bool // the guard has taken the word that messages in its slots end this node
	Inventory  ha.Inventory
	Sights     map[string]Sight // of the node's own looks, by storage
	Corosync   ha.CorosyncView
	Clients    []string // every address from which this boot writes to shared storages
	EtcdDown   bool     // this node is a voter of the store, and its etcd does not run
	Problems   []string
}

// Report is what this node says of itself. It says armed only while its guard holds a trusted watchdog, runs with the waits that this
// node publishes, keeps no guests when its permit ends, and is not leaving: the leader may build SelfFenceElapsed on it (R3). It says
// whose messages end it only after the guard was told so: the leader may build PoisonPill on that.
func (c Config) Report(x Circumstances) ha.NodeReport {
	var watches []string
	if x.Obeys && x.Guard.Connected && x.Guard.SlotsSeen && !x.Leaving {
		watches = x.Guard.Slots
	}
	return ha.NodeReport{Schema: ha.Schema, Node: c.Self, Incarnation: c.Incarnation, Lease: x.Lease, Version: x.Version,
		SystemUUID: x.SystemUUID, Timing: c.Timing, Leaving: x.Leaving, Witness: c.Witness, Isolation: c.Isolation,
		Armed:          x.Guard.Connected && x.Guard.Armed && !x.Leaving && x.Trusted && c.Isolation != ha.IsolationKeep && SameWaits(x.Guard.Timing, c.Timing),
		WatchdogDriver: x.Guard.Driver, Watches: watches, Memory: x.Inventory.Memory, Quorate: x.Corosync.Quorate, CorosyncOnline: x.Corosync.Online, CorosyncVotes: x.Inventory.Votes,
		Storages: seenStorages(x.Inventory.Storages, x.Sights), Guests: x.Inventory.Guests, Managed: x.Inventory.Managed,
		Clients: x.Clients, Epoch: x.Epoch.Taken, WentBack: x.Epoch.lost(), Highest: x.Highest, EtcdDown: x.EtcdDown, Problems: x.Problems}
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

// SlotsWord is what the guard should be told about the slots of this node.
type SlotsWord string

// The words.
const (
	SlotsNone    SlotsWord = ""
	SlotsObey    SlotsWord = "obey"    // messages end this node: sent before a report says so
	SlotsRelease SlotsWord = "release" // nobody counts on messages: sent after the store has a report that says so
)

// AboutSlots says what the guard should be told. obeys: it was told to obey and has not been told otherwise since. stored is the report of
// this node that the store is known to hold; the zero value when that is not known. A node that cannot see its disks lives on if it
// can say so in the store in time; if it cannot, its watchdog ends it.
func (c Config) AboutSlots(g ha.GuardStatus, obeys bool, stored ha.NodeReport) SlotsWord {
	switch {
	case !g.Connected || len(g.Slots) == 0:
	case g.SlotsSeen && !obeys:
		return SlotsObey
	case !g.SlotsSeen && g.SlotsHeld && !obeys && c.MayRelease(stored):
		return SlotsRelease
	}
	return SlotsNone
}

// MayRelease says whether the guard may be told that nobody counts on messages: the store holds a report of this boot, the last one
// written, that names no slot.
func (c Config) MayRelease(stored ha.NodeReport) bool {
	return stored.Incarnation == c.Incarnation && len(stored.Watches) == 0
}
