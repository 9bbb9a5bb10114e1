package leader

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"bascule/ha"
)

// released says whether a holder committed that nothing of the guest is left there.
func (r *round) released(id ha.VMID) func(ha.Holder) bool {
	return func(h ha.Holder) bool {
		rep, ok := r.Store.GuestReports[h.Node][id]
		return ok && rep.Rec.Incarnation == h.Incarnation && rep.Rec.Generation >= h.Generation && rep.Rec.Phase.Gone()
	}
}

// proofs are the committed ones that this round leaves standing: those of this round are not in the store yet, those that
// it takes back count no more, and what an earlier leader read of storages counts once this one has read it too.
func (r *round) proofs() []ha.Proof {
	var out []ha.Proof
	for _, n := range sorted(r.Store.Nodes) {
		for _, p := range r.Store.Nodes[n].Rec.Proofs {
			if slices.ContainsFunc(r.nodes[n].Proofs, p.Same) && r.seen(n, p) {
				out = append(out, p)
			}
		}
	}
	return out
}

// report returns what the assigned agent says about the present generation.
func (r *round) report(g *ha.GuestRecord) (ha.GuestReport, bool) {
	rep, ok := r.Store.GuestReports[g.Node][g.ID]
	return rep.Rec, ok && rep.Rec.Generation == g.Generation && rep.Rec.Incarnation == g.Incarnation
}

// follow brings a guest's record up to date with its node and its agent's report.
func (r *round) follow(g *ha.GuestRecord) {
	if g == nil || g.Requested == ha.RequestedIgnored {
		return
	}
	r.dropHolders(g)
	node := r.nodes[g.Node]
	switch {
	case node == nil:
		return
	case g.Refused != "" || r.managed(g.ID): // R7, also when its node dies: Proxmox's own HA acts on it
		r.setGuest(g, ha.GuestFrozen, cmp.Or(g.Refused, "Proxmox's own HA manages it: take it out of /etc/pve/ha/resources.cfg, or out of Bascule's protection"))
		return
	case node.State == ha.NodeFencing && node.Incarnation == g.Incarnation:
		if !r.guestFreed(node, g) && g.State != ha.GuestError {
			r.setGuest(g, ha.GuestFence, "its node "+string(g.Node)+" is being fenced")
		}
		return
	case r.guestFreed(node, g):
		return
	case !r.living(g.Node, g.Incarnation):
		r.absent(g)
		return
	}
	if g.State == ha.GuestFrozen || g.State == ha.GuestFence { // its agent waits for that
		r.thaw(g)
	}
	if g.Move != nil {
		r.followMove(g)
		return
	}
	r.followReport(g)
}

// managed says whether any member that is up finds the guest in Proxmox's own HA: also when the one that holds it is not.
func (r *round) managed(id ha.VMID) bool {
	if r.managedIDs == nil { // nothing that this round decides changes it
		r.managedIDs = map[ha.VMID]bool{}
		for _, m := range r.Members {
			if rep, ok := r.registered(m.Name); ok {
				for _, id := range rep.Managed {
					r.managedIDs[id] = true
				}
			}
		}
	}
	return r.managedIDs[id]
}

// thaw takes a guest up again whose node is back in order.
func (r *round) thaw(g *ha.GuestRecord) {
	to := ha.GuestStarting
	if g.Move != nil {
		to = ha.GuestRelocating
		if g.Move.Live {
			to = ha.GuestMigrating
		}
	}
	r.setGuest(g, to, "its node "+string(g.Node)+" is back")
}

// guestFreed sends a guest whose assigned incarnation is proven dead into recovery.
func (r *round) guestFreed(node *ha.NodeRecord, g *ha.GuestRecord) bool {
	for _, p := range node.Proofs {
		if g.Requested == ha.RequestedDisabled || !p.Covers(ha.Holder{Node: g.Node, Incarnation: g.Incarnation}, g.Storages) {
			continue
		}
		if g.State != ha.GuestRecovery {
			if g.State == ha.GuestError || g.State == ha.GuestFrozen {
				g.Relocations, g.Excluded = 0, nil
			}
			g.Move = nil
			why := fmt.Sprintf("its node %s is fenced (%s)", g.Node, p.Kind())
			if !p.Complete() {
				why = fmt.Sprintf("its node %s cannot write to its disks any more (%s)", g.Node, p.Kind())
			}
			r.setGuest(g, ha.GuestRecovery, why)
		}
		return true
	}
	return false
}

