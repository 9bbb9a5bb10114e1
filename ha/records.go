package ha

import "time"

// Schema is the version of the records below. A daemon refuses to lead over records of a newer one.
const Schema = 2

// LeaseRecord is a node's lease entry: bound to its etcd lease, gone when that ends. Key lease/NODE, owner: the agent.
type LeaseRecord struct {
	Node        NodeName    `json:"node"`
	Incarnation Incarnation `json:"incarnation"`
	Lease       LeaseID     `json:"lease"`
}

// LeaderRecord is who leads. Key leader, bound to the leader's node lease; its create revision is the term.
type LeaderRecord struct {
	Node        NodeName    `json:"node"`
	Incarnation Incarnation `json:"incarnation"`
	Lease       LeaseID     `json:"lease"`
}

// NodeReport is what an agent says of its own node. Key report/NODE, owner: that agent; written on change only.
type NodeReport struct {
	Schema         int             `json:"schema"`
	Node           NodeName        `json:"node"`
	Incarnation    Incarnation     `json:"incarnation"`
	Lease          LeaseID         `json:"lease"`
	Version        string          `json:"version"`
	SystemUUID     string          `json:"system_uuid,omitempty"` // DMI product UUID; fencing devices must match it
	Timing         Timing          `json:"timing"`
	Armed          bool            `json:"armed"`                     // the guard holds an armed watchdog
	WatchdogDriver string          `json:"watchdog_driver,omitempty"` // empty: no watchdog
	Watches        []string        `json:"watches,omitempty"`         // poison devices whose messages end this boot: its guard watches the slots, and feeds the watchdog only while it sees them
	Leaving        bool            `json:"leaving,omitempty"`         // stopped in order: silence is not death
	Epoch          Epoch           `json:"epoch,omitempty"`           // that the node has taken note of, with nothing of an older one under way (R8)
	WentBack       Epoch           `json:"went_back,omitempty"`       // the epoch of the store that it has seen a later state of than the store shows now (R8); 0: none
	Highest        Generation      `json:"highest,omitempty"`         // of a store that was ever restored: the highest generation that the node knows of
	Isolation      Isolation       `json:"isolation,omitempty"`       // what happens to its guests when its permit ends
	Witness        bool            `json:"witness,omitempty"`
	EtcdDown       bool            `json:"etcd_down,omitempty"` // it is a voter of the embedded store, and its etcd does not run
	Memory         int64           `json:"memory"`              // bytes of RAM
	Quorate        bool            `json:"quorate"`
	CorosyncOnline []NodeName      `json:"corosync_online"`          // as its .members lists them
	CorosyncVotes  *CorosyncVotes  `json:"corosync_votes,omitempty"` // as its corosync.conf has them; nil: not known
	Storages       []StorageReport `json:"storages"`
	Guests         []GuestSeen     `json:"guests"`             // configs under this node's directory, by VMID
	Clients        []string        `json:"clients,omitempty"`  // every address from which it writes to shared storages; revocation names them
	Managed        []VMID          `json:"managed,omitempty"`  // guests that Proxmox's own HA manages, as this node's /etc/pve has it (R7)
	Problems       []string        `json:"problems,omitempty"` // what its operator should know and do
}

// GuestSeen is a guest whose config lies under the reporting node's directory.
type GuestSeen struct {
	ID        VMID      `json:"id"`
	Kind      GuestKind `json:"kind"`
	Name      string    `json:"name,omitempty"`
	Protected bool      `json:"protected"`
	Refused   string    `json:"refused,omitempty"` // why a selected guest is not protected (R7: Proxmox's HA manages it; template …)
	Running   bool      `json:"running"`           // by status/current on this node
	Stalled   bool      `json:"stalled,omitempty"` // what runs was left behind by a migration: it does nothing and must not go on
	Memory    int64     `json:"memory"`            // bytes configured
	Storages  []string  `json:"storages"`          // of its writable disks
	Pinned    string    `json:"pinned,omitempty"`  // why it cannot run elsewhere (local disk, passthrough)
	Lock      string    `json:"lock,omitempty"`
	Onboot    bool      `json:"onboot"`
	Priority  int       `json:"priority,omitempty"` // higher starts first
}

