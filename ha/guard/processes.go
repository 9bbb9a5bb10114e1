package guard

import (
	"bascule/ha"
	"bascule/ha/node"
)

// What a process is to a guest.
const (
	WhatWorker  = "worker"  // a PVE task worker with the guest's VMID
	WhatGuest   = "guest"   // QEMU, or a process in the container
	WhatMonitor = "monitor" // the container's LXC monitor
	WhatOther   = "other"   // started by a worker (qemu-img …), or serving the VM (swtpm, virtiofsd)
)

// Proc is one process of a guest. PID and StartTime together never name another process.
type Proc struct {
	PID       int
	StartTime uint64 // clock ticks since boot, as /proc/PID/stat has it
	What      string
	VMID      ha.VMID
	Cmdline   string
	Cgroup    string // its guest's cgroup below the cgroup v2 mount, "" if none
}

// Processes finds and kills guests' processes. One goroutine calls it.
type Processes interface {
	// Find returns the living processes of these guests. An error means that more may exist than it returns.
	Find(guests []node.GuestRef) ([]Proc, error)
	// Kill sends SIGKILL to exactly this process; nil if it is already gone.
	Kill(p Proc) error
}
