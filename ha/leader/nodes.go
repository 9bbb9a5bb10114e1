package leader

import (
	"fmt"
	"slices"

	"bascule/ha"
	"bascule/ha/ladder"
)

// judge is the whole treatment of one node in one round.
func (r *round) judge(n ha.NodeName) {
	rec, mem := r.nodes[n], r.state.Nodes[n]
	rep, reg := r.registered(n)
	r.hints(n, &mem)
	if rec == nil {
		if reg && !rep.Leaving {
			r.admit(n, rep)
		} else {
			r.unknown(n, &mem)
		}
		r.state.Nodes[n] = mem
		return
	}
	r.takeRequests(rec, &mem)
	switch rec.State {
	case ha.NodeFencing:
		r.fence(rec, &mem)
	case ha.NodeFenced:
		r.fenced(rec, &mem)
	default:
		r.watch(rec, &mem)
	}
	r.pruneProofs(rec)
	r.checkDevices(rec, &mem)
	r.state.Nodes[n] = mem
}

// hints notes since when lease and gossip say that the node is gone.
func (r *round) hints(n ha.NodeName, mem *NodeMemory) {
	mark := func(at *ha.Instant, gone bool) {
		if !gone {
			*at = 0
		} else if *at == 0 {
			*at = r.now
		}
	}
	_, lease := r.Store.Leases[n]
	if last := r.Store.Reports[n].Rec.Lease; last != mem.LastLease { // it had another lease since, which we never saw: its time counts afresh
		mem.LastLease, mem.LeaseGone = last, 0
	}
	mark(&mem.LeaseGone, !lease)
	was := mem.GossipGone
	mark(&mem.GossipGone, !r.Gossip[n].Alive && n != r.Self)
	if was != 0 && mem.GossipGone == 0 {
		mem.GossipBack = r.now
	}
}

// admit makes the record of a node that registered for the first time.
func (r *round) admit(n ha.NodeName, rep ha.NodeReport) {
	rec := &ha.NodeRecord{Schema: ha.Schema, Node: n, Incarnation: rep.Incarnation, Lease: rep.Lease, SystemUUID: rep.SystemUUID, Epoch: r.epoch()}
	r.nodes[n] = rec
	r.setNode(rec, ha.NodeOnline, "registered for the first time")
}

// watch looks at a node that is not being fenced.
func (r *round) watch(rec *ha.NodeRecord, mem *NodeMemory) {
	n := rec.Node
	rep, reg := r.registered(n)
	switch {
	case reg && rep.Incarnation != rec.Incarnation:
		if !r.passive(rec, mem, "it registered with another boot id") {
			r.setNode(rec, ha.NodeSuspect, "another machine registered under its name: give each machine a name of its own, or confirm that the old one is off: hactl confirm-off "+string(n))
		}
	case rep.Incarnation == rec.Incarnation && rep.Leaving:
		r.left(rec, mem, rep)
	case mem.LeaseGone == 0 && mem.GossipGone == 0:
		if reg {
			r.alive(rec, rep)
			mem.Ladder = ladder.Memory{} // what was read in a suspicion that is over proves nothing in the next
		}
	case mem.LeaseGone == 0 && mem.LetIn != 0 && r.now < mem.LetIn.Add(r.Timing.LeaseTTL):
		r.wakeAt(mem.LetIn.Add(r.Timing.LeaseTTL)) // it has just registered: gossip hears of it a moment later
	default:
		r.suspect(rec, mem)
	}
}

// alive returns a node that gives no hint of death to its working state.
func (r *round) alive(rec *ha.NodeRecord, rep ha.NodeReport) {
	rec.Lease = rep.Lease
	if _, had := r.Store.Fences[rec.Node]; had {
		r.fences[rec.Node] = nil
	}
	r.works(rec, "lease held and gossip alive")
}

// draining is draining while a guest that can leave still runs there, then maintenance.
func (r *round) draining(rec *ha.NodeRecord) {
	left := 0
	for _, id := range sorted(r.guests) {
		g := r.guests[id]
		if g.Node == rec.Node && g.Requested == ha.RequestedStarted && g.State != ha.GuestError {
			left++
		}
	}
	if left > 0 {
		r.setNode(rec, ha.NodeDraining, fmt.Sprintf("an operator drains it; %d guests left", left))
		return
	}
	r.setNode(rec, ha.NodeMaintenance, "drained; hactl undrain "+string(rec.Node)+" when the work is done")
}

