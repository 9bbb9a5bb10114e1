package leader

import (
	"time"

	"bascule/ha"
	"bascule/ha/ladder"
)

// Placer chooses a node for a guest (ha/placement).
type Placer interface {
	Place(g *ha.GuestRecord, nodes []ha.Candidate) ha.Placement
}

// Options is the leader's configuration.
type Options struct {
	Members       []ha.Member
	Plans         map[ha.NodeName]ladder.Plan
	MaxRelocate   int           // relocations after failed starts before a guest is given up
	ParallelMoves int           // moves at once from one draining node
	StayOnLoss    bool          // guests do not leave a living node that has lost their storage
	HostReserve   int64         // bytes of a node's memory that guests never get
	Spares        []ha.NodeName // members that may vote beyond FenceLimits.Voters: one of them does when a voter is gone
	FenceLimits
}

// Leader decides. Its value never changes; what it remembers between rounds is in State.
type Leader struct {
	Options
	Placer Placer
}

// State is what one leadership remembers between rounds beyond the records. A new leader starts with Begin, which may be empty; that
// only costs time.
type State struct {
	Began  ha.Instant // of this leadership's first round
	Outage bool       // others were down, and nobody led, before it
	Nodes  map[ha.NodeName]NodeMemory
	Lost   map[ha.VMID]ha.Instant                   // since when the assigned node has let go of a guest whose config no living node reports
	Seen   map[ha.NodeName]map[string]StorageMemory // what registered nodes have said of their storages without a break
	Told   map[string]ha.Instant                    // keys that cannot be read: when people hear of them again

	Voters VoterMemory
}

// Begin is the state of a new leadership: it knows nothing but what its own node has just read of members' power, as a deputy or while the
// store was away (node.State.Off).
func Begin(now ha.Instant, t ha.Timing, off map[ha.NodeName]ladder.Memory) State {
	s := State{Nodes: map[ha.NodeName]NodeMemory{}}
	for _, n := range sorted(off) {
		s.Nodes[n] = NodeMemory{Ladder: off[n].Handed(now, t)}
	}
	return s
}

// StorageMemory is since when a node has said without a break that a storage is good, or that it has lost it.
type StorageMemory struct {
	Lost  bool
	Since ha.Instant
}

// NodeMemory is this leadership's view of one node over time.
type NodeMemory struct {
	LeaseGone  ha.Instant // first seen gone; 0: it stands
	LastLease  ha.LeaseID // the last one that its report named
	GossipGone ha.Instant // first seen dead in gossip; 0: alive
	GossipBack ha.Instant // when it was first seen alive after that; 0: it was never seen dead
	Returned   ha.Instant // registered and alive again since, while being fenced
	LetIn      ha.Instant // when it was let in after a new boot
	Revoked    ha.Instant // when the proven incarnation's lease was last asked to be revoked
	Turn       ha.Instant // while it is being fenced: when this leadership first saw a device told something about it; 0: none was
	Ladder     ladder.Memory
	Back       ladder.BackMemory
	On         ladder.OnMemory // once it is fenced: its machine, which is switched on again
	Checks     map[string]CheckMemory
}

// CheckMemory is when a device's health was or will be looked at.
type CheckMemory struct {
	InFlight    bool
	Since       ha.Instant // when the answer that is awaited was asked for
	Incarnation ha.Incarnation
	Next        ha.Instant
	Failing     ha.Instant // since when every look found a problem; 0: the last one found none
}

// Observation is everything that a decision may depend on.
type Observation struct {
	Wall     time.Time // for people: records and events; never compared
	Self     ha.NodeName
	Term     ha.Term
	Deadline ha.Instant // of our own leadership
	Timing   ha.Timing
	Store    ha.Snapshot
	Gossip   map[ha.NodeName]ha.GossipView
	Corosync ha.CorosyncView
	Readings []ha.DeviceReading // answers since the last round

	// Promises are those that this node gave to others while the store was away, with their ends: until then it takes no part in
	// recovering their guests (DESIGN part 5).
	Promises map[ha.NodeName]ha.Instant

	Etcd EtcdView
}

// Commit is one transaction and what follows when, and only when, it succeeds.
type Commit struct {
	Subject     string
	Txn         ha.Txn
	Revoke      []ha.LeaseID
	Commands    []ha.DeviceCommand
	Transitions []ha.Transition
}

// Decision is what the shell shall do. Commits are independent of each other and tried in order.
type Decision struct {
	State   State
	Commits []Commit
	Reads   []ha.DeviceCommand // harmless: may be sent without a commit
	Replace *ha.VoterOrder     // to be carried out beside all else, by one at a time; one that fails is decided on again
	Wake    ha.Instant         // decide again then at the latest; 0: only when something changes
}