// absent handles an assigned node that is neither working nor fenced: stopped in order, or about to return.
func (r *round) absent(g *ha.GuestRecord) {
	rep := r.Store.Reports[g.Node].Rec
	if rep.Leaving && rep.Incarnation == g.Incarnation && g.State != ha.GuestStopped && g.State != ha.GuestError && g.State != ha.GuestRecovery {
		r.setGuest(g, ha.GuestFrozen, "basculed on "+string(g.Node)+" was stopped in order; the guest is left as it is until it starts again")
	}
}

// dropHolders removes further holders that released the guest or are proven dead, once the assigned node runs it.
func (r *round) dropHolders(g *ha.GuestRecord) {
	if len(g.Holders) < 2 || g.Move != nil || g.State == ha.GuestRecovery || g.State == ha.GuestFence {
		return
	}
	proofs, released := r.proofs(), r.released(g.ID)
	g.Holders = slices.DeleteFunc(g.Holders, func(h ha.Holder) bool {
		if h.Node == g.Node && h.Incarnation == g.Incarnation {
			return false
		}
		r.rest(g.ID, ha.KeyGuestReport(h.Node, g.ID), r.Store.GuestReports[h.Node][g.ID].Rev)
		return released(ha.Holder{Node: h.Node, Incarnation: h.Incarnation, Generation: g.Generation}) ||
			slices.ContainsFunc(proofs, func(p ha.Proof) bool { return p.Covers(h, g.Storages) })
	})
}

// followReport moves the state along with the agent's phase.
func (r *round) followReport(g *ha.GuestRecord) {
	rep, ok := r.report(g)
	if g.State == ha.GuestRecovery && !(ok && rep.Phase.Gone()) { // it never said that it let go, and lives
		r.thaw(g)
	}
	if !ok {
		return
	}
	r.rest(g.ID, ha.KeyGuestReport(g.Node, g.ID), r.Store.GuestReports[g.Node][g.ID].Rev)
	switch rep.Phase {
	case ha.PhaseStarting:
		if g.State != ha.GuestRecovery {
			r.setGuest(g, ha.GuestStarting, orReason(rep.Message, "being started on "+string(g.Node)))
		}
	case ha.PhaseRunning:
		g.ConfigFrom, g.Relocations = nil, 0
		if !r.nodes[g.Node].Drain { // while draining, targets that failed stay excluded
			g.Excluded = nil
		}
		if g.Requested == ha.RequestedStopped {
			g.Requested = ha.RequestedStarted
		}
		if g.State != ha.GuestStarted {
			r.setGuest(g, ha.GuestStarted, "runs on "+string(g.Node))
		}
	case ha.PhaseStopping:
		r.setGuest(g, ha.GuestStopping, orReason(rep.Message, "being stopped"))
	case ha.PhaseStopped:
		if rep.ByOperator {
			g.Requested = ha.RequestedStopped
		}
		g.ConfigFrom = nil
		if g.Requested != ha.RequestedStarted {
			r.setGuest(g, ha.GuestStopped, orReason(rep.Message, "stopped"))
		}
	case ha.PhaseFailed:
		r.relocate(g, rep)
	case ha.PhaseReleased:
		r.elsewhere(g, rep)
	}
}

// relocate answers a failed start: another node, until MaxRelocate, then error.
func (r *round) relocate(g *ha.GuestRecord, rep ha.GuestReport) {
	if g.State == ha.GuestError {
		r.runsElsewhere(g)
	}
	if g.State == ha.GuestError || g.State == ha.GuestRecovery {
		return
	}
	if g.Relocations >= r.MaxRelocate {
		r.setGuest(g, ha.GuestError, fmt.Sprintf("given up after %d nodes; last on %s: %s", g.Relocations+1, g.Node, rep.Message))
		return
	}
	g.Relocations++
	g.Excluded = append(g.Excluded, g.Node)
	r.setGuest(g, ha.GuestRecovery, fmt.Sprintf("start failed on %s: %s", g.Node, rep.Message))
}

