package node

import (
	"time"

	"bascule/ha"
	"bascule/ha/ladder"
)

// Config is what a node's machine is told once.
type Config struct {
	Self           ha.NodeName
	Incarnation    ha.Incarnation
	Timing         ha.Timing
	MaxRestart     int                         // start attempts on this node beyond the first
	ParallelStarts int                         // guests being started at once
	Witness        bool                        // votes and gossips only
	Isolation      ha.Isolation                // what becomes of the guests here when the permit ends
	Plans          map[ha.NodeName]ladder.Plan // the other members' fencing devices: read, never switched
}

// State is everything the machine remembers.
type State struct {
	Lease   Lease
	Guests  map[ha.VMID]Guest          // by what concerns this node
	Records map[ha.VMID]ha.GuestRecord // the latest view of the store
	Onboot  map[ha.VMID]bool           // former onboot values kept in the store
	Synced  bool                       // the view was read at least once
	Looked  bool                       // Proxmox was looked at at least once
	Guarded bool                       // the guard is connected and enforces the permit

	Managed   []ha.VMID  // by Proxmox's own HA (R7)
	Quorate   bool       // the newest look was at the cluster's /etc/pve, not at what it once was
	Newer     bool       // the store holds records of a newer version
	LookBegan ha.Instant // when the newest look began
	Epoch     Epoch
	Members   []ha.NodeName // the cluster's list, ascending
	ListRev   int64         // its revision; 0: not known
	Nodes     map[ha.NodeName]ha.NodeRecord
	Leader    *ha.LeaderRecord // in the store's view
	Gossip    map[ha.NodeName]ha.GossipView
	Peers     Peers
	Promises  map[ha.NodeName]ha.Instant // given to other members, with their ends: until then no part is taken in recovering their guests
	Longest   time.Duration              // the longest TTL of an asker that was given a promise by this process
	Silent    []ha.NodeName              // members that missed the last round of asking
	Watched   map[ha.NodeName]Watched
	Off       map[ha.NodeName]ladder.Memory // what read members off, for the leader that this node may become; until they show life
	Revoked   ha.LeaseID                    // that was last asked to be revoked as a deputy
}

// Guest is one guest as this node deals with it.
type Guest struct {
	Seen    Seen
	Job     Job
	Written ha.GuestReport // last report handed out for writing
}

// Seen is what the last look at Proxmox showed.
type Seen struct {
	Kind       ha.GuestKind
	ConfigHere bool
	Running    bool
	Protected  bool
	Stalled    ha.Instant // since when what runs is only what a migration left behind; 0: it is not
	Refused    bool       // Proxmox's own HA manages it (R7), or it is a template …: hands off
	Onboot     bool
	At         ha.Instant // when the look began, or when a job of ours changed it
}

// Step names one piece of work on a guest; each is one effect and one answer.
type StepName string

// The steps.
const (
	StepNone     StepName = ""
	StepVerify   StepName = "verify"   // linearizable read: mine, this generation, my incarnation
	StepClaim    StepName = "claim"    // take-over rename from a proven node's directory
	StepUnlock   StepName = "unlock"   // clear a leftover lock that may be cleared
	StepStorages StepName = "storages" // all storages active here
	StepRecheck  StepName = "recheck"  // verify again: the claim may have blocked for seconds
	StepStart    StepName = "start"
	StepConfirm  StepName = "confirm" // running in status/current
	StepCause    StepName = "cause"   // why did it stop
	StepStop     StepName = "stop"
	StepExpect   StepName = "expect" // a move's target: tell the guard of the guest before it comes
	StepMigrate  StepName = "migrate"
	StepAbort    StepName = "abort"  // end the worker of a move whose target is proven dead
	StepSettle   StepName = "settle" // a move whose end is not known: no worker of the guest left here
	StepKill     StepName = "kill"   // end processes that have no right to run here
	StepScan     StepName = "scan"   // no process, no worker left
	StepOnboot   StepName = "onboot"
	StepRestore  StepName = "restore-onboot"
)

