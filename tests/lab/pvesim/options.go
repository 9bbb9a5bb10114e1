package pvesim

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"time"
)

// How long /etc/pve blocks after a membership change, as measured on a real three-node cluster: with corosync's
// default token, and with "token: 1000, token_coefficient: 0".
const (
	ReformDefault = 8 * time.Second
	ReformTuned   = 2200 * time.Millisecond
	// JoinMeasured is how long writes block when a node comes back (2.5–3 s measured, whatever the token).
	JoinMeasured = 2750 * time.Millisecond
)

// Options describe a lab cluster. Dir, at least one node and a server certificate are needed; the rest has
// defaults.
type Options struct {
	Dir      string // the lab directory: pmxcfs/, storage/ and one directory per node live in it
	Name     string // corosync's cluster name; default "lab"
	Nodes    []NodeSpec
	Corosync Corosync
	Storages []Storage
	Tokens   []Token
	// TLS gives the server certificate of a node. Nil: a self-signed one is made (tests).
	TLS func(node string) (tls.Certificate, error)
	// RootCA, PEM, appears as pve-root-ca.pem in the tree. Optional.
	RootCA []byte
	// APIPort of every node; default 8006.
	APIPort int
	// LinkDown says how a cut looks to a proxy. False: packets vanish, as behind a firewall or with a host that hangs, and the
	// proxy waits ProxyBlackhole. True: nobody answers for the address, and it gives up after ProxyNoRoute.
	LinkDown bool
	// Executable is started in the roles of workers and guests; its main must call RunChild. Default os.Executable().
	Executable string
	Log        func(format string, args ...any)
	Timing
}

// NodeSpec is one node of the cluster. Its node id in corosync is its place in the list, from 1.
type NodeSpec struct {
	Name    string
	Bind    string // address on which the API listens ("127.N.0.i")
	Address string // address that .members and /cluster/status show; default Bind
	Memory  int64  // bytes; default 8 GiB
	Cores   int    // default 4
}

// Corosync sets how the ring behaves.
type Corosync struct {
	Reform time.Duration // how long writes block after a death or a cut; default ReformDefault
	Join   time.Duration // the same when nodes are only added; default Reform
	// QDevice is the number of extra votes of a quorum device; the partition with most nodes that reach it gets them.
	QDevice      int
	QDeviceReach func(node string) bool // nil: every powered node reaches the device. Called with the cluster locked, at any change that it is told of
	QDeviceHost  string                 // the device's address, for corosync.conf
}

// Storage is one entry of storage.cfg.
type Storage struct {
	Name     string
	Type     string // rbd, lvm, lvmthin, zfspool, dir, nfs …
	Shared   bool
	Nodes    []string // restricted to these nodes; empty: all
	Content  string   // default by type
	Disabled bool
	Total    int64 // bytes; default 250 GiB
}

// Token is an API token whose privileges are a role on "/" (propagated). The user it belongs to has the same role.
type Token struct {
	ID         string // "bascule@pve!node1"
	Secret     string
	Privileges []string
}

// Timing holds every duration of the simulation. A zero field takes the recorded (or brief) value.
type Timing struct {
	Start            time.Duration // a guest's start task; 400 ms
	Stop             time.Duration // a hard stop; 300 ms
	Shutdown         time.Duration // how long a guest takes to shut down after being asked; 800 ms
	ShutdownTimeout  time.Duration // a shutdown task's limit without a timeout parameter; 60 s
	Migrate          time.Duration // memory transfer of a live migration, or the copying steps of another; 2 s
	AuthFail         time.Duration // delay before every 401; 3 s
	ProxyRefused     time.Duration // proxied to a host that is up without pveproxy; 10 ms
	ProxyNoRoute     time.Duration // proxied to a host that is gone; 3.1 s
	ProxyNoRouteSoon time.Duration // the same within ARPExpiry of its death; 22.5 s
	ARPExpiry        time.Duration // 25 s
	ProxyBlackhole   time.Duration // proxied into vanishing packets; 30 s
	SSHNoRoute       time.Duration // a migration's first connection to an unreachable node; 3 s
	StatInterval     time.Duration // pvestatd's broadcast; 10 s
	StatExpiry       time.Duration // when old broadcasts turn into "unknown"; 295 s
	GuestTick        time.Duration // a guest appends a line to its log this often; 200 ms
	LockTimeout      time.Duration // waiting for a guest's config lock; 10 s
	StorageTimeout   time.Duration // waiting for a storage whose network is cut; 10 s
}

func (t Timing) withDefaults() Timing {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&t.Start, 400*time.Millisecond)
	def(&t.Stop, 300*time.Millisecond)
	def(&t.Shutdown, 800*time.Millisecond)
	def(&t.ShutdownTimeout, 60*time.Second)
	def(&t.Migrate, 2*time.Second)
	def(&t.AuthFail, 3*time.Second)
	def(&t.ProxyRefused, 10*time.Millisecond)
	def(&t.ProxyNoRoute, 3100*time.Millisecond)
	def(&t.ProxyNoRouteSoon, 22500*time.Millisecond)
	def(&t.ARPExpiry, 25*time.Second)
	def(&t.ProxyBlackhole, 30*time.Second)
	def(&t.SSHNoRoute, 3*time.Second)
	def(&t.StatInterval, 10*time.Second)
	def(&t.StatExpiry, 295*time.Second)
	def(&t.GuestTick, 200*time.Millisecond)
	def(&t.LockTimeout, 10*time.Second)
	def(&t.StorageTimeout, 10*time.Second)
	return t
}

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" {
		return o, errors.New("pvesim: no lab directory given: set Options.Dir")
	}
	if len(o.Nodes) == 0 {
		return o, errors.New("pvesim: no nodes given: set Options.Nodes")
	}
	o.Nodes = append([]NodeSpec(nil), o.Nodes...)
	seen := map[string]bool{}
	for i := range o.Nodes {
		n := &o.Nodes[i]
		if n.Name == "" || n.Bind == "" {
			return o, fmt.Errorf("pvesim: node %d needs a name and a bind address, has %q and %q", i+1, n.Name, n.Bind)
		}
		if seen[n.Name] {
			return o, fmt.Errorf("pvesim: node name %q is used twice: names must differ", n.Name)
		}
		seen[n.Name] = true
		if n.Address == "" {
			n.Address = n.Bind
		}
		if n.Memory == 0 {
			n.Memory = 8 << 30
		}
		if n.Cores == 0 {
			n.Cores = 4
		}
	}
	if o.Name == "" {
		o.Name = "lab"
	}
	if o.Corosync.Reform == 0 {
		o.Corosync.Reform = ReformDefault
	}
	if o.Corosync.Join == 0 {
		o.Corosync.Join = o.Corosync.Reform
	}
	if o.APIPort == 0 {
		o.APIPort = 8006
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	if o.TLS == nil {
		o.TLS = selfSigned(o.Nodes)
	}
	o.Timing = o.Timing.withDefaults()
	if o.Executable == "" {
		exe, err := os.Executable()
		if err != nil {
			return o, fmt.Errorf("pvesim: finding the executable for workers and guests failed: %w; set Options.Executable", err)
		}
		o.Executable = exe
	}
	return o, nil
}