// lostAfter is how long a guest's config may be reported by nobody before its operator hears of it.
const lostAfter = 10 * time.Second

// elsewhere answers an assigned agent that found nothing to hold: the operator moved the guest by hand, or destroyed it.
func (r *round) elsewhere(g *ha.GuestRecord, rep ha.GuestReport) {
	for _, n := range sorted(r.nodes) {
		nrep, ok := r.registered(n)
		if !ok || n == g.Node || !r.living(n, nrep.Incarnation) {
			continue
		}
		if slices.ContainsFunc(nrep.Guests, func(s ha.GuestSeen) bool { return s.ID == g.ID }) {
			others := *g
			others.Holders = slices.DeleteFunc(slices.Clone(g.Holders), func(h ha.Holder) bool { return h.Node == n && h.Incarnation == nrep.Incarnation })
			if _, ok := ha.MayReassign(&others, r.proofs(), r.released(g.ID)); !ok {
				continue
			}
			r.rest(g.ID, ha.KeyReport(n), r.Store.Reports[n].Rev)
			r.restOnHolders(g)
			r.assign(g, n, nrep.Incarnation, "its config lies on "+string(n)+" now: an operator moved it")
			return
		}
	}
	if h, ok := ha.MayReassign(g, r.proofs(), r.released(g.ID)); rep.ConfigGone && !ok { // its record is all that is known of that holder
		r.setGuest(g, ha.GuestStopping, fmt.Sprintf("its config exists on no node any more: it was destroyed; waiting for %s to prove or say that it holds nothing of it", h.Node))
		return
	}
	if rep.ConfigGone {
		r.restOnHolders(g)
		r.setGuest(g, ha.GuestUnprotected, "its config exists on no node any more: it was destroyed")
		delete(r.guests, g.ID)
		return
	}
	since := cmp.Or(r.lost[g.ID], r.now)
	r.state.Lost[g.ID] = since
	if due := since.Add(lostAfter); r.now < due { // the node that has it now may not have looked yet
		r.wakeAt(due)
		r.setGuest(g, ha.GuestRelocating, string(g.Node)+" has let go of it: somebody moves it by hand; waiting for the node that has it to say so")
		return
	}
	r.setGuest(g, ha.GuestError, orReason(rep.Message, "its config lies where no daemon answers")+"; start basculed there, or move the guest back")
}

// comesBack says whether a node that registered in a boot that nothing is proven of, and is being let in, says that it runs the guest.
func (r *round) comesBack(n ha.NodeName, rep ha.NodeReport, id ha.VMID) bool {
	if rep.Leaving || slices.ContainsFunc(r.Store.Nodes[n].Rec.Proofs, func(p ha.Proof) bool { return p.Incarnation() == rep.Incarnation }) {
		return false
	}
	return slices.ContainsFunc(rep.Guests, func(s ha.GuestSeen) bool { return s.ID == id && s.Running })
}

// runsElsewhere gives a guest to the living node that reports it running with its config there: an operator put it right.
func (r *round) runsElsewhere(g *ha.GuestRecord) bool {
	for _, n := range sorted(r.nodes) {
		rep, ok := r.registered(n)
		if !ok || n == g.Node && rep.Incarnation == g.Incarnation {
			continue
		}
		if !r.living(n, rep.Incarnation) {
			if r.comesBack(n, rep, g.ID) {
				return true
			}
			continue
		}
		if slices.ContainsFunc(rep.Guests, func(s ha.GuestSeen) bool { return s.ID == g.ID && s.Running }) {
			if _, ok := ha.MayReassign(g, r.proofs(), r.released(g.ID)); !ok {
				return false
			}
			r.rest(g.ID, ha.KeyReport(n), r.Store.Reports[n].Rev)
			r.restOnHolders(g)
			g.Relocations, g.Excluded = 0, nil
			r.assign(g, n, rep.Incarnation, "it runs on "+string(n)+" already: somebody started it there")
			return true
		}
	}
	return false
}

func orReason(msg, otherwise string) string {
	if msg != "" {
		return msg
	}
	return otherwise
}
