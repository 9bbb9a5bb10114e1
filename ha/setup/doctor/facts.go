package doctor

import (
	"time"

	"bascule/ha"
)

// FactsVersion is the version of Facts. An examiner that meets a higher one says so and judges what it knows.
const FactsVersion = 1

// Facts is what one node gathered about itself and about its way to the others: the answer of GET /v1/doctor. A part that was not
// looked at is nil or empty and stands in Silent when it should have been. No secrets.
type Facts struct {
	Version int           `json:"facts_version"`
	Node    ha.NodeName   `json:"node"`
	Witness bool          `json:"witness,omitempty"`
	Daemon  string        `json:"daemon,omitempty"` // version of the basculed that gathered; empty: hactl gathered without one
	At      time.Time     `json:"at"`               // this node's wall clock when it had gathered
	Took    time.Duration `json:"took"`
	Silent  []Silent      `json:"silent,omitempty"` // probes that did not answer, in the order of their names

	Config       *Config       `json:"config,omitempty"`
	Timing       ha.Timing     `json:"timing"` // that the node runs with
	Guard        *Guard        `json:"guard,omitempty"`
	Watchdogs    []Watchdog    `json:"watchdogs,omitempty"`
	Disk         *Disk         `json:"disk,omitempty"`
	Clock        *Clock        `json:"clock,omitempty"`
	Ports        []Port        `json:"ports,omitempty"`
	Paths        []Path        `json:"paths,omitempty"`
	Interface    *Interface    `json:"interface,omitempty"` // that carries the node's member address
	Corosync     *Corosync     `json:"corosync,omitempty"`
	Quorum       *Quorum       `json:"quorum,omitempty"` // nil: corosync was not asked
	Token        *Token        `json:"token,omitempty"`
	Certificates []Certificate `json:"certificates,omitempty"`
	BootCheck    *BootCheck    `json:"boot_check,omitempty"`
	Inventory    *ha.Inventory `json:"inventory,omitempty"` // memory, storages and guests of this node
	HostReserve  int64         `json:"host_reserve,omitempty"`
	Storages     []Storage     `json:"storages,omitempty"`
	Marks        []Marks       `json:"marks,omitempty"` // on the storages with directories
	Luns         []Lun         `json:"luns,omitempty"`
	// Reservations is what the LUNs below volume groups say, by WWN: Reservable, or what they lack. One that could not be asked is missing.
	Reservations map[string]string `json:"reservations,omitempty"`
}

// Silent is a probe that gave nothing: it did not answer in time, or failed.
type Silent struct {
	Probe string        `json:"probe"`
	After time.Duration `json:"after"`
	Why   string        `json:"why"`
}

// Config is what a node's configuration says that others must say as well, and where it lies.
type Config struct {
	Cluster  string            `json:"cluster"`
	Members  []ha.Member       `json:"members"`
	Voters   []ha.NodeName     `json:"voters"`        // of the embedded store
	Common   map[string]string `json:"common"`        // setting → value, which all members must have alike
	APIPort  int               `json:"api_port"`      // of every member
	Own      ha.NodeName       `json:"own"`           // its name by its own configuration
	Devices  []Device          `json:"devices"`       // fencing devices
	DataDir  string            `json:"data_dir"`      // of the store
	Driver   string            `json:"watchdog"`      // guard.watchdog.driver
	Softdog  bool              `json:"trust_softdog"` // guard.trust_softdog
	External bool              `json:"external_etcd,omitempty"`
	CAFile   string            `json:"ca_file"` // of the members' certificates, on this machine
	CertFile string            `json:"cert_file"`
	KeyFile  string            `json:"key_file"`
}

// Device is a fencing device as configured.
type Device struct {
	Name   string      `json:"name"`
	Node   ha.NodeName `json:"node"`
	Method string      `json:"method"`
	// Storages are what a device takes access to away, by the names that Proxmox has for them.
	Storages []string `json:"storages,omitempty"`
	Grant    string   `json:"grant,omitempty"` // the command that gives the device's account its rights, where there is one
}

// Guard is what a node's guard says of itself.
type Guard struct {
	Version  string        `json:"version,omitempty"` // empty: it tells none
	Phase    string        `json:"phase"`
	Armed    bool          `json:"armed"`
	Driver   string        `json:"driver,omitempty"`
	Identity string        `json:"identity,omitempty"` // of the watchdog, in its driver's words
	Timeout  time.Duration `json:"timeout,omitempty"`
	Detail   string        `json:"detail,omitempty"`
}

// Watchdog is one watchdog device of a machine.
type Watchdog struct {
	Path     string `json:"path"`               // /dev/watchdog0
	Identity string `json:"identity,omitempty"` // in its driver's words; empty: the kernel does not tell
	NoWayOut bool   `json:"no_way_out,omitempty"`
	Holder   string `json:"holder,omitempty"` // the program that has it open
}

// Disk is where the store's data lie.
type Disk struct {
	Path       string          `json:"path"`
	Filesystem string          `json:"filesystem,omitempty"` // ext4, xfs, zfs, tmpfs, nfs4 …
	Mount      string          `json:"mount,omitempty"`
	Free       int64           `json:"free"` // bytes that root may still write
	Size       int64           `json:"size"`
	Used       int64           `json:"used"`             // bytes below Path
	Syncs      []time.Duration `json:"syncs,omitempty"`  // small writes, each made durable; ascending
	Shared     string          `json:"shared,omitempty"` // the Proxmox storage that it lies on
}