// ClusterRecord is what all members must agree on. Key cluster, owner: the leader.
type ClusterRecord struct {
	Schema  int        `json:"schema"`
	Epoch   Epoch      `json:"epoch"`             // bumped when the store was restored or forced anew (R8)
	Reason  string     `json:"reason"`            // why this epoch began
	ListRev int64      `json:"list_rev"`          // grows with each change of Members
	Members []NodeName `json:"members"`           // ascending
	Settled Epoch      `json:"settled,omitempty"` // the newest epoch in which every member has reported or was proven off; the first needs none
}

// Phase is how far an agent is with a guest's assignment.
type Phase string

// The phases of a GuestReport.
const (
	PhaseExpecting Phase = "expecting" // a move's target: its guard knows the guest, the move may begin
	PhaseStarting  Phase = "starting"  // taking over or starting, in this generation
	PhaseRunning   Phase = "running"   // status/current says so
	PhaseStopping  Phase = "stopping"  // being stopped
	PhaseMigrating Phase = "migrating" // its move runs
	PhaseStopped   Phase = "stopped"   // stopped here on somebody's wish; still held (config, volumes may be mapped)
	PhaseFailed    Phase = "failed"    // given up on here; Message has the PVE task's own words; also released
	PhaseReleased  Phase = "released"  // no process, no worker, no mount, no mapping
)

// Gone says whether the phase asserts that nothing of the guest is left on the node.
func (p Phase) Gone() bool { return p == PhaseReleased || p == PhaseFailed }

// GuestReport is an agent's progress with one guest. Key guestreport/NODE/VMID, owner: that node's agent.
type GuestReport struct {
	Guest       VMID        `json:"guest"`
	Node        NodeName    `json:"node"`
	Incarnation Incarnation `json:"incarnation"`
	Generation  Generation  `json:"generation"`
	Phase       Phase       `json:"phase"`
	Message     string      `json:"message,omitempty"`
	Restarts    int         `json:"restarts,omitempty"`    // start attempts in this generation
	ByOperator  bool        `json:"by_operator,omitempty"` // stopped by a user's own task
	Announced   Instant     `json:"announced,omitempty"`   // of a start that is about to begin: when, by the node's own clock, so that no two are equal
	ConfigGone  bool        `json:"config_gone,omitempty"` // released because no node's directory has its config
}

// DeviceCheck is what a fencing device showed during an incarnation's live lease (R3: device identity).
type DeviceCheck struct {
	Device      string      `json:"device"`
	Kind        DeviceKind  `json:"kind,omitempty"` // empty: power
	Incarnation Incarnation `json:"incarnation"`
	ReadOn      bool        `json:"read_on"`           // it showed the living node as it is: power on, access open, no message in its slot, ready to reset it
	UUIDMatched bool        `json:"uuid_matched"`      // its system UUID is the node's
	Problem     string      `json:"problem,omitempty"` // why it would not work today
	Told        bool        `json:"told,omitempty"`    // people have heard of a problem, and not yet of its end

	Confirmed     string `json:"confirmed,omitempty"`      // who has tested that it switches this machine, and when; it outlives boots
	ConfirmedUUID string `json:"confirmed_uuid,omitempty"` // system UUID of the machine that was tested: another one under the name is not meant
}

// Identified says whether the device may be used against incarnation inc, and prove anything about it. Storage, poison and reset devices
// know no system UUID: for them the last look during the live lease must have been without problem.
func (c DeviceCheck) Identified(inc Incarnation) bool {
	if c.Kind == StorageDevice || c.Kind == PoisonDevice || c.Kind == ResetDevice {
		return c.Incarnation == inc && c.ReadOn && c.Problem == ""
	}
	return c.Incarnation == inc && c.ReadOn && (c.UUIDMatched || c.Confirmed != "")
}

