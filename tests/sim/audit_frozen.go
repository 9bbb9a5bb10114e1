package sim

import (
	"slices"
	"time"

	"bascule/ha"
)

// frozenFor is how long a leader may take to freeze what it sees managed by Proxmox's own HA.
const frozenFor = 5 * time.Second

// frozen is R7: what a member that is up reports as managed by Proxmox's own HA is frozen at once, and stays where it is.
func (a *audit) frozen() {
	_, led, ok := a.led()
	truth, now := a.w.store.Truth(), a.w.loop.Now()
	for _, g := range a.w.spec.Guests {
		rec, known := truth.Guests[g.ID]
		if !known || !a.reportedManaged(truth, g.ID) {
			delete(a.managed, g.ID)
			continue
		}
		s, seen := a.managed[g.ID]
		if !seen {
			s = managedSight{now, rec.Rec.Node, rec.Rec.Generation}
		}
		late := ok && !a.restored() && now-max(s.since, led, a.j.quietBut("")) > frozenFor
		switch {
		case late && rec.Rec.State != ha.GuestFrozen:
			a.j.violate("R7", "Proxmox's own HA manages guest %d, as reported for %v, and it is %s", g.ID, now-s.since, rec.Rec.State)
			return
		case seen && !a.restored() && now-s.since > 10*time.Second && rec.Rec.Generation != s.gen && rec.Rec.Node != s.node:
			a.j.violate("R7", "Proxmox's own HA manages guest %d, and it is given from %s to %s", g.ID, s.node, rec.Rec.Node)
			return
		case now-s.since <= 10*time.Second: // what was under way
			s.node, s.gen = rec.Rec.Node, rec.Rec.Generation
		}
		a.managed[g.ID] = s
	}
}

// managedSight is since when the store says that Proxmox's own HA manages a guest, and where it was then.
type managedSight struct {
	since time.Duration
	node  ha.NodeName
	gen   ha.Generation
}

func (a *audit) reportedManaged(truth *ha.Snapshot, id ha.VMID) bool {
	for _, n := range a.w.spec.memberNames() {
		l, up := truth.Leases[n]
		if rep := truth.Reports[n].Rec; up && l.Rec.Incarnation == rep.Incarnation && slices.Contains(rep.Managed, id) {
			return true
		}
	}
	return false
}
