package guard

import (
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

// The operations of the guard's socket: one JSON object a line, one line answers each.
const (
	opHello  = "hello"
	opPermit = "permit"
	opEnd    = "end"
	opArm    = "arm"
	opDisarm = "disarm"
	opObey   = "obey"
	opStatus = "status"
)

// maxLine bounds a request: some thousand guests.
const maxLine = 1 << 20

type request struct {
	Op     string            `json:"op"`
	Permit *node.GuardPermit `json:"permit,omitempty"`
	End    *node.GuardEnd    `json:"end,omitempty"`
	Disarm *node.GuardDisarm `json:"disarm,omitempty"`
	Obey   *node.GuardObey   `json:"obey,omitempty"`
}

type answer struct {
	OK     bool   `json:"ok"`
	Error  string `json:"error,omitempty"`
	Status Status `json:"status"`
}

// Status is what the guard says of itself.
type Status struct {
	Phase       node.GuardPhase     `json:"phase"`
	Armed       bool                `json:"armed"`              // it holds a watchdog that ends the node if the guard stops
	Driver      string              `json:"driver"`             // of the watchdog; empty: none
	Watchdog    *WatchdogFacts      `json:"watchdog,omitempty"` // what the driver learnt when it armed
	Incarnation ha.Incarnation      `json:"incarnation"`
	Deadline    ha.Instant          `json:"deadline"` // of the permit, CLOCK_BOOTTIME; 0: never had one
	Guests      []node.GuestRef     `json:"guests"`
	Remaining   []node.GuardRemnant `json:"remaining,omitempty"` // processes that the last scan found
	Detail      string              `json:"detail,omitempty"`    // what is wrong, for people
	Timing      ha.Timing           `json:"timing"`              // that this guard runs with: the agent publishes no other
	PID         int                 `json:"pid"`
	Started     time.Time           `json:"started"`
	Slots       *SlotStatus         `json:"slots,omitempty"`   // nil: it watches none
	Version     string              `json:"version,omitempty"` // of the program that runs, which may be older than the agent's; empty: before it was told
	Free        bool                `json:"free"`              // its end now costs nothing: it counts no deadline and holds no watchdog
}

// SlotStatus is what the guard says of this node's slots on shared disks.
type SlotStatus struct {
	Devices []string `json:"devices"`           // poison devices, by name
	Seen    bool     `json:"seen"`              // enough disks of each have been seen lately
	Held    bool     `json:"held"`              // the watchdog is fed only while they are seen: somebody may count on it
	Problem string   `json:"problem,omitempty"` // why they are not seen
}
