package ha

import (
	"errors"
	"time"
)

// Txn is one atomic write to the store: it happens only if every guard holds. A leader's transaction names
// its term; the store adapter adds the comparison "the leader key's create revision is Term" (R4).
type Txn struct {
	Term   Term     // 0: no term guard (an agent's own keys)
	Guards []Guard  // revisions that must be unchanged
	Puts   []Put    // written in order
	Dels   []string // keys to remove
}

// MaxTxnOps is how many guards (the term's is one), and how many writes, one transaction may have: etcd's own default, with which an
// external one runs (--max-txn-ops).
const MaxTxnOps = 128

// Guard demands that a key's modification revision is Rev; 0 demands that the key does not exist.
type Guard struct {
	Key string
	Rev int64
}

// Put writes a key; Lease binds it to a lease when not 0.
type Put struct {
	Key   string
	Value []byte
	Lease LeaseID
}

// Errors of the store port.
var (
	// ErrConflict: a guard or the term did not hold; nothing was written. Observe again.
	ErrConflict = errors.New("store: a record changed meanwhile")
	// ErrAmbiguous: the answer was lost and reading back did not settle it. Observe again before acting.
	ErrAmbiguous = errors.New("store: not known whether the write happened")
	// ErrLeaseGone: the lease does not exist any more.
	ErrLeaseGone = errors.New("store: lease expired or revoked")
	// ErrTTL: the store grants no lease as short as the timing wants it.
	ErrTTL = errors.New("store: it grants no lease as short as the timing wants it")
	// ErrUnavailable: no answer from the store in time (no quorum, network).
	ErrUnavailable = errors.New("store: no answer")
)

// GossipView is what gossip says of one node now. It is a hint.
type GossipView struct {
	Known   bool // ever seen since this daemon started
	Alive   bool
	Leaving bool // announced an orderly stop
}

// CorosyncView is corosync's membership as the local .members has it.
type CorosyncView struct {
	Known   bool
	Quorate bool
	Online  []NodeName
}

// DeviceAction is what a fencing device is asked for. There is no cycle (R4). A reset is asked only of devices that know nothing else.
type DeviceAction string

// Device actions.
const (
	DeviceRead    DeviceAction = "read"
	DeviceOff     DeviceAction = "off"
	DeviceOn      DeviceAction = "on"
	DeviceRevoke  DeviceAction = "revoke"  // take the incarnation's access to storages away
	DeviceRestore DeviceAction = "restore" // give access to storages back to the clients of a boot that has ended
	DevicePoison  DeviceAction = "poison"  // write the message that makes the node end itself
	DeviceReset   DeviceAction = "reset"   // end the boot at once and begin another
)

// DeviceCommand asks the executor for one action on one device.
type DeviceCommand struct {
	Device      string
	Node        NodeName
	Incarnation Incarnation // read before the command, so that the answer is about it or an older one
	Action      DeviceAction
	Term        Term
	Clients     []string      // storage devices: the addresses that the incarnation published
	Deadline    Instant       // the executor is killed then; 0 for a read, which needs no leadership
	Timeout     time.Duration // of the single request
}

// DeviceReading is the executor's answer to a command. What is read is said literally; a success of "off", "revoke",
// "poison" or "reset" says only that the device took the command.
type DeviceReading struct {
	Device      string
	Node        NodeName
	Incarnation Incarnation
	Action      DeviceAction
	Asked       Instant // before the request was sent
	Answered    Instant
	Power       Power            // of a read; PowerUnknown otherwise
	SystemUUID  string           // of a read, where the device tells
	Clients     []string         // storage devices: the addresses that the answer is about
	Storages    []StorageReading // of a storage device's read
	Pills       int              // of a poison device's read: disks on which the message in the node's slot was read back
	Disks       int              // of how many disks that the device has, readable or not
	Problem     string           // empty: the device answered as it should
	Perhaps     bool             // of a reset that failed: it was sent, and may be carried out all the same
}

// Errors of the Proxmox port that decide what an agent does next.
var (
	// ErrConfigGone: no directory that the guest may be taken from has its config.
	ErrConfigGone = errors.New("the guest's config is not there")
	// ErrNoQuorum: Proxmox refuses because corosync has no quorum here; try again.
	ErrNoQuorum = errors.New("no corosync quorum, /etc/pve is read-only")
	// ErrStillRunning: the call's time is over but what it began goes on; look before trying again.
	ErrStillRunning = errors.New("begun, its end is not known")
	// ErrTryAgain: nothing was done, and the same call may go through in a moment.
	ErrTryAgain = errors.New("try again")
)

// Inventory is what one node's Proxmox shows: bytes of memory, storages, guests whose config lies there.
type Inventory struct {
	Memory   int64
	Storages []StorageReport // by name
	Places   []StoragePlace  // of the storages that this node may use, enabled ones only
	Guests   []GuestSeen     // by VMID
	Votes    *CorosyncVotes  // of corosync.conf; nil: not known
	Managed  []VMID          // guests that Proxmox's own HA manages, wherever their configs lie, ascending
	Problems []string        // what the operator should know and do
}

// StopCause is why a guest is stopped.
type StopCause string

// The causes. Only a user's own stop changes what is requested.
const (
	CauseUser    StopCause = "user"    // a user's stop or shutdown task
	CausePassing StopCause = "passing" // under stopall, backup, migration, snapshot, node shutdown: it goes on
	CausePassed  StopCause = "passed"  // one of these stopped it, and has ended
	CauseNone    StopCause = "none"    // no task: it crashed or powered itself off
)

// StoreHealth is the store's own state as one node sees it.
type StoreHealth struct {
	Available  bool
	External   bool       // an etcd that others run: Voters are the configured endpoints, of perhaps more members
	RaftLeader NodeName   // "" when none is known
	Voters     []NodeName // who votes, as etcd's members have it; as configured while that is not known
	Answering  []NodeName
	Reason     string   // why not available
	Problems   []string // of a store that is available: what and what to do

	Spares   []NodeName // they may vote and do not; nothing while that is not known
	Changing bool       // who votes is being changed
	OwnDown  bool       // this node is a voter and its etcd does not run
}

// GuardStatus is what the guard says of itself.
type GuardStatus struct {
	Connected bool
	Phase     string
	Driver    string // watchdog driver, "" when none
	Armed     bool
	Deadline  Instant
	Clean     bool // nothing that it watches runs, or it watches nothing
	Detail    string
	Guests    []GuestRef // that it watches
	Timing    Timing     // that it runs with
	Version   string     // of the program that runs

	Slots        []string // poison devices whose slots it watches
	SlotsSeen    bool     // enough of their disks have been seen lately
	SlotsHeld    bool     // it feeds the watchdog only while that is so
	SlotsProblem string   // why they are not seen
}

// GuestRef names a guest to the guard.
type GuestRef struct {
	ID   VMID      `json:"id"`
	Kind GuestKind `json:"kind"`
}
