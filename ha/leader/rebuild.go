package leader

import (
	"fmt"
	"slices"

	"bascule/ha"
	"bascule/ha/ladder"
)

// Rebuilding after the store was restored or forced anew (R8): what its records say of guests may be old. Every guest is frozen until each
// member has reported in the new epoch or is proven off; then its assignment is made anew from where it runs and where its config lies,
// and everybody who is up is asked to let go of it before it may ever move again.

// epoch is the store's present one.
func (r *round) epoch() ha.Epoch { return r.Store.Cluster.Rec.Epoch }

// rebuildGuests freezes and rebuilds the guests of an older epoch.
func (r *round) rebuildGuests() {
	missing := r.missing()
	if missing == "" && !r.settled() {
		r.settle()
	}
	for _, id := range sorted(r.guests) {
		g := r.guests[id]
		if g.Epoch == r.epoch() {
			continue
		}
		if missing != "" {
			g.Move = nil
			r.setGuest(g, ha.GuestFrozen, "the store was restored or replaced: waiting for "+missing)
			continue
		}
		r.rebuild(g)
	}
}

// missing says who has not reported in this epoch nor is proven off in it, "" when nobody.
func (r *round) missing() string {
	for _, m := range r.Members {
		if m.Witness {
			continue
		}
		rep, reg := r.registered(m.Name)
		switch {
		case reg && rep.Epoch != r.epoch():
			return fmt.Sprintf("%s to take note of epoch %d", m.Name, r.epoch())
		case reg && (r.Store.Nodes[m.Name].Rec.Incarnation != rep.Incarnation || !sameRecord(r.nodes[m.Name], r.Store.Nodes[m.Name].Rec)):
			return fmt.Sprintf("%s to be let in", m.Name)
		case !reg && !r.provenOff(m.Name):
			return fmt.Sprintf("%s to report, or to be proven off (hactl confirm-off %s)", m.Name, m.Name)
		}
	}
	return ""
}

// settled says whether every member has reported or was proven off in this epoch. In the cluster's first nothing can have been lost.
func (r *round) settled() bool {
	c := r.Store.Cluster.Rec
	return c.Epoch <= 1 || c.Settled == c.Epoch
}

// settle notes that nobody is missing any more: whoever fails from now on is no business of the rebuild.
func (r *round) settle() {
	c := r.Store.Cluster.Rec
	c.Settled = c.Epoch
	r.cluster = &c
	r.transCluster = append(r.transCluster, ha.Transition{Subject: "cluster", From: "rebuilding", To: "in order",
		Reason: fmt.Sprintf("epoch %d: every member has reported or is proven off; guests are assigned anew, and new ones are protected again", c.Epoch)})
}

// rebuilding says whether members may still hold what the store does not know.
func (r *round) rebuilding() bool {
	if !r.settled() {
		return true
	}
	for _, id := range sorted(r.guests) {
		if r.guests[id].Epoch != r.epoch() {
			return true
		}
	}
	return false
}

// awaited says whether the rebuild waits for a fenced node to be proven off once more: by what looks at the machine.
func (r *round) awaited(rec *ha.NodeRecord) bool {
	return !slices.ContainsFunc(rec.Proofs, lasting) && r.rebuilding()
}

// lookOff looks for a proof about the machine without touching anything, as passive does. Time proves nothing to a rebuild: it is about
// the boot on record, and another one may live.
func (r *round) lookOff(rec *ha.NodeRecord, mem *NodeMemory, why string) bool {
	in := r.input(rec, mem, nil)
	in.Facts.Armed = false
	return r.looked(rec, mem, in, why)
}

// provenOff says whether the machine was proven off since the epoch began: a switch or a human looked at it then. What an older epoch
// knew of its incarnations may miss the one that lives.
func (r *round) provenOff(n ha.NodeName) bool {
	rec := r.Store.Nodes[n].Rec // what is decided in this round is not stored yet
	return rec.Epoch == r.epoch() && rec.State == ha.NodeFenced && slices.ContainsFunc(rec.Proofs, lasting)
}

// lasting says whether a proof is about the machine and not about time or storage, which may have changed since.
func lasting(p ha.Proof) bool {
	return p.Kind() == ha.PowerOffConfirmed || p.Kind() == ha.OperatorConfirmed
}

