package leader

import (
	"slices"

	"bascule/ha"
)

// adoptGuests makes records of protected guests that have none, and forgets those that their operator took out of
// protection. While the store is being rebuilt a guest without a record may be one whose record is lost, and any member that has not
// reported may hold it (R8).
func (r *round) adoptGuests() {
	waits := r.rebuilding()
	for _, n := range sorted(r.nodes) {
		rep, ok := r.registered(n)
		if !ok || !r.living(n, rep.Incarnation) {
			continue
		}
		for _, seen := range rep.Guests {
			if g := r.guests[seen.ID]; g != nil {
				r.refresh(g, n, rep, seen)
			} else if seen.Protected && !waits && r.damage.guests[seen.ID] == "" && r.onlyOn(n, seen.ID) {
				r.adopt(n, rep, seen)
			}
		}
	}
}

// onlyOn says whether no other node reports a guest's config: it lies in one place only, so one of two reports is old.
func (r *round) onlyOn(n ha.NodeName, id ha.VMID) bool {
	for _, m := range r.Members {
		rep, ok := r.registered(m.Name)
		if ok && m.Name != n && slices.ContainsFunc(rep.Guests, func(s ha.GuestSeen) bool { return s.ID == id }) {
			return false
		}
	}
	return true
}

// adopt protects a guest where it stands.
func (r *round) adopt(n ha.NodeName, rep ha.NodeReport, seen ha.GuestSeen) {
	gen := r.nextGeneration(seen.ID)
	g := &ha.GuestRecord{Schema: ha.Schema, ID: seen.ID, Kind: seen.Kind, Node: n, Incarnation: rep.Incarnation, Generation: gen,
		Requested: ha.RequestedStopped, Epoch: r.epoch(), Holders: []ha.Holder{{Node: n, Incarnation: rep.Incarnation, Generation: gen}}}
	describe(g, seen)
	r.guests[seen.ID] = g
	r.rest(seen.ID, ha.KeyReport(n), r.Store.Reports[n].Rev)
	if seen.Running || seen.Onboot || r.Store.Onboot[seen.ID].Rec.Old {
		g.Requested = ha.RequestedStarted
	}
	if seen.Running {
		r.setGuest(g, ha.GuestStarted, "protected from now on; it runs on "+string(n))
	} else if g.Requested == ha.RequestedStarted {
		r.setGuest(g, ha.GuestStarting, "protected from now on; it starts at boot")
	} else {
		r.setGuest(g, ha.GuestStopped, "protected from now on; it is stopped")
	}
}

// nextGeneration lies above all that was ever reported about this VMID, so that no report of a former life counts in this one.
func (r *round) nextGeneration(id ha.VMID) ha.Generation {
	var last ha.Generation
	for _, n := range sorted(r.Store.GuestReports) {
		last = max(last, r.Store.GuestReports[n][id].Rec.Generation)
	}
	for _, m := range r.Members { // what a store knew that was lost lives on in its nodes (R8)
		rep, _ := r.registered(m.Name)
		last = max(last, rep.Highest)
	}
	return last + 1
}

// describe copies what a config says into the record.
func describe(g *ha.GuestRecord, seen ha.GuestSeen) {
	g.Name, g.Memory, g.Storages, g.Pinned, g.Priority = seen.Name, seen.Memory, seen.Storages, seen.Pinned, seen.Priority
}

// refresh takes changes of a guest's config from the node that holds it; taking the protection away removes the record, a
// guest that Proxmox's own HA began to manage is frozen at once (R7).
func (r *round) refresh(g *ha.GuestRecord, n ha.NodeName, rep ha.NodeReport, seen ha.GuestSeen) {
	if g.Node != n || g.Incarnation != rep.Incarnation || g.Move != nil {
		return
	}
	switch {
	case seen.Refused != "":
		g.Refused = seen.Refused
	case !seen.Protected && (len(g.Holders) > 1 || g.State != ha.GuestStarted && g.State != ha.GuestStopped && g.State != ha.GuestFrozen && g.State != ha.GuestError):
		// somebody else may still hold it, or something is under way: the record stays until that is settled
	case !seen.Protected:
		r.setGuest(g, ha.GuestUnprotected, "an operator took its protection away")
		delete(r.guests, g.ID)
	default:
		g.Refused = ""
		describe(g, seen)
	}
}
