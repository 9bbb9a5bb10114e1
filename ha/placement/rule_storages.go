package placement

import (
	"slices"
	"strings"

	"bascule/ha"
)

// storages forbids nodes where a storage of the guest is not active, or does not work by the node's own looks. Names that begin with "/" are paths outside Proxmox's
// storages (their owner declared them shared, or the guest is pinned): no node says anything about those.
func storages(g *ha.GuestRecord, n *ha.Candidate) string {
	for _, s := range g.Storages {
		if slices.Contains(n.Lost, s) {
			return "storage " + s + " does not work there"
		}
		if !strings.HasPrefix(s, "/") && !slices.Contains(n.Storages, s) {
			return "storage " + s + " is not active there"
		}
	}
	return ""
}
