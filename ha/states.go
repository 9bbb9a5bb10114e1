package ha

// NodeState is the leader's judgement of a node.
type NodeState string

// The node states, in Proxmox operators' words.
const (
	NodeOnline      NodeState = "online"      // lease held, gossip alive
	NodeSuspect     NodeState = "suspect"     // one hint of death; nothing is done to it but reading its power
	NodeFencing     NodeState = "fencing"     // both hints agree (or an operator asked): proof is being obtained
	NodeFenced      NodeState = "fenced"      // proven: its recorded incarnation can no longer run or write
	NodeMaintenance NodeState = "maintenance" // drained, or its daemon was stopped in order: takes no guests
	NodeDraining    NodeState = "draining"    // its guests are being moved away
	NodeQuarantined NodeState = "quarantined" // flapping: takes no guests
	NodeOffline     NodeState = "offline"     // left in order, nothing running there
)

// GuestState is the leader's judgement of a guest.
type GuestState string

// The guest states.
const (
	GuestStarted     GuestState = "started"
	GuestStopped     GuestState = "stopped"
	GuestStarting    GuestState = "starting"
	GuestStopping    GuestState = "stopping"
	GuestMigrating   GuestState = "migrating"  // live
	GuestRelocating  GuestState = "relocating" // stop, move, start
	GuestFence       GuestState = "fence"      // its node is being fenced
	GuestRecovery    GuestState = "recovery"   // free, waiting for a place
	GuestFrozen      GuestState = "frozen"     // nothing is done to it now; why is in the record
	GuestError       GuestState = "error"      // given up; why is in the record
	GuestUnprotected GuestState = "unprotected"
)

// Requested is what the operator wants of a guest.
type Requested string

// The requested states.
const (
	RequestedStarted  Requested = "started"
	RequestedStopped  Requested = "stopped"
	RequestedDisabled Requested = "disabled" // stop, and do not recover
	RequestedIgnored  Requested = "ignored"  // leave it alone entirely
)

// Power is a fencing device's literal answer about a machine's power.
type Power string

// Device power readings. Only a literal PowerOff may support a proof.
const (
	PowerOn          Power = "on"
	PowerOff         Power = "off"
	PowerPoweringOn  Power = "powering-on"
	PowerPoweringOff Power = "powering-off"
	PowerUnknown     Power = "unknown"
)

// Alarm begins the reason of what must never be; people hear of it although no state changes.
const Alarm = "ALARM: "

// SubjectStorage begins the subject of a transition about a storage on a node: "storage nas on node2". It goes from works to lost and back.
const (
	SubjectStorage = "storage "
	StorageWorks   = "works"
	StorageLost    = "lost"
)

// SubjectDevice begins the subject of a transition about a fencing device of a node: "fencing device bmc2 of node2". It goes from works
// to broken and back.
const (
	SubjectDevice = "fencing device "
	DeviceWorks   = "works"
	DeviceBroken  = "broken"
)

// Transition is one change of a node's or guest's state and the reason for it. Shells log, store and notify
// transitions; they never derive behaviour from them.
type Transition struct {
	Subject string   `json:"subject"` // "node node2", "guest 101", "storage nas on node2", "cluster"
	Node    NodeName `json:"node,omitempty"`
	Guest   VMID     `json:"guest,omitempty"`
	From    string   `json:"from"`
	To      string   `json:"to"`
	Reason  string   `json:"reason"`
}
