package lab

import (
	"crypto/tls"
	"fmt"
	"iter"
	"log"
	"maps"

	"bascule/tests/lab/pvesim"
)

// sharedStorage is where the guests' disks lie, so that they can move.
const sharedStorage = "ceph-vm"

// privileges are the minimal role of a node's token.
var privileges = []string{"Sys.Audit", "VM.Audit", "Datastore.Audit", "VM.PowerMgmt", "VM.Migrate"}

// memorySizes of the guests in turn, MiB.
var memorySizes = []int{512, 1024, 2048, 768}

func (w *World) buildPVE() error {
	o := pvesim.Options{
		Dir: w.opt.Dir, Name: clusterName, RootCA: w.secrets.ca.PEM(), Executable: w.opt.Executable, Log: log.Printf,
		Corosync: pvesim.Corosync{Reform: pvesim.ReformDefault, Join: pvesim.JoinMeasured},
		Storages: []pvesim.Storage{{Name: sharedStorage, Type: "rbd", Shared: true}},
		TLS:      func(node string) (tls.Certificate, error) { return w.secrets.nodeCerts[node].TLS, nil },
	}
	if w.opt.Corosync == "tuned" {
		o.Corosync.Reform = pvesim.ReformTuned
	}
	for i, name := range w.opt.names() {
		o.Nodes = append(o.Nodes, pvesim.NodeSpec{Name: name, Bind: w.layout.Bind(i + 1).String(), Address: w.layout.Public(i + 1).String()})
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

// guests are the lab's guests: VMs and containers in turn, spread over the nodes, started by Proxmox at the first boot.
func guests(o Options) []pvesim.GuestSpec {
	var out []pvesim.GuestSpec
	vms, cts := 0, 0
	for i := range o.Guests {
		g := pvesim.GuestSpec{
			Node: NodeName(i%o.Nodes + 1), Memory: memorySizes[i%len(memorySizes)], Storage: sharedStorage,
			Tags: []string{protectTag}, OnBoot: true,
		}
		if i%2 == 0 {
			vms++
			g.VMID, g.Kind, g.Name = 100+vms, "qemu", fmt.Sprintf("web%d", vms)
		} else {
			cts++
			g.VMID, g.Kind, g.Name = 200+cts, "lxc", fmt.Sprintf("db%d", cts)
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
