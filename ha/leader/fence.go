package leader

import (
	"fmt"
	"slices"

	"bascule/ha"
	"bascule/ha/ladder"
)

// facts is what the ladder may know about a node's recorded incarnation.
func (r *round) facts(rec *ha.NodeRecord, mem *NodeMemory) ladder.Facts {
	n := rec.Node
	f := ladder.Facts{Node: n, Incarnation: rec.Incarnation, Checks: rec.Devices,
		SystemUUID: rec.SystemUUID, LeaseGone: mem.LeaseGone != 0, GoneSince: max(mem.LeaseGone, r.Promises[n]), GossipAlive: r.Gossip[n].Alive}
	if rep := r.Store.Reports[n].Rec; rep.Incarnation == rec.Incarnation {
		f.Armed, f.Timing, f.Clients = rep.Armed && rep.WatchdogDriver != "", rep.Timing.Through(rep.WatchdogDriver), rep.Clients
		f.Watches = rep.Watches
	}
	f.Back = r.back(rec, mem) && !r.revoked(rec) // what lost its storages is not left alone
	if r.now < r.Promises[n] && !r.wanted(rec) { // we gave it our word: nothing is sent before its end
		f.Back = true
		r.wakeAt(r.Promises[n])
	}
	if rep, ok := r.registered(n); ok {
		f.Registered, f.RegUUID = rep.Incarnation, rep.SystemUUID
	}
	for _, id := range sorted(r.Store.Requests) {
		if q := r.Store.Requests[id].Rec; q.Kind == ha.RequestConfirmOff && q.Node == n && q.Incarnation == rec.Incarnation {
			f.Confirmed = &q
			break
		}
	}
	return f
}

// input is what one step of the ladder looks at.
func (r *round) input(rec *ha.NodeRecord, mem *NodeMemory, f *ha.FenceRecord) ladder.Input {
	return ladder.Input{Now: r.now, Wall: r.Wall, Term: r.Term, Deadline: r.Deadline, Timing: r.Timing,
		Plan: r.Plans[rec.Node], Facts: r.facts(rec, mem), Memory: mem.Ladder, Record: f, Readings: r.Readings}
}

// took keeps what the ladder remembers and passes on what it asks for.
func (r *round) took(rec *ha.NodeRecord, mem *NodeMemory, out ladder.Output) {
	mem.Ladder = out.Memory
	r.asks(rec, out)
}

// asks passes on what a step about a node asks for.
func (r *round) asks(rec *ha.NodeRecord, out ladder.Output) {
	r.reads = append(r.reads, out.Reads...)
	r.wakeAt(out.Wake)
	if out.Record != nil {
		r.fences[rec.Node] = out.Record
		c := r.follows(rec.Node)
		c.Commands = append(c.Commands, out.Commands...)
		if slices.ContainsFunc(out.Commands, func(c ha.DeviceCommand) bool { return c.Action == ha.DeviceReset }) {
			r.rests[rec.Node] = true // a reset must not meet a boot that has registered meanwhile
		}
	}
}

// passive looks for a proof without touching anything; with one the node is fenced at once.
func (r *round) passive(rec *ha.NodeRecord, mem *NodeMemory, why string) bool {
	return r.looked(rec, mem, r.input(rec, mem, nil), why)
}

// looked takes one step of a passive walk.
func (r *round) looked(rec *ha.NodeRecord, mem *NodeMemory, in ladder.Input, why string) bool {
	out := ladder.Step(in)
	r.took(rec, mem, out)
	if len(out.Proofs) == 0 {
		return false
	}
	if f := r.fences[rec.Node]; f != nil && rec.State == ha.NodeFenced { // what was done to it stays known
		f.Proofs = append(slices.Clone(f.Proofs), out.Proofs...)
		r.proven(rec, out.Proofs)
		return true
	}
	f := &ha.FenceRecord{Schema: ha.Schema, Node: rec.Node, Incarnation: rec.Incarnation, Lease: rec.Lease,
		Reason: why, Term: r.Term, Since: r.Wall.UTC(), Proofs: out.Proofs}
	r.fences[rec.Node] = f
	r.proven(rec, out.Proofs)
	return true
}

// beginFence commits the decision; the first commands follow in the next round.
func (r *round) beginFence(rec *ha.NodeRecord, mem *NodeMemory, why string) {
	f := &ha.FenceRecord{Schema: ha.Schema, Node: rec.Node, Incarnation: rec.Incarnation, Lease: rec.Lease,
		Reason: why, Term: r.Term, Since: r.Wall.UTC(), Proofs: aboutStorages(rec.Proofs, rec.Incarnation)}
	if rep := r.Store.Reports[rec.Node].Rec; rep.Incarnation == rec.Incarnation {
		f.Clients = rep.Clients
	}
	f.LeaseRevoked = len(f.Proofs) > 0 // the record was lost after storages were taken away: the lease may have been ended too
	r.fences[rec.Node] = f
	r.rests[rec.Node] = true
	mem.Ladder.LevelSince = 0
	mem.Returned, mem.Turn = 0, 0
	r.setNode(rec, ha.NodeFencing, why)
	r.wakeAt(r.now)
}

