package lab

import (
	"crypto/tls"
	"fmt"
	"iter"
	"log"
	"maps"

	"bascule/tests/lab/pvesim"
)

// Where the guests' disks lie, so that they can move: the first, or in turn with Options.Storages.
const (
	sharedStorage = "ceph-vm"
	secondStorage = "ceph-data"
)

// privileges are the minimal role of a node's token.
var privileges = []string{"Sys.Audit", "VM.Audit", "Datastore.Audit", "VM.PowerMgmt", "VM.Migrate"}

// memorySizes of the guests in turn, MiB.
var memorySizes = []int{512, 1024, 2048, 768}

// MaxGuests is how many protected guests a lab can have.
const MaxGuests = 1000

// few is up to how many guests a lab looks as it always did: small nodes, containers numbered from 201.
const few = 90

// bigNode is the memory of a node among many guests: the survivors of a cluster that is built for that have room for a dead node's guests.
const bigNode = 256 << 30

func (w *World) buildPVE() error {
	o := pvesim.Options{
		Dir: w.opt.Dir, Name: clusterName, RootCA: w.secrets.ca.PEM(), Executable: w.opt.Executable, Log: log.Printf,
		Corosync: pvesim.Corosync{Reform: pvesim.ReformDefault, Join: pvesim.JoinMeasured},
		Storages: []pvesim.Storage{{Name: sharedStorage, Type: "rbd", Shared: true}},
		Timing:   pvesim.Timing{GuestTick: w.opt.GuestTick},
		TLS:      func(node string) (tls.Certificate, error) { return w.secrets.nodeCerts[node].TLS, nil },
	}
	if w.opt.QDevice {
		o.Corosync.QDevice, o.Corosync.QDeviceHost = 1, w.layout.Public(w.opt.index(WitnessName)).String()
		o.Corosync.QDeviceReach = w.reachesWitness
	}
	if w.opt.Storages {
		o.Storages = append(o.Storages, pvesim.Storage{Name: secondStorage, Type: "rbd", Shared: true})
	}
	if w.opt.Corosync == "tuned" {
		o.Corosync.Reform = pvesim.ReformTuned
	}
	for i, name := range w.opt.names() {
		node := pvesim.NodeSpec{Name: name, Bind: w.layout.Bind(i + 1).String(), Address: w.layout.Public(i + 1).String()}
		if w.opt.Guests+w.opt.Pile > few {
			node.Memory = bigNode
		}
		o.Nodes = append(o.Nodes, node)
		o.Tokens = append(o.Tokens, pvesim.Token{ID: tokenRole + name, Secret: w.secrets.tokens[name], Privileges: privileges})
	}
	var err error
	if w.pve, err = pvesim.New(o); err != nil {
		return err
	}
	for _, g := range guests(w.opt) {
		if err := w.pve.CreateGuest(g); err != nil {
			return err
		}
	}
	return nil
}

// reachesWitness says whether a node's QDevice client has the witness's answers.
func (w *World) reachesWitness(node string) bool {
	return w.network.Reachable(node, WitnessName) && w.network.Reachable(WitnessName, node)
}

// proxmoxPower tells the simulated Proxmox of a machine's power. The witness has none of it, but its vote comes and goes with it.
func (w *World) proxmoxPower(n *node, on bool) error {
	switch {
	case n.witness():
		w.pve.NetworkChanged(nil)
	case on:
		return w.pve.PowerOn(n.name)
	default:
		w.pve.PowerOff(n.name)
	}
	return nil
}

// sections follow the main section of the lab's VMs, as on real ones that were changed while they ran and have a snapshot:
// none of their keys is the guest's, and a change of the config must leave them as they are.
const sections = `[PENDING]
balloon: 0

[special:cloudinit]
name: other

[before-upgrade]
#taken before the upgrade
lock: snapshot
memory: 256
name: old
onboot: 0
snaptime: 1795297910
tags: untouched
`

// guests are the lab's guests: VMs and containers in turn, spread over the nodes but for the pile on the last one, started by Proxmox at
// the first boot.
func guests(o Options) []pvesim.GuestSpec {
	var out []pvesim.GuestSpec
	vms, cts, containers := 0, 0, 200
	if o.Guests+o.Pile > few {
		containers = 1000
	}
	for i := range o.Guests + o.Pile {
		g := pvesim.GuestSpec{
			Node: NodeName(i%o.Nodes + 1), Memory: memorySizes[i%len(memorySizes)], Storage: sharedStorage,
			Tags: []string{protectTag}, OnBoot: true,
		}
		if i >= o.Guests {
			g.Node = NodeName(o.Nodes)
		}
		if o.Storages && i/o.Nodes%2 == 1 {
			g.Storage = secondStorage
		}
		if i%2 == 0 {
			vms++
			g.VMID, g.Kind, g.Name = 100+vms, "qemu", fmt.Sprintf("web%d", vms)
			g.Description, g.Sections = "serves the shop\n[PENDING] is no section here: 100%", sections
		} else {
			cts++
			g.VMID, g.Kind, g.Name = containers+cts, "lxc", fmt.Sprintf("db%d", cts)
		}
		out = append(out, g)
	}
	if o.Unprotected {
		out = append(out, pvesim.GuestSpec{VMID: 900, Kind: "qemu", Name: "scratch", Node: NodeName(1), Memory: 512, Storage: sharedStorage, OnBoot: true})
	}
	return out
}

// GuestIDs lists the lab's protected guests.
func (o Options) GuestIDs() []int {
	var out []int
	for _, g := range guests(o) {
		if len(g.Tags) > 0 {
			out = append(out, g.VMID)
		}
	}
	return out
}

func nodeNames(m map[string]*node) iter.Seq[string] { return maps.Keys(m) }
