package leader

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"bascule/ha"
)

// recoverGuests gives free guests a place: the important ones first, then by number.
func (r *round) recoverGuests() {
	var free []*ha.GuestRecord
	for _, id := range sorted(r.guests) {
		if g := r.guests[id]; g.State == ha.GuestRecovery {
			free = append(free, g)
		}
	}
	if len(free) == 0 {
		return
	}
	slices.SortStableFunc(free, func(a, b *ha.GuestRecord) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.ID, b.ID))
	})
	proofs := r.proofs()
	free = slices.DeleteFunc(free, func(g *ha.GuestRecord) bool {
		h, ok := ha.MayReassign(g, proofs, r.released(g.ID))
		if !ok {
			r.blocked(g, h)
		}
		return !ok || r.runsElsewhere(g)
	})
	nodes := r.candidates() // after those: what runs somewhere already takes its memory there
	for _, g := range free {
		if r.awaitsOwn(g) {
			continue
		}
		p := r.place(g, nodes)
		if p.Node == "" {
			r.setGuest(g, ha.GuestRecovery, "no place: "+rejections(p.Rejected))
			continue
		}
		r.restOnHolders(g)
		i := slices.IndexFunc(nodes, func(c ha.Candidate) bool { return c.Node == p.Node })
		nodes[i].MemoryFree -= g.Memory
		nodes[i].Guests++
		r.assign(g, p.Node, nodes[i].Incarnation, fmt.Sprintf("recovered from %s to %s", g.Node, p.Node))
	}
}

// blocked explains a guest that one holder keeps from being assigned. A living holder that runs it is given it.
func (r *round) blocked(g *ha.GuestRecord, h ha.Holder) {
	rep := r.Store.GuestReports[h.Node][g.ID].Rec
	if r.living(h.Node, h.Incarnation) && rep.Phase == ha.PhaseRunning && rep.Incarnation == h.Incarnation && rep.Generation >= h.Generation {
		others := *g
		others.Holders = slices.DeleteFunc(slices.Clone(g.Holders), func(o ha.Holder) bool { return o == h })
		if _, ok := ha.MayReassign(&others, r.proofs(), r.released(g.ID)); ok {
			r.restOnHolders(g)
			r.assign(g, h.Node, h.Incarnation, "its move had already brought it to "+string(h.Node))
			return
		}
	}
	committed := r.Store.Nodes[h.Node].Rec.Proofs
	if slices.ContainsFunc(committed, func(p ha.Proof) bool { return !p.Complete() && p.Covers(h, g.Storages) }) {
		r.setGuest(g, ha.GuestRecovery, fmt.Sprintf("its storages are revoked for %s; waiting to see that they still are", h.Node))
		return
	}
	r.setGuest(g, ha.GuestRecovery, fmt.Sprintf("waiting for %s to prove or say that it holds nothing of it", h.Node))
}

// assign gives a guest to a node in a new generation. Further holders that are neither proven nor released stay listed.
func (r *round) assign(g *ha.GuestRecord, n ha.NodeName, inc ha.Incarnation, reason string) {
	proofs, released := r.proofs(), r.released(g.ID)
	keep := slices.DeleteFunc(slices.Clone(g.Holders), func(h ha.Holder) bool {
		return h.Node == n && h.Incarnation == inc || released(h) || slices.ContainsFunc(proofs, func(p ha.Proof) bool { return p.Covers(h, g.Storages) })
	})
	left := ha.Holder{Node: g.Node, Incarnation: g.Incarnation, Generation: g.Generation}
	gone := released(left) || slices.ContainsFunc(proofs, func(p ha.Proof) bool { return p.Covers(left, g.Storages) })
	if gone && g.Node != n && !slices.Contains(g.ConfigFrom, g.Node) {
		g.ConfigFrom = append(g.ConfigFrom, g.Node)
	}
	if rec := r.nodes[n]; rec != nil && sameRecord(rec, r.Store.Nodes[n].Rec) { // the boot that it goes to is still the one on record
		r.rest(g.ID, ha.KeyNode(n), r.Store.Nodes[n].Rev)
	}
	g.Generation++
	g.Node, g.Incarnation, g.Move = n, inc, nil
	g.Holders = append([]ha.Holder{{Node: n, Incarnation: inc, Generation: g.Generation}}, keep...)
	to := ha.GuestStarting
	if g.Requested != ha.RequestedStarted {
		to = ha.GuestStopped
	}
	r.setGuest(g, to, reason)
}

// restOnHolders guards the assignment by the records it rests on: the holders' node records with their proofs (unchanged
// since read) and their releases.
func (r *round) restOnHolders(g *ha.GuestRecord) {
	for _, h := range g.Holders {
		r.rest(g.ID, ha.KeyGuestReport(h.Node, g.ID), r.Store.GuestReports[h.Node][g.ID].Rev)
		if old, ok := r.Store.Nodes[h.Node]; ok && sameRecord(r.nodes[h.Node], old.Rec) {
			r.rest(g.ID, ha.KeyNode(h.Node), old.Rev)
		}
	}
}

