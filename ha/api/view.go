package api

import (
	"context"
	"time"

	"bascule/ha"
	"bascule/ha/setup/doctor"
)

// Backend is what the agent gives the API.
type Backend interface {
	Upkeep
	// View returns what this node knows now. It never blocks.
	View() View
	// Events returns stored events in ascending order of their keys, those after the key `after` ("" = from the
	// oldest), at most limit.
	Events(ctx context.Context, after string, limit int) ([]StoredEvent, error)
	// Submit commits request/ID in the store. It returns ha.ErrUnavailable, ha.ErrAmbiguous or ha.ErrConflict
	// (wrapped) where the store says so.
	Submit(ctx context.Context, r ha.Request) error
	// FenceTest reads the fencing devices of a node, or of all but witnesses ("": each once, side by side), and says how their levels
	// would be walked. Nothing is switched. It answers when ctx ends at the latest; what is missing then is said device by device.
	FenceTest(ctx context.Context, node ha.NodeName) FenceTest
	// Doctor gathers what this node can tell of itself and of its way to the others. It answers when ctx ends at the latest; what did not
	// answer is said probe by probe.
	Doctor(ctx context.Context) doctor.Facts
	// EtcdMembers lists the embedded etcd's members; it needs a majority of them.
	EtcdMembers(ctx context.Context) ([]EtcdMember, error)
	// EtcdChange changes its voters and returns when that is done, or why it is not and what to do.
	EtcdChange(ctx context.Context, c EtcdChange) error
	// Subscribe returns a channel that ticks after each change of the view or of the events (ticks may be merged),
	// and the function that ends the subscription.
	Subscribe() (<-chan struct{}, func())
}

// StoredEvent is an event with the store key that orders it.
type StoredEvent struct {
	Key string `json:"key"`
	ha.Event
}

// View is everything that one node knows at one moment; BuildStatus turns it into a Status.
type View struct {
	Self        ha.NodeName
	Role        string // "agent" or "witness"
	Version     string
	Cluster     string
	Wall        time.Time // this node's wall clock, for people
	Members     []ha.Member
	Snapshot    ha.Snapshot
	SnapshotOK  bool          // Snapshot holds what the store said once, SnapshotAge ago; false: never read since the start
	SnapshotAge time.Duration // 0: current
	Gossip      map[ha.NodeName]ha.GossipView
	Corosync    ha.CorosyncView
	Store       StoreHealth
	Permit      PermitHealth
	Guard       GuardHealth
	Leading     bool
	Problems    []string // of this node, in people's words: what and what to do
}

// RoleWitness is the View.Role of a node that votes and runs no guests.
const RoleWitness = "witness"

// StoreHealth is how this node sees etcd.
type StoreHealth struct {
	Available  bool
	External   bool // an etcd that others run: Voters are the configured endpoints
	RaftLeader string
	Voters     []string      // names of all voters
	Answering  []string      // those of Voters that answered last
	Reason     string        // why it is not available
	Problems   []string      // of a store that is available: what and what to do
	Spares     []ha.NodeName // they may vote and do not
	Since      time.Time
}

// PermitHealth is this node's right to run protected guests.
type PermitHealth struct {
	Valid     bool
	Remaining time.Duration
	Reason    string // where it comes from (lease, peers), or why there is none
	Peers     bool   // given by the other members: what runs goes on, nothing is begun
}

// GuardHealth is what this node's guard last said.
type GuardHealth struct {
	Connected bool
	Phase     string
	Driver    string // of the watchdog
	Armed     bool
	Detail    string
	Version   string // of its program
}
