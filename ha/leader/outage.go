package leader

import (
	"fmt"

	"bascule/ha"
)

// afterOutage says whether this leadership begins after an outage of everything: the boot that leads is one that no leader has judged, so
// nobody has led since before it came up.
func (r *round) afterOutage() bool {
	l, own := r.Store.Leader, r.nodes[r.Self]
	return l != nil && l.Node == r.Self && own != nil && own.Incarnation != l.Incarnation
}

// boots says whether a node that nothing has been heard of since such an outage may still be on its way: machines take minutes to boot, and
// not all of them the same. Switching it off would turn a power loss that is over into an evening's work. All proofs that need no
// command count meanwhile: it reads off, it registers, its watchdog's time has passed. The record keeps it for the next leader.
func (r *round) boots(rec *ha.NodeRecord, mem *NodeMemory) bool {
	if r.state.Outage && mem.GossipGone == r.state.Began {
		rec.Outage = true
	}
	return rec.Outage
}

// downWithAll says whether the end of a node's recorded boot belongs to an outage of everything: it has not been let in since.
func (r *round) downWithAll(rec *ha.NodeRecord) bool {
	return rec.Outage || r.state.Outage && r.state.Nodes[rec.Node].LetIn == 0
}

// mayBoot is until when it is given time, and how people hear of it.
func (r *round) mayBoot(rec *ha.NodeRecord, why string) (until ha.Instant, reason string) {
	return r.state.Began.Add(r.Timing.BootTime),
		fmt.Sprintf("%s; everything was down, and it has power and may still be booting: it is given boot_time %v before it is switched off; hactl fence %s overrides", why, r.Timing.BootTime, rec.Node)
}