// judgeAnew takes the nodes' records over into this epoch: complete proofs of an older one do not count, so that a dead node is proven
// again. Storages that were taken away stay so until a new boot.
func (r *round) judgeAnew() {
	for _, n := range sorted(r.nodes) {
		rec := r.nodes[n]
		if rec.Epoch == r.epoch() {
			continue
		}
		rec.Epoch, rec.Proofs = r.epoch(), aboutStorages(rec.Proofs, rec.Incarnation)
		r.rests[n] = true // what it is now rests on its lease and its report alone
		mem := r.state.Nodes[n]
		mem.Ladder, mem.Revoked = ladder.Memory{}, 0
		r.state.Nodes[n] = mem
		why := "the store was restored or replaced: what it knew of this node may be old"
		switch f := r.fences[n]; {
		case f != nil && r.revokable(rec):
			f.Proofs = aboutStorages(f.Proofs, f.Incarnation)
			r.setNode(rec, ha.NodeFencing, why)
		default:
			r.fences[n] = nil
			if rec.State == ha.NodeFenced || rec.State == ha.NodeFencing {
				r.setNode(rec, ha.NodeSuspect, why)
			}
		}
	}
}

// rebuild assigns a guest anew: where it runs, else where its config lies, else where the old record says.
func (r *round) rebuild(g *ha.GuestRecord) {
	n, inc, why := r.standsAt(g)
	g.Epoch, g.Generation, g.Node, g.Incarnation, g.Move = r.epoch(), max(g.Generation+1, r.nextGeneration(g.ID)), n, inc, nil
	g.Relocations, g.Excluded, g.ConfigFrom = 0, nil, nil
	g.Holders = nil
	for _, m := range r.Members { // whoever is up may have something of it left: each says so, or is proven off
		if rep, reg := r.registered(m.Name); reg && !m.Witness {
			g.Holders = append(g.Holders, ha.Holder{Node: m.Name, Incarnation: rep.Incarnation, Generation: g.Generation})
			r.rest(g.ID, ha.KeyGuestReport(m.Name, g.ID), r.Store.GuestReports[m.Name][g.ID].Rev)
			r.rest(g.ID, ha.KeyReport(m.Name), r.Store.Reports[m.Name].Rev)
			r.rest(g.ID, ha.KeyNode(m.Name), r.Store.Nodes[m.Name].Rev)
		} else if rec := r.nodes[m.Name]; rec != nil && !m.Witness {
			r.rest(g.ID, ha.KeyNode(m.Name), r.Store.Nodes[m.Name].Rev)
		}
	}
	if !slices.ContainsFunc(g.Holders, func(h ha.Holder) bool { return h.Node == n && h.Incarnation == inc }) {
		g.Holders = append(g.Holders, ha.Holder{Node: n, Incarnation: inc, Generation: g.Generation})
	}
	for _, m := range r.Members { // it may have moved there since the copy was made: whoever starts it finds its config under one of these
		if m.Name != n && !m.Witness && r.provenOff(m.Name) {
			g.ConfigFrom = append(g.ConfigFrom, m.Name)
		}
	}
	to := ha.GuestStarting
	if g.Requested != ha.RequestedStarted {
		to = ha.GuestStopped
	}
	r.setGuest(g, to, "assigned anew after the store was restored or replaced: "+why)
}

// standsAt finds where a guest is.
func (r *round) standsAt(g *ha.GuestRecord) (n ha.NodeName, inc ha.Incarnation, why string) {
	n, inc, why = g.Node, g.Incarnation, "no member has it; as the old record says"
	if rec := r.nodes[g.Node]; rec != nil {
		inc = rec.Incarnation
	}
	for _, m := range r.Members {
		rep, reg := r.registered(m.Name)
		if !reg {
			continue
		}
		for _, s := range rep.Guests {
			if s.ID == g.ID && s.Running {
				return m.Name, rep.Incarnation, "it runs on " + string(m.Name)
			} else if s.ID == g.ID {
				n, inc, why = m.Name, rep.Incarnation, "its config lies on "+string(m.Name)
			}
		}
	}
	return n, inc, why
}
