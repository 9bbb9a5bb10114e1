package placement

import (
	"fmt"

	"bascule/ha"
)

// memory never over-commits: a guest's configured memory must fit beside everything assigned there.
func memory(g *ha.GuestRecord, n *ha.Candidate) string {
	if g.Memory <= n.MemoryFree {
		return ""
	}
	return fmt.Sprintf("needs %d MiB, %d MiB free", g.Memory>>20, max(n.MemoryFree, 0)>>20)
}