// Job is the chain of steps that a guest is in.
type Job struct {
	Step       StepName
	Generation ha.Generation
	Seq        int64 // answers with another number are of an older job
	InFlight   bool
	NotBefore  ha.Instant
	Attempts   int         // start attempts that failed in this generation
	Failure    string      // why the last attempt failed
	Since      ha.Instant  // when the present chain of a start began
	Target     ha.NodeName // of the move in flight
	TargetInc  ha.Incarnation
	MoveDone   ha.Generation
	MoveError  string
	Gone       bool       // its config exists on no node
	Fresh      ha.Instant // act only on a look that began after this
	Kills      int        // rounds of ending what is left
	Waited     ha.Instant // since when a scan has found a worker that is not ours
	Asked      ha.Instant // when a look was asked for before anything that a scan found is ended
	RunningAt  ha.Instant // since when it has been seen running without a break; 0: not
}

// Outcome is how a step ended.
type Outcome string

// The outcomes.
const (
	Done       Outcome = "done"
	Transient  Outcome = "transient"   // try the step again soon; does not count as an attempt
	Failed     Outcome = "failed"      // counts as an attempt
	NotMine    Outcome = "not-mine"    // verify: the record says otherwise
	ConfigGone Outcome = "config-gone" // claim: no directory has the config
	Elsewhere  Outcome = "elsewhere"   // claim: another node's directory has it, one that nobody proved dead
	NotRunning Outcome = "not-running" // confirm
	Unclean    Outcome = "unclean"     // scan: something is left
	Working    Outcome = "working"     // scan, start: a worker of Proxmox is at it
	ByUser     Outcome = "by-user"     // cause: a user's own stop task
	Passing    Outcome = "passing"     // cause: under something that does not change the wish (backup, migration, shutdown)
	Passed     Outcome = "passed"      // cause: such a thing stopped it, and is over
)

// Event is something that happened: Tick, Granted, Registered, Renewed, Campaigned, LeaderSeen, View, Looked,
// GuardSeen, GossipSeen, PeerAsked, PeerAnswered, PowerRead, StepDone, Leave.
type Event interface{ event() }

// Effect is something to do: Grant, Register, Renew, Campaign, Resign, Permit, EndPermit, AskPeers, AnswerPeer, ReadPower,
// RevokeLease, Do, Look, Report.
type Effect interface{ effect() }

// Tick is the passing of time; Next says when one is due.
type Tick struct{}

// View is the store's content that concerns guests.
type View struct {
	Rev     int64
	Back    bool // it contradicts the view before it (ha.WentBack)
	Newer   bool // it holds records of a newer version: this daemon must not lead over them
	Cluster ha.ClusterRecord
	Leader  *ha.LeaderRecord
	Nodes   map[ha.NodeName]ha.NodeRecord
	Records map[ha.VMID]ha.GuestRecord
	Onboot  map[ha.VMID]bool
	Reports map[ha.VMID]ha.GuestReport // this node's own
}

// Looked is an inventory of this node's guests; Began is when the look began.
type Looked struct {
	Began   ha.Instant
	Guests  []ha.GuestSeen // whose config lies here
	Managed []ha.VMID      // by Proxmox's own HA, wherever their configs lie
	Quorate bool           // /etc/pve is the cluster's: without corosync quorum it shows what once was
	Strays  []ha.VMID      // running here although their config lies elsewhere
}

// GuardSeen is what the guard says.
type GuardSeen struct {
	Connected bool
	Clean     bool       // nothing protected runs here, or the guard watches nothing
	Deadline  ha.Instant // of the permit it knows
}

// StepDone answers a Do.
type StepDone struct {
	Guest   ha.VMID
	Seq     int64
	Step    StepName
	Outcome Outcome
	Message string
}

// Do asks for one step on a guest. Record is the assignment it is about.
type Do struct {
	Guest  ha.VMID
	Kind   ha.GuestKind
	Seq    int64
	Step   StepName
	Record ha.GuestRecord
	Hard   bool // of a kill: also a process that waits for a migration into it
}

// Look asks for a look at Proxmox now.
type Look struct{}

// Report asks to write this node's report about a guest.
type Report struct{ Report ha.GuestReport }

func (Tick) event()      {}
func (View) event()      {}
func (Looked) event()    {}
func (GuardSeen) event() {}
func (StepDone) event()  {}
func (Do) effect()       {}
func (Report) effect()   {}
func (Look) effect()     {}