// NodeRecord is the leader's judgement of a node. Key node/NODE, owner: the leader.
type NodeRecord struct {
	Schema      int           `json:"schema"`
	Node        NodeName      `json:"node"`
	State       NodeState     `json:"state"`
	Reason      string        `json:"reason"`
	Since       time.Time     `json:"since"`
	Incarnation Incarnation   `json:"incarnation"` // the last one that the leader saw registered
	Lease       LeaseID       `json:"lease"`
	SystemUUID  string        `json:"system_uuid,omitempty"` // of the machine that carries the name; a newcomer must match it
	Drain       bool          `json:"drain,omitempty"`       // an operator's wish; survives leaders
	Outage      bool          `json:"outage,omitempty"`      // while suspect: nobody led while others were down, too, and nothing has been heard of it since; it may be booting
	Devices     []DeviceCheck `json:"devices,omitempty"`
	Proofs      []Proof       `json:"proofs,omitempty"` // about past incarnations that are still holders of guests
	Fences      []time.Time   `json:"fences,omitempty"` // when it was fenced, the last hour: it may be flapping
	Epoch       Epoch         `json:"epoch,omitempty"`  // that the record was last judged in (R8)
	Lost        []string      `json:"lost,omitempty"`   // storages that people were told it has lost, ascending
}

// Move is a planned move of a guest between two living nodes.
type Move struct {
	From   NodeName    `json:"from"`
	Target NodeName    `json:"target"`
	Inc    Incarnation `json:"target_incarnation"`
	Live   bool        `json:"live"`
	Stop   bool        `json:"stop,omitempty"` // stopped and released by its node's agent, then taken over and started: no migration of Proxmox's, which needs the storage on both sides
}

// GuestRecord is a protected guest. Key guest/VMID, owner: the leader.
type GuestRecord struct {
	Schema      int         `json:"schema"`
	ID          VMID        `json:"id"`
	Kind        GuestKind   `json:"kind"`
	Name        string      `json:"name,omitempty"`
	State       GuestState  `json:"state"`
	Reason      string      `json:"reason"`
	Since       time.Time   `json:"since"`
	Requested   Requested   `json:"requested"`
	Node        NodeName    `json:"node"` // assigned to
	Incarnation Incarnation `json:"incarnation"`
	Generation  Generation  `json:"generation"`
	Holders     []Holder    `json:"holders"`
	ConfigFrom  []NodeName  `json:"config_from,omitempty"` // take-over: nodes proven dead, or that released the guest, whose directory may hold the config
	Move        *Move       `json:"move,omitempty"`
	Memory      int64       `json:"memory"`
	Storages    []string    `json:"storages"`
	Pinned      string      `json:"pinned,omitempty"`
	Priority    int         `json:"priority,omitempty"`
	Refused     string      `json:"refused,omitempty"` // R7: why nothing may be done to it (Proxmox's own HA manages it)
	Relocations int         `json:"relocations,omitempty"`
	Excluded    []NodeName  `json:"excluded,omitempty"` // nodes tried since it last ran
	Epoch       Epoch       `json:"epoch,omitempty"`    // that the assignment belongs to: nothing is done for one of another (R8)
	Fled        []time.Time `json:"fled,omitempty"`     // when it left a node that had lost one of its storages, the last hour
}

// FenceStep is one thing that was done or read while fencing, for the ladder's memory and for people.
type FenceStep struct {
	Device string    `json:"device"`
	Action string    `json:"action"` // off, revoke, poison, reset, read, on, wait, proof
	Result string    `json:"result"`
	Term   Term      `json:"term"`
	At     time.Time `json:"at"`
}

