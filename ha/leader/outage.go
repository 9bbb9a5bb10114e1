package leader

import (
	"fmt"

	"bascule/ha"
)

// afterOutage says whether nobody has led for longer than a machine takes to boot: a node is registered with a boot that no leader has
// judged, although it was last known as working. Then whatever else was down with it may be booting, too.
func (r *round) afterOutage() bool {
	for _, n := range sorted(r.nodes) {
		rec := r.nodes[n]
		gone := rec.State == ha.NodeFenced || rec.State == ha.NodeOffline || rec.State == ha.NodeMaintenance // somebody knew
		if rep, ok := r.registered(n); ok && !gone && rep.Incarnation != rec.Incarnation {
			return true
		}
	}
	return false
}

// seeOutage looks for it while this leadership is young. Nobody is switched off before that (suspect).
func (r *round) seeOutage(before State) {
	r.state.Outage = before.Outage || r.now < r.state.Began.Add(r.Timing.LeaseTTL) && r.afterOutage()
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

// downWithAll says whether the end of a node's recorded boot belongs to the outage: it has not been let in since.
func (r *round) downWithAll(rec *ha.NodeRecord) bool {
	return rec.Outage || r.state.Outage && r.state.Nodes[rec.Node].LetIn == 0
}

// mayBoot is until when it is given time, and how people hear of it.
func (r *round) mayBoot(rec *ha.NodeRecord, why string) (until ha.Instant, reason string) {
	return r.state.Began.Add(r.Timing.BootTime),
		fmt.Sprintf("%s; others were down as well, and it has power and may still be booting: it is given boot_time %v before it is switched off; hactl fence %s overrides", why, r.Timing.BootTime, rec.Node)
}