// Clock is a node's wall clock. How far it is off shows only between nodes (Cluster.Clocks).
type Clock struct {
	Known        bool          `json:"known"` // the kernel told whether it is synchronised
	Synchronised bool          `json:"synchronised"`
	MaxError     time.Duration `json:"max_error,omitempty"`
	Built        time.Time     `json:"built,omitzero"` // when something that exists was made: an earlier clock is wrong
}

// Port is one attempt to reach a port of another member.
type Port struct {
	To      ha.NodeName     `json:"to"`
	Service string          `json:"service"`         // etcd-peer, etcd-client, api, gossip
	Address string          `json:"address"`         // host:port
	Network string          `json:"network"`         // tcp, udp
	Trips   []time.Duration `json:"trips,omitempty"` // of answers, ascending: a round trip each
	Opens   bool            `json:"opens,omitempty"` // with Problem: the connection opens, and then nothing comes
	Problem string          `json:"problem,omitempty"`
}

// Path is whether packets as large as the interfaces make them reach another member.
type Path struct {
	To      ha.NodeName `json:"to"`
	Address string      `json:"address"`           // host:port of its API
	MTU     int         `json:"mtu"`               // bytes of the largest packets that this node sends there
	Lost    bool        `json:"lost,omitempty"`    // such packets vanish, small ones pass
	Passes  int         `json:"passes,omitempty"`  // Lost: the largest tried that pass
	Unknown string      `json:"unknown,omitempty"` // why that is not known
}

// Interface is the network interface that carries an address.
type Interface struct {
	Name    string `json:"name"`
	Address string `json:"address"` // with its prefix length
	MTU     int    `json:"mtu"`
}

// Corosync is what corosync.conf says.
type Corosync struct {
	Nodes       []ha.NodeName `json:"nodes"`
	Votes       int           `json:"votes"`       // of the nodes together, without a device
	Token       time.Duration `json:"token"`       // configured, or by default
	Coefficient time.Duration `json:"coefficient"` // added per node above two
	Block       time.Duration `json:"block"`       // how long /etc/pve blocks on the majority's side after a node's death
	TwoNode     bool          `json:"two_node,omitempty"`
	QDevice     string        `json:"qdevice,omitempty"` // its host; empty: none
	Links       [][]string    `json:"links"`             // addresses of each link
}

// Quorum is what corosync counts on a node now.
type Quorum struct {
	Expected int `json:"expected"` // votes
	Total    int `json:"total"`    // votes that are there
	Device   int `json:"device"`   // of them the quorum device's; -1: corosync knows none
}

// Token is what the daemon's Proxmox token may do.
type Token struct {
	ID      string   `json:"id"`
	Missing []string `json:"missing,omitempty"` // "VM.Audit on /vms"
	Problem string   `json:"problem,omitempty"` // why it could not be asked
}

// Certificate is one certificate that a node uses.
type Certificate struct {
	Use      string    `json:"use"` // node, authority, etcd client …
	File     string    `json:"file"`
	Subject  string    `json:"subject,omitempty"`
	NotAfter time.Time `json:"not_after,omitzero"`
	From     time.Time `json:"not_before,omitzero"`
	Count    int       `json:"count,omitempty"` // how many the file holds; the times are of the one that ends first
	Problem  string    `json:"problem,omitempty"`
}

// BootCheck is what keeps Proxmox from starting protected guests at boot.
type BootCheck struct {
	PVEGuests bool   `json:"pve_guests"` // the unit exists here at all
	DropIn    string `json:"drop_in"`    // the file; empty: none
	Broken    string `json:"broken,omitempty"`
}

// Storage is what a node found out about one of Proxmox's storages.
type Storage struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	Shared bool   `json:"shared"`           // it says so
	Behind string `json:"behind,omitempty"` // what stands behind it here: equal on all nodes where it is one and the same
	Path   string `json:"path,omitempty"`
	Group  string `json:"group,omitempty"` // LVM's volume group
}

// Marks are the small files that members' own looks write on a storage: those that this node wrote, and those that it finds there.
type Marks struct {
	Storage string `json:"storage"`
	Wrote   []Mark `json:"wrote,omitempty"`   // by this node's running daemon, the oldest first
	Found   []Mark `json:"found,omitempty"`   // now, of all nodes
	Problem string `json:"problem,omitempty"` // why nothing is known of what is there
}

// Mark is one of them.
type Mark struct {
	Cluster string        `json:"cluster,omitempty"`
	Node    ha.NodeName   `json:"node"`
	Life    string        `json:"life,omitempty"`   // of the daemon that wrote it: another one after each start
	Count   int           `json:"count,omitempty"`  // of its writes there
	Age     time.Duration `json:"age,omitempty"`    // of what this node wrote itself, by its steady clock
	Unread  string        `json:"unread,omitempty"` // it is there and says nothing, and why
}

// Reservable is the answer of a LUN that knows the reservations that fencing needs.
const Reservable = "yes"

// Lun is a disk of a SAN.
type Lun struct {
	WWN    string `json:"wwn"`
	Device string `json:"device"`
	Paths  int    `json:"paths"`
	Active int    `json:"active"` // paths that work
	// Groups are the volume groups that lie on it, as far as volumes of them are active here.
	Groups []string `json:"groups,omitempty"`
}