// candidates are the nodes as placement sees them, with what is already promised taken off.
func (r *round) candidates() []ha.Candidate {
	var out []ha.Candidate
	for _, m := range r.Members {
		if m.Witness {
			continue
		}
		rep, reg := r.registered(m.Name)
		c := ha.Candidate{Node: m.Name, Incarnation: rep.Incarnation, Usable: true, MemoryFree: rep.Memory - r.HostReserve}
		rec := r.nodes[m.Name]
		switch {
		case rec == nil || !reg:
			c.Usable, c.Why = false, "not registered"
		case rec.State != ha.NodeOnline || !r.living(m.Name, rep.Incarnation):
			c.Usable, c.Why = false, "it is "+string(rec.State)
		case !sameRecord(rec, r.Store.Nodes[m.Name].Rec): // what is decided about it in this round is not stored yet
			c.Usable, c.Why = false, "it is only just "+string(rec.State)
			r.wakeAt(r.now)
		case !rep.Quorate:
			c.Usable, c.Why = false, "it has no Proxmox (corosync) quorum"+rep.CorosyncVotes.Remedy()
		case !rep.CorosyncVotes.Outlasts(r.switchedOff()...): // it has not noticed yet
			c.Usable, c.Why = false, "it is about to lose its Proxmox (corosync) quorum"+rep.CorosyncVotes.Remedy()
		}
		for _, s := range rep.Storages {
			switch {
			case s.State.Lost():
				c.Lost = append(c.Lost, s.Name)
			case s.Active:
				c.Storages = append(c.Storages, s.Name)
			}
		}
		r.occupy(&c, rep)
		out = append(out, c)
	}
	return out
}

// switchedOff are the nodes whose machines are known to have no power: corosync loses them for certain, within its token's time.
func (r *round) switchedOff() []ha.NodeName {
	var out []ha.NodeName
	for _, n := range sorted(r.nodes) {
		rec := r.nodes[n]
		if rep, ok := r.registered(n); rec.State != ha.NodeFenced || ok && rep.Incarnation != rec.Incarnation {
			continue // it lives, or is back
		}
		if slices.ContainsFunc(rec.Proofs, func(p ha.Proof) bool {
			return p.Incarnation() == rec.Incarnation && (p.Kind() == ha.PowerOffConfirmed || p.Kind() == ha.OperatorConfirmed)
		}) {
			out = append(out, n)
		}
	}
	return out
}

// occupy takes off what is assigned there, is moving there, or runs there unprotected.
func (r *round) occupy(c *ha.Candidate, rep ha.NodeReport) {
	for _, g := range r.guests { //arch:unordered sums
		here := g.Node == c.Node && g.State != ha.GuestRecovery && g.Requested == ha.RequestedStarted
		if here || g.Move != nil && g.Move.Target == c.Node {
			c.MemoryFree -= g.Memory
			c.Guests++
		}
	}
	for _, s := range rep.Guests {
		if r.guests[s.ID] == nil && s.Running {
			c.MemoryFree -= s.Memory
			c.Guests++
		}
	}
}

// awaitsOwn says whether the guest's own node has just come back and only lacks its corosync quorum yet, or that the store knows it: it is
// worth a moment. A reboot, or a power loss of everything, would else scatter the guests.
func (r *round) awaitsOwn(g *ha.GuestRecord) bool {
	until := r.state.Nodes[g.Node].LetIn.Add(r.Timing.LeaseTTL)
	rec := r.nodes[g.Node]
	if r.state.Nodes[g.Node].LetIn == 0 || r.now >= until || rec == nil || rec.State != ha.NodeOnline || slices.Contains(g.Excluded, g.Node) {
		return false
	}
	rep, reg := r.registered(g.Node)
	stored := sameRecord(rec, r.Store.Nodes[g.Node].Rec)
	switch {
	case !reg || stored && rep.Quorate:
		return false
	case stored:
		r.wakeAt(until)
		r.setGuest(g, ha.GuestRecovery, "its node "+string(g.Node)+" is back and waits for corosync")
	default:
		r.wakeAt(r.now)
		r.setGuest(g, ha.GuestRecovery, "its node "+string(g.Node)+" is back")
	}
	return true
}

// place chooses a node among those where its start has not failed yet. When nothing else than that stands in the way, because all others
// are full, tried or forbidden, it begins again, as often as it may be relocated.
func (r *round) place(g *ha.GuestRecord, nodes []ha.Candidate) ha.Placement {
	p := r.Placer.Place(g, nodes)
	if p.Node != "" || len(g.Excluded) == 0 {
		return p
	}
	again := *g
	again.Excluded = nil
	if q := r.Placer.Place(&again, nodes); q.Node != "" {
		g.Excluded = nil
		return q
	}
	return p
}

func rejections(rs []ha.Rejection) string {
	var parts []string
	for _, x := range rs {
		parts = append(parts, string(x.Node)+": "+x.Why)
	}
	return strings.Join(parts, "; ")
}
