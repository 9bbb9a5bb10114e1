package doctor

import (
	"fmt"
	"slices"
	"strings"
)

// networks: what the members' traffic runs over.
var networks = check{
	kinds: []Kind{
		{ID: "mtu-differs", Grades: []Severity{Warning}, Title: "The members' interfaces have different MTUs",
			Why: "large packets vanish on the way to the smaller one while small ones pass: ports are open, yet etcd's snapshots, migrations and corosync stall",
			Do:  "set one MTU on all interfaces and switches of this network (ip link show; /etc/network/interfaces)"},
		{ID: "network-single", Grades: []Severity{Info}, Title: "Bascule, corosync and everything else share one network",
			Why: "one switch or one full link then takes lease, gossip and Proxmox's quorum at once, and a migration or backup that fills it looks like a death",
			Do:  "give corosync a second link on other cables and another switch: ring1_addr for each node in /etc/pve/corosync.conf (raise config_version)"},
	},
	run: func(x *exam) {
		x.mtu()
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