// left treats a node whose daemon was stopped in order: its silence is not death. Its guests run on, frozen; a proof
// that needs no command (power reads off) still frees them if the machine then dies. A rebuild waits for such a node, too: what the store
// has of its leaving may be old.
func (r *round) left(rec *ha.NodeRecord, mem *NodeMemory, rep ha.NodeReport) {
	wanted := mem.LeaseGone != 0 && mem.GossipGone != 0 && (r.rebuilding() || r.confirmed(rec))
	if wanted && r.lookOff(rec, mem, "its daemon was stopped in order") {
		return
	}
	running := 0
	for _, g := range rep.Guests {
		if g.Protected && g.Running {
			running++
		}
	}
	if running == 0 {
		r.setNode(rec, ha.NodeOffline, "its daemon was stopped in order; nothing protected runs there")
		return
	}
	r.setNode(rec, ha.NodeMaintenance, fmt.Sprintf("its daemon was stopped in order; %d guests run on, unprotected until it starts again", running))
	if !wanted && mem.GossipGone != 0 && r.Corosync.Known && !r.listed(rec.Node) {
		r.passive(rec, mem, "its daemon was stopped in order and corosync lost the node")
	}
}

// suspect treats a node with a hint of death: power is read at once; fencing begins when lease and gossip agree, after
// fence_delay, which is longer for the node with the most important guests, after daemon_grace while corosync still lists the node, and
// after boot_time when nobody led while others were down, too, and it may still be booting.
func (r *round) suspect(rec *ha.NodeRecord, mem *NodeMemory) {
	n := rec.Node
	why := "gossip lost it; its lease still stands"
	if mem.LeaseGone != 0 && mem.GossipGone == 0 {
		why = "its lease ran out; gossip still reaches it"
	} else if mem.LeaseGone != 0 {
		why = "gossip lost it and its lease ran out"
	}
	r.setNode(rec, ha.NodeSuspect, why)
	if r.passive(rec, mem, why) || mem.LeaseGone == 0 {
		return
	}
	if mem.GossipGone == 0 {
		r.lingers(rec, mem)
		return
	}
	more := r.priorityDelay(n)
	due := max(mem.LeaseGone, mem.GossipGone, r.Promises[n]).Add(r.Timing.FenceDelay + more)
	if more > 0 {
		rec.Reason = fmt.Sprintf("%s; its fencing waits %v longer: its guests are the most important ones (priority_delay); hactl fence %s overrides", why, more, n)
	}
	if r.Corosync.Known && slices.Contains(r.Corosync.Online, n) {
		due = max(mem.LeaseGone, mem.GossipGone, r.Promises[n]).Add(max(r.Timing.FenceDelay+more, r.Timing.DaemonGrace))
		why += "; corosync still listed the node, its daemon may have died alone"
	}
	due = max(due, r.state.Began.Add(r.Timing.LeaseTTL)) // after an outage of everything the others come back a moment after us
	if r.boots(rec, mem) {
		until, reason := r.mayBoot(rec, why)
		if due = max(due, until); r.now < due {
			rec.Reason = reason
		}
	}
	if r.now < due {
		r.wakeAt(due)
		return
	}
	r.beginFence(rec, mem, why)
}

// lingers treats a node that talks but has had no lease for long: it ended its guests with its permit (R2), or could not and has no
// watchdog to end it. Nobody else may have them before it is proven off, so after a level's time it is fenced: counted from its first
// word, for a machine that has just booted talks before it registers, and with daemon_grace while corosync lists it.
func (r *round) lingers(rec *ha.NodeRecord, mem *NodeMemory) {
	held := false
	for _, id := range sorted(r.guests) {
		g := r.guests[id]
		held = held || g.Node == rec.Node && g.Incarnation == rec.Incarnation && g.Requested == ha.RequestedStarted
	}
	wait := r.Timing.LevelTimeout
	if r.Corosync.Known && slices.Contains(r.Corosync.Online, rec.Node) {
		wait = max(wait, r.Timing.DaemonGrace)
	}
	due := max(mem.LeaseGone, mem.GossipBack, r.Promises[rec.Node]).Add(wait)
	switch {
	case !held:
	case r.now < due:
		r.wakeAt(due)
	default:
		r.beginFence(rec, mem, fmt.Sprintf("it has had no lease for %v although gossip reaches it, and its guests run nowhere", wait))
	}
}

// pruneProofs drops proofs about incarnations that hold no guest any more.
func (r *round) pruneProofs(rec *ha.NodeRecord) {
	if len(r.damage.guests) > 0 { // who holds them is not known
		return
	}
	rec.Proofs = slices.DeleteFunc(rec.Proofs, func(p ha.Proof) bool {
		if p.Incarnation() == rec.Incarnation {
			return false
		}
		for _, id := range sorted(r.guests) {
			if slices.ContainsFunc(r.guests[id].Holders, func(h ha.Holder) bool { return h.Node == rec.Node && h.Incarnation == p.Incarnation() }) {
				return false
			}
		}
		return true
	})
	if len(rec.Proofs) == 0 {
		rec.Proofs = nil
	}
}
