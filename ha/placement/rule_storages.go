package placement

import (
	"slices"

	"bascule/ha"
)

// storages forbids nodes where a storage of the guest is not active.
func storages(g *ha.GuestRecord, n *ha.Candidate) string {
	for _, s := range g.Storages {
		if !slices.Contains(n.Storages, s) {
			return "storage " + s + " is not active there"
		}
	}
	return ""
}
