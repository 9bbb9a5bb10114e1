package ha

import "time"

// StorageState is what a node's own looks say of a storage. Proxmox's word is StorageReport.Active; this one comes from Bascule reading (and
// writing) there itself. Empty: nobody looks (no way to for its type, or an older daemon): nothing is decided from that.
type StorageState string

// The states. One failed look makes nothing but doubt: a guest leaves only a storage that is bad or hangs, and goes only where it is good.
const (
	StorageGood     StorageState = "good"     // the last look succeeded
	StorageDoubtful StorageState = "doubtful" // the last look failed, the one before it did not
	StorageBad      StorageState = "bad"      // two looks in a row failed
	StorageHung     StorageState = "hung"     // looks do not come back: whoever uses it waits in the kernel
)

// Lost says whether guests cannot work with the storage: for longer than a hiccup it fails or gives no answer.
func (s StorageState) Lost() bool { return s == StorageBad || s == StorageHung }

// StorageReport is a storage as one node sees it.
type StorageReport struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Shared bool   `json:"shared"`
	Active bool   `json:"active"` // Proxmox would use it now

	State   StorageState `json:"state,omitempty"`
	Since   time.Time    `json:"since,omitzero"`    // of the state; the node's wall clock, for people
	Problem string       `json:"problem,omitempty"` // why it is not good
	Notes   []string     `json:"notes,omitempty"`   // what its operator should know although it works: paths lost, nearly full, a flag left set
	Paths   *PathCount   `json:"paths,omitempty"`   // of a storage behind multipath
}

// PathCount is how many ways lead to a storage's devices; of several devices those of the one with the fewest left.
type PathCount struct {
	Up  int `json:"up"`
	All int `json:"all"`
}

// StoragePlace is where a storage of Proxmox's storage.cfg lies, for looking at it. Empty fields: not said.
type StoragePlace struct {
	Name, Type string
	Path       string // of its directory on the nodes
	Mount      string // a directory that must be a mount point: without one the node's own disk would answer
	VG         string // LVM volume group
	Portal     string // iSCSI
	Target     string // iSCSI
	Pool       string // Ceph
	Namespace  string // Ceph
	Monitors   string // of a Ceph cluster of others; empty: the nodes' own
	User       string // of Ceph, without "client."
	ReadOnly   bool   // nothing may be written there
}

// Volume is a disk of a guest on one of Proxmox's storages, by its name there: vm-101-disk-0.
type Volume struct{ Storage, Name string }

// ActiveVolume is a guest's logical volume that a node's kernel has mapped ("active" in LVM's words).
type ActiveVolume struct {
	Guest       VMID
	Group, Name string   // sanvg, vm-101-disk-0
	UUID        string   // the kernel's mark of it: "LVM-" and 64 characters
	Above       []string // what this kernel has built on it: a file system, another device
}

// StorageLook is the answer to one look.
type StorageLook struct {
	Storage string
	Skipped bool   // there is no way to look: Problem says why
	Hung    bool   // the look did not come back in time, or an earlier one has not yet
	Problem string // empty: read, and written where that was due
	Notes   []string
	Paths   *PathCount
	Took    time.Duration
}
