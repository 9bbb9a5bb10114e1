package sim

import (
	"slices"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

// guest looks at what a write changed in a guest's record.
func (a *audit) guest(x Applied, truth *ha.Snapshot, id ha.VMID) {
	v, ok := truth.Guests[id]
	old, had := a.guests[id]
	if !ok || !had {
		return
	}
	rec := v.Rec
	if m := rec.Move; m != nil && !slices.ContainsFunc(rec.Holders, func(h ha.Holder) bool { return h.Node == m.Target && h.Incarnation == m.Inc }) {
		a.j.violate("R1", "guest %d moves to %s (boot %s), which is no holder of it", id, m.Target, m.Inc)
		return
	}
	moved := rec.Node != old.Node || rec.Incarnation != old.Incarnation || (rec.Move != nil) != (old.Move != nil) && rec.State != ha.GuestRecovery && rec.State != ha.GuestFrozen
	switch {
	case rec.Epoch > old.Epoch:
		a.rebuilt(x, truth, old, rec)
	case moved && rec.Generation <= old.Generation:
		a.j.violate("R1", "guest %d is assigned anew (%s -> %s) in generation %d, the last was %d", id, old.Node, rec.Node, rec.Generation, old.Generation)
	case moved && (old.State == ha.GuestRecovery || old.State == ha.GuestFence):
		a.givenTo(x, truth, old, rec, rec.Node)
		if !a.isThere(truth, old, id, rec.Node) {
			a.inOrder(x, truth, rec)
		}
	case moved && rec.Move != nil:
		a.givenTo(x, truth, old, rec, rec.Move.Target)
		if rec.Move.Stop {
			a.flees(x, truth, rec)
		}
	}
	a.seeFailed(truth, old, rec)
	if rec.Epoch == old.Epoch && (moved || slices.ContainsFunc(old.Holders, func(h ha.Holder) bool { return !holds(rec, h) })) {
		a.restsOnHolders(x, old, rec)
		a.seenBySelf(x, truth, old, rec)
	}
}

// rebuilt is R8: an assignment is made anew only when each member has reported in the new epoch or is proven off in it, and above every
// generation that anybody knows.
func (a *audit) rebuilt(x Applied, truth *ha.Snapshot, old, rec ha.GuestRecord) {
	for _, m := range a.w.spec.Hosts {
		n := ha.NodeName(m.Name)
		if m.Witness {
			continue
		}
		l, there := truth.Leases[n]
		rep, nrec := truth.Reports[n].Rec, truth.Nodes[n].Rec
		reported := there && l.Rec.Incarnation == rep.Incarnation && rep.Epoch == rec.Epoch
		proven := nrec.Epoch == rec.Epoch && nrec.State == ha.NodeFenced && slices.ContainsFunc(nrec.Proofs, func(p ha.Proof) bool {
			return p.Kind() == ha.PowerOffConfirmed || p.Kind() == ha.OperatorConfirmed
		})
		up := !reported && a.w.machine.Host(m.Name).Inc() != "" && a.w.machine.Host(m.Name).Inc() == a.atRest[m.Name]
		if key := ha.KeyGuestReport(n, rec.ID); reported && !restsOn(x, key) || !restsOn(x, ha.KeyNode(n)) && !a.justWrote(x, n) {
			a.j.violate("R4", "guest %d is assigned anew in epoch %d without a guard on what %s is and says of it", rec.ID, rec.Epoch, n)
			return
		}
		if reported && !slices.ContainsFunc(rec.Holders, func(h ha.Holder) bool { return h.Node == n && h.Incarnation == rep.Incarnation }) {
			a.j.violate("R8", "guest %d is assigned anew in epoch %d and %s, which is up, is no holder", rec.ID, rec.Epoch, n)
			return
		}
		if !reported && (!proven || up && !a.j.lied[m.Name]) && a.gone[n].since < a.w.loop.Now()-2*time.Second {
			a.j.violate("R8", "guest %d is assigned anew in epoch %d although %s has neither reported in it nor is proven off", rec.ID, rec.Epoch, n)
			return
		}
		if g := truth.GuestReports[n][rec.ID].Rec.Generation; rec.Generation <= max(g, old.Generation) {
			a.j.violate("R8", "guest %d is assigned anew in generation %d; %s knows %d", rec.ID, rec.Generation, n, max(g, old.Generation))
			return
		}
	}
}

// started is R1 from the other end: whatever begins to be able to write is a holder.
func (a *audit) started(host string, inc ha.Incarnation, id ha.VMID) {
	rec, ok := a.w.store.Truth().Guests[id]
	if !ok || a.j.byHand[id] || a.restored() {
		return
	}
	able := slices.ContainsFunc(a.w.machine.Writers(id), func(w Writer) bool { return w.Host == host && w.Inc == inc }) // or its storages were revoked meanwhile
	if able && !slices.ContainsFunc(rec.Rec.Holders, func(h ha.Holder) bool { return string(h.Node) == host && h.Incarnation == inc }) {
		a.j.violate("R1", "guest %d begins to run on %s (boot %s), which is no holder of it", id, host, inc)
	}
}

// guard is R2: a kill once begun goes on until nothing is left.
func (a *audit) guard(host string, t ha.Transition) {
	h := a.w.machine.Host(host)
	from, to := node.GuardPhase(t.From), node.GuardPhase(t.To)
	switch {
	case to == node.GuardPermitted && from == node.GuardKilling:
		a.j.violate("R2", "the guard of %s takes a permit while it kills", host)
	case to == node.GuardClean && from == node.GuardKilling:
		a.clean(h)
	}
}

// clean: verified means that nothing of what it watches is left.
func (a *audit) clean(h *Host) {
	for _, g := range h.boot.guard.s.Guests {
		for _, x := range a.w.machine.Writers(g.ID) {
			if x.Host == h.Name && x.Inc == h.Inc() {
				a.j.violate("R2", "the guard of %s says clean while guest %d is there", h.Name, g.ID)
				return
			}
		}
	}
}
