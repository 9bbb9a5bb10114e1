package placement

import (
	"slices"

	"bascule/ha"
)

// pinned keeps a guest with local disks or devices on the node that has them.
func pinned(g *ha.GuestRecord, n *ha.Candidate) string {
	if g.Pinned == "" || n.Node == g.Node || slices.Contains(g.ConfigFrom, n.Node) {
		return ""
	}
	return "the guest is tied to " + string(g.Node) + ": " + g.Pinned
}
