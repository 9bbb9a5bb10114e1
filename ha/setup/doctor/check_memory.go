package doctor

import (
	"cmp"
	"fmt"
	"slices"

	"bascule/ha"
	"bascule/ha/placement"
)

// memory: whether the others could carry each node's guests, and whether a node carries its own.
var memory = check{
	kinds: []Kind{
		{ID: "memory-after-failure", Grades: []Severity{Warning, OK}, Title: "After a node's failure some guests would find no place",
			Why: "Bascule never over-commits a survivor: guests that do not fit stay down until there is room",
			Do:  "give the named guests less memory, move or stop something, add memory, or take guests that may stay down out of protection; priorities decide which are placed first"},
		{ID: "memory-overcommit", Grades: []Severity{Warning}, Title: "A node's running guests may use more memory than it has",
			Why: "when they do, the kernel ends one of them, or swaps until leases are renewed too late",
			Do:  "give guests less memory, or move some away; ZFS's cache counts too (zfs_arc_max)"},
	},
	run: func(x *exam) {
		var tried []ha.NodeName
		for _, f := range x.agents() {
			if f.Inventory == nil {
				continue
			}
			x.overcommit(f)
			if x.failure(f) {
				tried = append(tried, f.Node)
			}
		}
		if len(tried) > 0 && !slices.ContainsFunc(x.findings, func(f Finding) bool { return f.ID == "memory-after-failure" }) {
			x.add(Finding{ID: "memory-after-failure", Severity: OK, Evidence: fmt.Sprintf("the guests of %s fit on the others, one failure at a time", words(tried))})
		}
	},
}

func (x *exam) overcommit(f Facts) {
	sum, running := int64(0), 0
	for _, g := range f.Inventory.Guests {
		if g.Running {
			sum, running = sum+g.Memory, running+1
		}
	}
	if room := f.Inventory.Memory - f.HostReserve; sum > room {
		x.add(Finding{ID: "memory-overcommit", Severity: Warning, Node: f.Node, Evidence: fmt.Sprintf("%s running with %s configured, of %s (%s less what the host needs)", plural(running, "guest"), bytes(sum), bytes(room), bytes(f.Inventory.Memory))})
	}
}

// candidates are the nodes as placement would see them after one node's death.
func (x *exam) candidates(dead ha.NodeName) []ha.Candidate {
	var out []ha.Candidate
	for _, f := range x.agents() {
		if f.Node == dead || f.Inventory == nil {
			continue
		}
		c := ha.Candidate{Node: f.Node, Usable: true, MemoryFree: f.Inventory.Memory - f.HostReserve}
		if s := x.States[f.Node]; s != "" && s != ha.NodeOnline {
			c.Usable, c.Why = false, "it is "+string(s)
		}
		for _, s := range f.Inventory.Storages {
			if s.Active {
				c.Storages = append(c.Storages, s.Name)
			}
		}
		for _, g := range f.Inventory.Guests {
			if g.Running || g.Protected && x.wanted(g.ID) {
				c.MemoryFree -= g.Memory
				c.Guests++
			}
		}
		out = append(out, c)
	}
	return out
}

// wanted says whether a protected guest is to run.
func (x *exam) wanted(id ha.VMID) bool {
	return slices.ContainsFunc(x.Guests, func(g Guest) bool { return g.ID == id && g.Requested == ha.RequestedStarted })
}

// place asks placement for one guest of a dead node.
func place(g ha.GuestSeen, dead ha.NodeName, nodes []ha.Candidate) ha.Placement {
	rec := ha.GuestRecord{ID: g.ID, Kind: g.Kind, Node: dead, Memory: g.Memory, Storages: g.Storages, Pinned: g.Pinned, Priority: g.Priority}
	return placement.Placer{}.Place(&rec, nodes)
}

// failure tries one node's death and says whether there was anything to try.
func (x *exam) failure(f Facts) bool {
	nodes := x.candidates(f.Node)
	var lost []ha.GuestSeen
	for _, g := range f.Inventory.Guests {
		if g.Protected && (g.Running || x.wanted(g.ID)) && x.stuck(f, g) == "" {
			lost = append(lost, g)
		}
	}
	if len(nodes) == 0 || len(lost) == 0 {
		return false
	}
	slices.SortStableFunc(lost, func(a, b ha.GuestSeen) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.ID, b.ID))
	})
	var left []string
	need := int64(0)
	var why []ha.Rejection
	for _, g := range lost {
		p := place(g, f.Node, nodes)
		i := slices.IndexFunc(nodes, func(c ha.Candidate) bool { return c.Node == p.Node })
		if i < 0 {
			left = append(left, g.Kind.Label(g.ID)+name(g))
			if need == 0 {
				why = p.Rejected
			}
			need += g.Memory
			continue
		}
		nodes[i].MemoryFree -= g.Memory
		nodes[i].Guests++
	}
	if len(left) > 0 {
		x.add(Finding{ID: "memory-after-failure", Severity: Warning, Node: f.Node, Evidence: fmt.Sprintf("if %s died, %d of its %s (%s) would find no place: %s; the first: %s",
			f.Node, len(left), plural(len(lost), "protected guest"), bytes(need), bounded(left), rejections(why))})
	}
	return true
}
