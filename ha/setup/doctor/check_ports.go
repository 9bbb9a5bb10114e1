package doctor

import (
	"fmt"
	"slices"

	"bascule/ha"
)

// Services that are reached on ports of the members.
const (
	EtcdPeer   = "etcd-peer"
	EtcdClient = "etcd-client"
	API        = "api"
	Gossip     = "gossip"
)

// ports: each port in both directions between each pair.
var ports = check{
	kinds: []Kind{
		{ID: "port-closed", Grades: []Severity{Warning, OK}, Title: "A member does not reach another's port",
			Why: "etcd-client and etcd-peer (2379, 2380 TCP): without them no lease and no voter; gossip (7946 TCP and UDP): a death is noticed late; api (8790 TCP): no peer permit when the store is away, and hactl does not reach it",
			Do:  "allow the port between the members, in both directions: Proxmox's own firewall (Datacenter, Firewall), nftables on the node, the switch's access lists; then ss -tlnp on the target shows whether anything listens"},
	},
	run: func(x *exam) {
		down, tried := x.unreachable(), 0
		for _, f := range x.nodes() {
			for _, p := range f.Ports {
				if down[p.To] {
					continue // node-unanswered says more
				}
				tried++
				if p.Problem == "" || p.Opens && x.swallows(f.Node, p.To) { // mtu-path says why
					continue
				}
				x.add(Finding{ID: "port-closed", Severity: Warning, Node: f.Node, Subject: fmt.Sprintf("%s to %s %s/%s", f.Node, p.To, p.Service, p.Network),
					Evidence: fmt.Sprintf("%s/%s: %s%s", p.Address, p.Network, p.Problem, x.otherWay(f.Node, p))})
			}
		}
		if tried > 0 && !slices.ContainsFunc(x.findings, func(f Finding) bool { return f.ID == "port-closed" }) {
			x.add(Finding{ID: "port-closed", Severity: OK, Evidence: plural(tried, "way") + " between members tried, all open"})
		}
	},
}

// unreachable are members that gave no facts and whom nobody reaches on any port: they are down, which is no matter of ports.
func (x *exam) unreachable() map[ha.NodeName]bool {
	out := map[ha.NodeName]bool{}
	for _, m := range x.Members {
		_, told := x.Facts[m.Name]
		out[m.Name] = !told
	}
	for _, f := range x.nodes() {
		for _, p := range f.Ports {
			if p.Problem == "" {
				out[p.To] = false
			}
		}
	}
	return out
}

// otherWay says whether the same port is open in the other direction, where that was tried.
func (x *exam) otherWay(from ha.NodeName, p Port) string {
	for _, back := range x.Facts[p.To].Ports {
		if back.To == from && back.Service == p.Service && back.Network == p.Network {
			if back.Problem == "" {
				return "; the other direction is open"
			}
			return "; the other direction is closed as well"
		}
	}
	return ""
}