// FenceRecord is the fencing of one incarnation. Key fence/NODE, owner: the leader; intents are committed here
// before a device hears of them.
type FenceRecord struct {
	Schema      int         `json:"schema"`
	Node        NodeName    `json:"node"`
	Incarnation Incarnation `json:"incarnation"`
	Lease       LeaseID     `json:"lease"`
	Reason      string      `json:"reason"`
	Operator    string      `json:"operator,omitempty"` // who asked for it; empty: decided by the leader
	Term        Term        `json:"term"`               // of the leader that wrote it last
	Since       time.Time   `json:"since"`
	Level       int         `json:"level"`             // index of the level being tried
	Commanded   []string    `json:"commanded"`         // devices whose command (off, revoke, poison, reset) is committed as an intent for this incarnation
	Steps       []FenceStep `json:"steps"`             // last MaxFenceSteps
	Proofs      []Proof     `json:"proofs"`            // at most one StorageRevoked: all storages that are proven revoked
	Problem     string      `json:"problem,omitempty"` // why there is no complete proof yet, and what to do
	Held        string      `json:"held,omitempty"`    // why no device is told anything yet; part of Problem. Proofs that need no command count all the same

	Clients      []string `json:"clients,omitempty"`       // that the incarnation published: revocation is about these
	Delivered    []string `json:"delivered,omitempty"`     // poison devices whose message was read back on a majority: never written again, it could meet the next boot
	Restored     []string `json:"restored,omitempty"`      // storages proven revoked once and then found open
	SwitchedOn   []string `json:"switched_on,omitempty"`   // power devices that were told to switch the machine on again after the proof, once per try
	RunsAgain    bool     `json:"runs_again,omitempty"`    // they have all read on since: nothing more is switched
	GivenBack    []string `json:"given_back,omitempty"`    // storage devices that gave access back after the next boot
	Resets       []Resets `json:"resets,omitempty"`        // by reset device that was told
	LeaseRevoked bool     `json:"lease_revoked,omitempty"` // a lease was ended before its time: the permit may outlive it by the lease TTL
}

// Resets is how often a reset device was told to reset the machine, in one fencing. An intent counts from its commit on; only an answer that
// rules out that it was heard takes it back, so that a leader that takes over never repeats one that may have been carried out.
type Resets struct {
	Device string `json:"device"`
	Times  int    `json:"times"`
}

// Told is how often a reset device was told to reset the machine, as far as is known.
func (f *FenceRecord) Told(device string) int {
	if f != nil {
		for _, r := range f.Resets {
			if r.Device == device {
				return r.Times
			}
		}
	}
	return 0
}

// MaxFenceSteps bounds FenceRecord.Steps.
const MaxFenceSteps = 40

// OnbootRecord keeps what a guest's onboot was before protection set it to 0, to put it back. Key onboot/VMID,
// owner: the agent that holds the config; written before the config is edited.
type OnbootRecord struct {
	Guest VMID `json:"guest"`
	Old   bool `json:"old"`
}

// RequestKind is what an operator asks for.
type RequestKind string

// The requests an operator can make.
const (
	RequestDrain      RequestKind = "drain"
	RequestUndrain    RequestKind = "undrain"
	RequestFence      RequestKind = "fence"
	RequestConfirmOff RequestKind = "confirm-off"

	// RequestConfirmTest: the operator has switched the machine with the power device named in the request, and saw that it was this one.
	RequestConfirmTest RequestKind = "confirm-test"
)

// NeverRegistered stands for the boot of a member that has no record: a store that was restored may not know it yet, and it
// may have to be confirmed off all the same.
const NeverRegistered Incarnation = "never-registered"

// Request is an operator's wish. Key request/ID; written by the API, removed by the leader when taken up.
type Request struct {
	ID          string      `json:"id"`
	Kind        RequestKind `json:"kind"`
	Node        NodeName    `json:"node"`
	Incarnation Incarnation `json:"incarnation,omitempty"` // confirm-off, fence, confirm-test: the incarnation meant
	Device      string      `json:"device,omitempty"`      // confirm-test: the power device that was tested
	By          string      `json:"by"`
	At          time.Time   `json:"at"`
}

// Event is a stored transition. Key event/TIME-N; appended in the transaction that makes the change true.
type Event struct {
	Transition
	At   time.Time `json:"at"` // wall clock of the writer
	Term Term      `json:"term,omitempty"`
	By   NodeName  `json:"by,omitempty"`
}

// MaxEvents is how many events the store keeps; the leader removes the oldest beyond it.
const MaxEvents = 1000