// fence walks the ladder for a node in state fencing until there is a proof or the node is back in order.
func (r *round) fence(rec *ha.NodeRecord, mem *NodeMemory) {
	f := r.fences[rec.Node]
	if f == nil || f.Incarnation != rec.Incarnation { // lost or foreign: begin again, never guess
		r.beginFence(rec, mem, rec.Reason)
		return
	}
	if r.returned(rec, mem) {
		r.fences[rec.Node] = nil
		mem.Ladder = ladder.Memory{}
		r.works(rec, "it is back with its lease and gossip, and nothing had switched it off")
		return
	}
	out := ladder.Step(r.input(rec, mem, f))
	if out.Wants && r.held(rec) { // handOut says whether it may
		r.waiting = append(r.waiting, asking{rec.Node, out})
		return
	}
	r.walked(rec, mem, f, out)
}

// walked takes over one step of an active walk.
func (r *round) walked(rec *ha.NodeRecord, mem *NodeMemory, f *ha.FenceRecord, out ladder.Output) {
	r.took(rec, mem, out)
	if mem.Turn == 0 && ladder.Begun(out.Record) {
		mem.Turn = r.now
	}
	r.storageProofs(rec, mem, out.Record)
	if whole := slices.DeleteFunc(out.Proofs, func(p ha.Proof) bool { return !p.Complete() }); len(whole) > 0 {
		r.proven(rec, whole)
		return
	}
	why := storageAlarm(rec.Node, out.Record)
	if why != "" {
		r.setNode(rec, ha.NodeFencing, why)
	} else if r.back(rec, mem) && r.revokable(rec) {
		rec.Reason = "it is back, but its access to storages was or may have been taken away: only a new boot lets it in; reboot it"
	} else if r.back(rec, mem) && len(out.Record.Resets) > 0 {
		rec.Reason = fmt.Sprintf("it is back, but was told to reset, which may still come: it is let in when it has been back for %v", r.Timing.BootTime)
	} else if out.Record.Problem != "" {
		rec.Reason = f.Reason + ": no proof yet: " + out.Record.Problem
	}
}

// back says whether the incarnation being fenced is in order again, and nobody asked for its end.
func (r *round) back(rec *ha.NodeRecord, mem *NodeMemory) bool {
	rep, ok := r.registered(rec.Node)
	return ok && rep.Incarnation == rec.Incarnation && mem.GossipGone == 0 && !r.wanted(rec)
}

// returned says whether the incarnation being fenced is back in order and no command of ours may still hit it: none
// is on its way, an accepted one has had half a level's time without effect, a poison pill its msgwait, a reset boot_time, and no storage was taken away.
func (r *round) returned(rec *ha.NodeRecord, mem *NodeMemory) bool {
	if !r.back(rec, mem) || r.revoked(rec) {
		mem.Returned = 0
		return false
	}
	if mem.Returned == 0 {
		mem.Returned = r.now
	}
	due := mem.Returned
	for _, name := range sorted(mem.Ladder.Devices) {
		d := mem.Ladder.Devices[name]
		if d.InFlight != "" && d.InFlight != ha.DeviceRead {
			return false
		}
		if d.Accepted != 0 {
			due = max(due, d.Accepted.Add(r.Timing.LevelTimeout/2))
		}
	}
	for _, d := range r.told(rec, ha.PoisonDevice) { // whether it was written is not known for sure
		due = max(due, mem.Returned.Add(d.MsgWait))
	}
	if f := r.fences[rec.Node]; len(f.Resets) > 0 { // its service may still carry it out: nobody knows how long that takes
		due = max(due, mem.Returned.Add(r.Timing.BootTime))
	}
	if r.now < due {
		r.wakeAt(due)
		return false
	}
	return r.untouched(rec, mem)
}

// unfenceable says for people why fencing a node on request could never end: it is healthy, and no device could prove anything
// about it. Empty when it can be fenced, or when it is not healthy and time or a person may still prove its end.
func (r *round) unfenceable(rec *ha.NodeRecord, mem *NodeMemory) string {
	if mem.LeaseGone != 0 || mem.GossipGone != 0 {
		return ""
	}
	why := r.Plans[rec.Node].Unusable(r.facts(rec, mem))
	if why == "" {
		return ""
	}
	return fmt.Sprintf("%s is healthy and nothing could prove that it ended (%s); drain it, or switch it off by hand", rec.Node, why)
}

// wanted says whether an operator asked for this fencing: then the node's health does not stop it.
func (r *round) wanted(rec *ha.NodeRecord) bool {
	f := r.fences[rec.Node]
	return f != nil && f.Operator != ""
}

