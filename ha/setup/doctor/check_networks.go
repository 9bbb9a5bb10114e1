package doctor

import (
	"fmt"
	"slices"
	"strings"

	"bascule/ha"
)

// networks: what the members' traffic runs over.
var networks = check{
	kinds: []Kind{
		{ID: "mtu-differs", Grades: []Severity{Warning}, Title: "The members' interfaces have different MTUs",
			Why: "large packets vanish on the way to the smaller one while small ones pass: ports are open, yet etcd's snapshots, migrations and corosync stall",
			Do:  "set one MTU on all interfaces and switches of this network (ip link show; /etc/network/interfaces)"},
		{ID: "mtu-path", Grades: []Severity{Critical, OK}, Title: "Large packets vanish between two members",
			Why: "small ones pass, so the ports look open and the nodes alive, but etcd's larger messages, hactl, corosync and migrations hang: the usual cause are jumbo frames that are set on the nodes and not on a switch between them, or a VPN that takes some bytes and tells nobody",
			Do:  "give every switch and port on the way the nodes' MTU, or the nodes the smallest on the way (ip link set dev IFACE mtu 1500, and in /etc/network/interfaces); ping -M do -s 8972 ADDRESS tries 9000 bytes, -s 1472 tries 1500"},
		{ID: "network-single", Grades: []Severity{Info}, Title: "Bascule, corosync and everything else share one network",
			Why: "one switch or one full link then takes lease, gossip and Proxmox's quorum at once, and a migration or backup that fills it looks like a death",
			Do:  "give corosync a second link on other cables and another switch: ring1_addr for each node in /etc/pve/corosync.conf (raise config_version)"},
	},
	run: func(x *exam) {
		x.mtu()
		x.paths()
		x.single()
	},
}

func (x *exam) mtu() {
	by := map[int][]string{}
	var sizes []int
	for _, f := range x.nodes() {
		if i := f.Interface; i != nil && i.MTU > 0 {
			if by[i.MTU] == nil {
				sizes = append(sizes, i.MTU)
			}
			by[i.MTU] = append(by[i.MTU], fmt.Sprintf("%s (%s)", f.Node, i.Name))
		}
	}
	if len(sizes) < 2 {
		return
	}
	slices.Sort(sizes)
	var parts []string
	for _, s := range sizes {
		parts = append(parts, fmt.Sprintf("%d on %s", s, words(by[s])))
	}
	x.add(Finding{ID: "mtu-differs", Severity: Warning, Evidence: strings.Join(parts, "; ")})
}

// paths looks whether large packets arrive, between any two.
func (x *exam) paths() {
	tried, lost, largest := 0, false, 0
	for _, f := range x.nodes() {
		for _, p := range f.Paths {
			if p.Unknown != "" {
				continue
			}
			tried, largest = tried+1, max(largest, p.MTU)
			if p.Lost {
				lost = true
				x.add(Finding{ID: "mtu-path", Severity: Critical, Node: f.Node, Subject: fmt.Sprintf("%s to %s", f.Node, p.To),
					Evidence: fmt.Sprintf("packets of %d bytes (what %s makes) vanish, twice; packets of %d bytes pass: tried with %s", p.MTU, interfaceOf(f), p.Passes, p.Address)})
			}
		}
	}
	if tried > 0 && !lost {
		x.add(Finding{ID: "mtu-path", Severity: OK, Evidence: fmt.Sprintf("%s between members tried with packets as large as the interfaces make them (at most %d bytes): they pass", plural(tried, "way"), largest)})
	}
}

func interfaceOf(f Facts) string {
	if f.Interface == nil {
		return "its interface"
	}
	return f.Interface.Name
}

// swallows says whether large packets vanish between two members, in any direction.
func (x *exam) swallows(a, b ha.NodeName) bool {
	lost := func(from, to ha.NodeName) bool {
		return slices.ContainsFunc(x.Facts[from].Paths, func(p Path) bool { return p.To == to && p.Lost })
	}
	return lost(a, b) || lost(b, a)
}

// single looks whether corosync has one link only, over the very addresses that Bascule uses.
func (x *exam) single() {
	agents := x.agents()
	if len(agents) == 0 {
		return
	}
	c := agents[0].Corosync
	if c == nil || len(c.Links) != 1 || len(c.Nodes) < 2 {
		return
	}
	for _, m := range x.Members {
		if !m.Witness && !slices.Contains(c.Links[0], m.Address) && !slices.Contains(c.Links[0], string(m.Name)) {
			return
		}
	}
	x.add(Finding{ID: "network-single", Severity: Info, Evidence: "corosync has one link, over the members' addresses in basculed.yaml: " + strings.Join(c.Links[0], ", ")})
}
