package lab

import (
	"fmt"
	"net/netip"
	"path/filepath"
)

// MarkVariable is the environment variable whose value, a node's directory, makes a process part of that node.
const MarkVariable = "BASCULE_LAB_NODE_DIR"

// The ports of every node.
const (
	PortEtcdClient = 2379
	PortEtcdPeer   = 2380
	PortGossip     = 7946
	PortAPI        = 8790
	PortPVE        = 8006
	PortBMC        = 8443 // Redfish
	PortIPMI       = 6623 // IPMI's own, 623, is for root
	portClaim      = 8999 // held by the world for as long as it owns the octet
)

// MaxNodes is how many nodes a lab can have: as many as the largest corosync clusters that people run.
const MaxNodes = 32

// Layout says where everything of a lab lies. Dir is absolute.
type Layout struct {
	Dir   string
	Octet int // N in 127.N.x.y
}

// NodeName is the name of the i-th node, from 1.
func NodeName(i int) string { return fmt.Sprintf("node%d", i) }

// WitnessName is the name of the machine that only votes.
const WitnessName = "witness"

// Bind is where node i's own processes listen.
func (l Layout) Bind(i int) netip.Addr { return l.address(0, i) }

// Public is node i's address as everybody's configuration has it; the switch listens there.
func (l Layout) Public(i int) netip.Addr { return l.address(1, i) }

// BMC is node i's management address.
func (l Layout) BMC(i int) netip.Addr { return l.address(2, i) }

func (l Layout) address(net, host int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, byte(l.Octet), byte(net), byte(host)})
}

// NodeDir is a node's directory; it is also the value of its processes' mark.
func (l Layout) NodeDir(node string) string { return filepath.Join(l.Dir, node) }

// Node is a path inside a node's directory.
func (l Layout) Node(node string, parts ...string) string {
	return filepath.Join(append([]string{l.Dir, node}, parts...)...)
}

// APISocket is where a node's basculed answers hactl.
func (l Layout) APISocket(node string) string {
	return l.Node(node, "root", "run", "bascule", "api.sock")
}

// SBDDisk is the file that all nodes of a lab with Fencing SBD have as their one shared disk.
func (l Layout) SBDDisk() string { return filepath.Join(l.Dir, "storage", "shared.sbd") }

// Shared is the directory of a shared storage, the same for all nodes.
func (l Layout) Shared(storage string) string {
	return filepath.Join(l.Dir, "storage", "shared", storage)
}

// GuestLogs is the directory of the lines that guests write to the shared storage.
func (l Layout) GuestLogs() string { return filepath.Join(l.Dir, "storage", "guests") }

// GuestLog is the file of one guest's lines.
func (l Layout) GuestLog(vmid int) string {
	return filepath.Join(l.GuestLogs(), fmt.Sprintf("%d.log", vmid))
}

func (l Layout) socket() string   { return filepath.Join(l.Dir, "world.sock") }
func (l Layout) worldLog() string { return filepath.Join(l.Dir, "world.log") }
func (l Layout) events() string   { return filepath.Join(l.Dir, "events.jsonl") }
func (l Layout) settings() string { return filepath.Join(l.Dir, "lab.json") }

// longestSocket is the kernel's limit for the path of a unix socket.
const longestSocket = 107

// check refuses a directory whose sockets would have too long names.
func (l Layout) check() error {
	longest := l.Node(WitnessName, "root", "run", "bascule", "guard.sock")
	if len(longest) > longestSocket {
		return fmt.Errorf("the lab directory %s is too deep: %s has %d characters and unix sockets allow %d; choose a shorter one with --dir", l.Dir, longest, len(longest), longestSocket)
	}
	return nil
}
