package placement

import (
	"cmp"
	"slices"

	"bascule/ha"
)

// rule forbids a node for a guest; it returns "" when the guest may run there, else why not.
type rule func(g *ha.GuestRecord, n *ha.Candidate) string

// rules are tried in this order; the first refusal is the one that people read.
var rules = [...]rule{usable, pinned, excluded, storages, memory}

// Placer chooses nodes. The zero value is ready.
type Placer struct{}

// Place returns the best allowed node for the guest, or none with a reason per node. It does not change the candidates:
// the caller accounts for what it decides to place.
func (Placer) Place(g *ha.GuestRecord, nodes []ha.Candidate) ha.Placement {
	var allowed []ha.Candidate
	var p ha.Placement
	for i := range nodes {
		if why := refusal(g, &nodes[i]); why != "" {
			p.Rejected = append(p.Rejected, ha.Rejection{Node: nodes[i].Node, Why: why})
			continue
		}
		allowed = append(allowed, nodes[i])
	}
	if len(allowed) > 0 {
		p.Node = slices.MinFunc(allowed, func(a, b ha.Candidate) int { return cmp.Or(own(g, a, b), order(a, b)) }).Node
	}
	return p
}

func refusal(g *ha.GuestRecord, n *ha.Candidate) string {
	for _, r := range rules {
		if why := r(g, n); why != "" {
			return why
		}
	}
	return ""
}

// own puts the guest's present node before all others: a node that is back has its guests again, nothing is scattered by a reboot.
func own(g *ha.GuestRecord, a, b ha.Candidate) int {
	switch g.Node {
	case a.Node:
		return -1
	case b.Node:
		return 1
	}
	return 0
}

// order puts the node with the fewest guests first, then the one with the most free memory, then by name.
func order(a, b ha.Candidate) int {
	return cmp.Or(cmp.Compare(a.Guests, b.Guests), cmp.Compare(b.MemoryFree, a.MemoryFree), cmp.Compare(a.Node, b.Node))
}
