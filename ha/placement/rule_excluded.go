package placement

import (
	"slices"

	"bascule/ha"
)

// excluded forbids nodes that were tried and failed since the guest last ran.
func excluded(g *ha.GuestRecord, n *ha.Candidate) string {
	if slices.Contains(g.Excluded, n.Node) {
		return "already tried there and failed"
	}
	return ""
}
