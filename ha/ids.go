package ha

import (
	"fmt"
	"strings"
	"time"
)

// NodeName is a Proxmox node's name as /etc/pve/nodes has it.
type NodeName string

// NodeOf is the name of the node on a host: the host name up to its first dot, as Proxmox takes it.
func NodeOf(host string) NodeName {
	name, _, _ := strings.Cut(strings.TrimSpace(host), ".")
	return NodeName(name)
}

// Incarnation identifies one boot of a node: the kernel's boot id. Two incarnations of a node never run at
// the same time, so a proof about one says nothing about the next.
type Incarnation string

// VMID is a Proxmox guest's number, unique in the cluster.
type VMID int

// Valid says whether Proxmox would take the number: 100 to 999999999.
func (id VMID) Valid() bool { return id >= 100 && id <= 999999999 }

// GuestKind is how Proxmox names the two sorts of guests in paths: "qemu" (VM) and "lxc" (container).
type GuestKind string

// The two kinds of guests that Proxmox VE knows.
const (
	QEMU GuestKind = "qemu"
	LXC  GuestKind = "lxc"
)

// ConfigDir returns the directory below /etc/pve/nodes/NODE that holds configs of this kind.
func (k GuestKind) ConfigDir() string {
	if k == QEMU {
		return "qemu-server"
	}
	return "lxc"
}

// Tool is the command that manages guests of this kind on a node.
func (k GuestKind) Tool() string {
	if k == LXC {
		return "pct"
	}
	return "qm"
}

// Label names a guest for people: "VM 101" or "CT 201".
func (k GuestKind) Label(id VMID) string {
	if k == QEMU {
		return fmt.Sprintf("VM %d", id)
	}
	return fmt.Sprintf("CT %d", id)
}

// Term is the etcd create revision of the leader key: the fencing token of a leadership. 0 means none.
type Term int64

// Generation counts a guest's assignments; it grows by one with each.
type Generation int64

// Epoch counts the lives of the store: it grows when a copy was restored or a new cluster forced (R8).
type Epoch int64

// Isolation is what a node does with its guests when its permit ends.
type Isolation string

// The two ways. IsolationKeep is allowed only where every guest's disks can be taken away from outside (storage fencing).
const (
	IsolationStop Isolation = ""     // the guard ends them (R2)
	IsolationKeep Isolation = "keep" // they run on; others take them over only when their storage was revoked or the node is off
)

// LeaseID is an etcd lease's id.
type LeaseID int64

// Instant is a moment on one machine's CLOCK_BOOTTIME in nanoseconds: it counts suspend and never steps. Instants
// of different machines, or of different boots, must not be compared.
type Instant int64

// Add returns the instant d later.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d) }

// Sub returns the time from j to i.
func (i Instant) Sub(j Instant) time.Duration { return time.Duration(i - j) }

// Before says whether i lies before j.
func (i Instant) Before(j Instant) bool { return i < j }

// Member is one entry of the cluster's member list.
type Member struct {
	Name    NodeName `json:"name"`
	Address string   `json:"address"`           // host or IP address that the others reach it at
	Witness bool     `json:"witness,omitempty"` // votes, runs no guests
}

// Holder is a (node, incarnation) that may have a process, a PVE worker or a mapped volume of a guest since
// the assignment with this generation.
type Holder struct {
	Node        NodeName    `json:"node"`
	Incarnation Incarnation `json:"incarnation"`
	Generation  Generation  `json:"generation"`
}