// proven records proofs: the node is fenced, its exact lease is revoked so that nothing waits for it to run out.
func (r *round) proven(rec *ha.NodeRecord, proofs []ha.Proof) {
	r.rests[rec.Node] = true // a node that registers anew meanwhile is not the one that was judged
	rec.Proofs = append(rec.Proofs, proofs...)
	r.countFence(rec)
	p := proofs[0]
	r.setNode(rec, ha.NodeFenced, fmt.Sprintf("%s: %s", p.Kind(), p.Evidence()))
	c := r.follows(rec.Node)
	lease := r.Store.Leases[rec.Node].Rec
	if rec.Lease != 0 && lease.Lease == rec.Lease && lease.Incarnation == rec.Incarnation {
		c.Revoke = append(c.Revoke, rec.Lease)
	}
	for _, id := range sorted(r.Store.Requests) {
		if q := r.Store.Requests[id].Rec; q.Node == rec.Node && (q.Kind == ha.RequestConfirmOff || q.Kind == ha.RequestFence) {
			r.answer(rec.Node, id)
		}
	}
}

// fenced waits for the node's next boot. The proven incarnation showing signs of life means that a device lied: it is never
// let in, and said loudly.
func (r *round) fenced(rec *ha.NodeRecord, mem *NodeMemory) {
	rep, ok := r.registered(rec.Node)
	anew := ok && !rep.Leaving && rep.Incarnation != rec.Incarnation
	if !anew || !r.endedForGood(rec, rep) {
		r.recheck(rec, mem)
	}
	if !ok && r.awaited(rec) && mem.LeaseGone != 0 && mem.GossipGone != 0 {
		r.lookOff(rec, mem, rec.Reason)
	}
	if !ok {
		r.switchOn(rec, mem)
	}
	if !ok || rep.Leaving {
		return
	}
	if rep.Incarnation == rec.Incarnation {
		if !(rep.Lease != rec.Lease && r.endedItself(rec)) && r.now >= mem.Revoked.Add(r.Timing.RenewEvery) { // it must not live on a lease: its guests belong to others
			mem.Revoked = r.now
			c := r.follows(rec.Node)
			c.Revoke = append(c.Revoke, rep.Lease)
		}
		if rep.Lease != rec.Lease && r.endedItself(rec) {
			r.letIn(rec, rep, mem, "it had ended its guests itself, says that nothing is left, and holds a new lease")
			return
		}
		if rep.Lease == rec.Lease { // the dead one's lease, which is being revoked
			r.wakeAt(r.now.Add(r.Timing.RenewEvery))
			return
		}
		if storageAlarm(rec.Node, r.fences[rec.Node]) != "" {
			return
		}
		if r.revokable(rec) && r.ownDoing(rec) {
			r.setNode(rec, ha.NodeFenced, "it ended its guests itself and is back, but its access to storages was or may have been taken away: only a new boot lets it in; reboot it")
			return
		}
		r.setNode(rec, ha.NodeFenced, ha.Alarm+"it was proven off but registers itself with the same boot id: its fencing device lies; pull its power, check the device, then boot it")
		return
	}
	if left, done := r.giveBack(rec, rep, mem); done {
		r.letIn(rec, rep, mem, "it registered again after a new boot"+left)
	}
}

// endedItself says whether the recorded incarnation may live on: its end was its own doing, and no storage was taken away
// from it. It registers only when its guard has verified that nothing protected runs (ha/node, LeaseEnding).
func (r *round) endedItself(rec *ha.NodeRecord) bool { return r.ownDoing(rec) && !r.revokable(rec) }

// ownDoing says whether the only proofs about the recorded machine are of its own doing.
func (r *round) ownDoing(rec *ha.NodeRecord) bool {
	own := false
	for _, p := range rec.Proofs {
		if p.Incarnation() == rec.Incarnation && p.Complete() {
			if p.Kind() != ha.SelfFenceElapsed {
				return false
			}
			own = true
		}
	}
	return own
}

// letIn takes a node back. Proofs about an incarnation that lives again end in the same commit.
func (r *round) letIn(rec *ha.NodeRecord, rep ha.NodeReport, mem *NodeMemory, why string) {
	r.rests[rec.Node] = true
	rec.Proofs = slices.DeleteFunc(rec.Proofs, func(p ha.Proof) bool { return p.Incarnation() == rep.Incarnation })
	rec.Incarnation, rec.Lease, rec.SystemUUID = rep.Incarnation, rep.Lease, rep.SystemUUID
	mem.Ladder, mem.On, mem.Back = ladder.Memory{}, ladder.OnMemory{}, ladder.BackMemory{}
	mem.LetIn = r.now
	r.follows(rec.Node).Commands = nil // nothing is sent about the boot before any more
	r.fences[rec.Node] = nil
	r.works(rec, why)
}
