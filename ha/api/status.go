package api

import (
	"time"

	"bascule/ha"
)

// Health sums a status up in one word.
type Health string

// Healths. Unknown: this node has not read the store since it started.
const (
	HealthOK       Health = "ok"
	HealthDegraded Health = "degraded"
	HealthUnknown  Health = "unknown"
)

// Status is the wire type of GET /v1/status: one node's view of the cluster.
type Status struct {
	Cluster     string      `json:"cluster"`
	Node        ha.NodeName `json:"node"` // who answers
	Role        string      `json:"role"`
	Version     string      `json:"version"`
	At          time.Time   `json:"at"` // the answering node's wall clock; all "since" are to be read against it
	Health      Health      `json:"health"`
	Leader      ha.NodeName `json:"leader"` // empty: none
	Term        ha.Term     `json:"term"`
	Leading     bool        `json:"leading"`              // the answering node leads
	SnapshotAge float64     `json:"snapshot_age_seconds"` // how old nodes and guests below are
	Quorum      Quorum      `json:"quorum"`
	Etcd        Etcd        `json:"etcd"`
	Permit      Permit      `json:"permit"`
	Guard       Guard       `json:"guard"`
	Nodes       []Node      `json:"nodes"`
	Guests      []Guest     `json:"guests"`
	Storages    []Storage   `json:"storages"` // by name
	Problems    []Problem   `json:"problems"` // the gravest first
}

// Quorum is Proxmox's own quorum (corosync), as the answering node sees it. It is not etcd's.
type Quorum struct {
	Known   bool          `json:"known"`
	Quorate bool          `json:"quorate"`
	Online  []ha.NodeName `json:"online"`
}

// Etcd is the store's health as the answering node sees it.
type Etcd struct {
	Available  bool      `json:"available"`
	External   bool      `json:"external,omitempty"` // an etcd that others run: voters are the configured endpoints
	RaftLeader string    `json:"raft_leader,omitempty"`
	Voters     []string  `json:"voters"`
	Answering  []string  `json:"answering"`
	Reason     string    `json:"reason,omitempty"`
	Since      time.Time `json:"since,omitzero"`
	Revision   int64     `json:"revision,omitempty"` // of this node's view: grows by one with each write
}

// Permit is the answering node's right to run protected guests.
type Permit struct {
	Valid     bool    `json:"valid"`
	Remaining float64 `json:"remaining_seconds"`
	Reason    string  `json:"reason,omitempty"`
}

// Guard is the answering node's guard.
type Guard struct {
	Connected bool   `json:"connected"`
	Phase     string `json:"phase,omitempty"`
	Driver    string `json:"driver,omitempty"`
	Armed     bool   `json:"armed"`
	Detail    string `json:"detail,omitempty"`
	Version   string `json:"version,omitempty"` // of its program: an upgrade may leave the old one running until the next boot
}

// StateUnknown is shown for a member that the leader has no record of.
const StateUnknown ha.NodeState = "unknown"

// Node is one member of the cluster.
type Node struct {
	Name        ha.NodeName    `json:"name"`
	State       ha.NodeState   `json:"state"`
	Reason      string         `json:"reason"`
	Held        string         `json:"held,omitempty"` // why its fencing has not begun; hactl fence overrides it
	Since       time.Time      `json:"since,omitzero"`
	Incarnation ha.Incarnation `json:"incarnation"`
	Witness     bool           `json:"witness,omitempty"`
	Drain       bool           `json:"drain,omitempty"`
	Lease       bool           `json:"lease"`    // it holds its lease now
	Gossip      string         `json:"gossip"`   // alive, leaving, silent, unknown
	Corosync    string         `json:"corosync"` // online, offline, unknown: as the answering node's corosync lists it
	Power       []PowerDevice  `json:"power"`
	Armed       bool           `json:"armed"`
	Watchdog    string         `json:"watchdog,omitempty"`
	Memory      int64          `json:"memory"`            // bytes of RAM
	MemoryUsed  int64          `json:"memory_guests"`     // bytes configured for the protected guests assigned here
	Guests      int            `json:"guests"`            // protected guests assigned here
	Version     string         `json:"version,omitempty"` // of its basculed
}

// PowerDevice is one fencing device of a node. Ready: were the node to die now, the device could prove it off.
type PowerDevice struct {
	Device  string `json:"device"`
	Ready   bool   `json:"ready"`
	ReadOn  bool   `json:"read_on"`
	UUID    bool   `json:"uuid_matched"`
	Problem string `json:"problem,omitempty"`
}

// Guest is one protected guest, or one that was selected and refused (state unprotected).
type Guest struct {
	VMID       ha.VMID       `json:"vmid"`
	Kind       ha.GuestKind  `json:"kind"`
	Name       string        `json:"name,omitempty"`
	State      ha.GuestState `json:"state"`
	Node       ha.NodeName   `json:"node"`
	Target     ha.NodeName   `json:"target,omitempty"` // of a move under way
	Requested  ha.Requested  `json:"requested,omitempty"`
	Reason     string        `json:"reason"`
	Since      time.Time     `json:"since,omitzero"`
	Generation ha.Generation `json:"generation"`
	Memory     int64         `json:"memory"`
	Pinned     string        `json:"pinned,omitempty"` // why it cannot run elsewhere
}

// Severity grades a problem.
type Severity string

// Severities. Info does not degrade the health: it is a state that somebody wanted.
const (
	Critical Severity = "critical"
	Warning  Severity = "warning"
	Info     Severity = "info"
)

// Problem is one thing that is wrong, why, and what to do about it.
type Problem struct {
	ID       string   `json:"id"` // of its kind: hactl doctor explain ID
	Severity Severity `json:"severity"`
	Subject  string   `json:"subject"` // "cluster", "store", "node node2", "VM 101"
	What     string   `json:"what"`
	Why      string   `json:"why,omitempty"`
	Do       string   `json:"do,omitempty"`
}
