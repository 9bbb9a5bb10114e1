package sim

import (
	"slices"
	"time"

	"bascule/ha"
)

// givenTo judges the node that a guest was given to, by recovery or for a move: what the store says of the node, and the site's own numbers,
// allow it. What merely follows the truth (the guest runs or lies there already) is no choice.
func (a *audit) givenTo(x Applied, truth *ha.Snapshot, old, rec ha.GuestRecord, n ha.NodeName) {
	if a.j.byHand[rec.ID] || a.isThere(truth, old, rec.ID, n) {
		return
	}
	now, rep := a.w.loop.Now(), truth.Reports[n].Rec
	if since, unfit := a.unfit[n]; unfit && now-since > a.newsTakes(x) && !rep.Quorate {
		a.j.violate("R5", "guest %d is given to %s, which has had no corosync quorum for %v", rec.ID, n, now-since)
	}
	stays := n == old.Node && rec.Incarnation == old.Incarnation // its node is back, drained or not; it is moved from there
	if s := truth.Nodes[n].Rec.State; s != ha.NodeOnline && !(stays && s == ha.NodeDraining) {
		a.j.violate("R5", "guest %d is given to %s, which is %s", rec.ID, n, s)
	}
	for _, s := range a.w.machine.guest(rec.ID).spec.Storages {
		if !a.has(n, s) {
			a.j.violate("R5", "guest %d is given to %s, which does not have storage %s", rec.ID, n, s)
		}
		if since, gone := a.inactive[onNode{n, s}]; gone && now-since > a.newsTakes(x) {
			a.j.violate("R5", "guest %d is given to %s, where storage %s has not been active for %v", rec.ID, n, s, now-since)
		}
	}
	if g := a.w.machine.guest(rec.ID).spec; g.Pinned != "" && g.Node != string(n) {
		a.j.violate("R5", "guest %d is given to %s, and is tied to %s: %s", rec.ID, n, g.Node, g.Pinned)
	}
	if free := a.free(truth, n); free < 0 {
		a.j.violate("R5", "guest %d is given to %s, which then lacks %d MiB of memory", rec.ID, n, -free>>20)
	}
	if a.flaps(n) {
		a.j.violate("R5", "guest %d is given to %s, which was fenced %d times within the hour", rec.ID, n, len(a.fencedAt[n]))
	}
}

// has says whether a storage is configured on a node at all; what is no storage of the site (a path) is its operator's word.
func (a *audit) has(n ha.NodeName, storage string) bool {
	d := a.w.machine.Disk(storage)
	return d == nil || d.configured(a.w.machine.Host(string(n)))
}

// onNode is a storage as one node sees it.
type onNode struct {
	node    ha.NodeName
	storage string
}

// newsTakes is how long what a node reports may take to a leader that decides: longer where something is wrong with the leader's view.
func (a *audit) newsTakes(x Applied) time.Duration {
	if a.w.loop.Now() < a.j.quiet.hosts[x.By]+time.Second {
		return 8 * time.Second
	}
	return 2 * time.Second
}

// isThere says whether a node that did not have the guest says that its config lies there, or says that it runs there.
func (a *audit) isThere(truth *ha.Snapshot, old ha.GuestRecord, id ha.VMID, n ha.NodeName) bool {
	if truth.GuestReports[n][id].Rec.Phase == ha.PhaseRunning && n != old.Node {
		return true
	}
	return slices.ContainsFunc(truth.Reports[n].Rec.Guests, func(s ha.GuestSeen) bool { return s.ID == id && (s.Running || n != old.Node) })
}

// free is the memory that a node has left for guests, with all that is assigned to it or moving to it; less than nothing: it is overcommitted.
func (a *audit) free(truth *ha.Snapshot, n ha.NodeName) int64 {
	free := a.w.machine.Host(string(n)).spec.Memory - hostReserve
	for _, g := range a.w.spec.Guests {
		rec := truth.Guests[g.ID].Rec
		here := rec.Node == n && rec.State != ha.GuestRecovery && rec.Requested == ha.RequestedStarted
		if here || rec.Move != nil && rec.Move.Target == n {
			free -= g.Memory
		}
	}
	return free
}

// seePlaces notes what the stored reports say of storages.
func (a *audit) seePlaces(truth *ha.Snapshot, n ha.NodeName) {
	for _, s := range truth.Reports[n].Rec.Storages {
		if _, known := a.inactive[onNode{n, s.Name}]; !known && !s.Active {
			a.inactive[onNode{n, s.Name}] = a.w.loop.Now()
		} else if s.Active {
			delete(a.inactive, onNode{n, s.Name})
		}
	}
}

// freed is since when a guest can be given away, and the revision that made it so: a view that lags does not show it.
type freed struct {
	at  time.Duration
	rev int64
}

// seeFree notes since when a guest could be given away: each holder is proven, as a whole, or has released it.
func (a *audit) seeFree(truth *ha.Snapshot, rec ha.GuestRecord) {
	free := rec.State == ha.GuestRecovery || rec.State == ha.GuestFence
	for _, h := range rec.Holders {
		rep := truth.GuestReports[h.Node][rec.ID].Rec
		free = free && (rep.Incarnation == h.Incarnation && rep.Generation >= h.Generation && rep.Phase.Gone() ||
			slices.ContainsFunc(truth.Nodes[h.Node].Rec.Proofs, func(p ha.Proof) bool { return p.Kind() != ha.StorageRevoked && p.Incarnation() == h.Incarnation }))
	}
	if _, known := a.freeSince[rec.ID]; !free {
		delete(a.freeSince, rec.ID)
	} else if !known {
		a.freeSince[rec.ID] = freed{a.w.loop.Now(), truth.Revision}
	}
}

// inOrder is the order of priorities: nobody is given a place that a more important guest waits for and would fit into.
func (a *audit) inOrder(x Applied, truth *ha.Snapshot, placed ha.GuestRecord) {
	view := int64(0)
	if d := a.leaderOf(x); d != nil {
		view = d.lead.view
	}
	for _, g := range a.w.spec.Guests {
		rec := truth.Guests[g.ID].Rec
		since, free := a.freeSince[g.ID]
		before, known := a.freeSince[placed.ID]
		seen := since.at < x.Sent && (known && since.at <= before.at && since.rev <= view && !a.j.kinds["lost-answers"] || // whose answer was lost learns late what it wrote itself
			a.w.loop.Now()-since.at > 3*time.Second)
		waits := free && rec.State == ha.GuestRecovery && seen && rec.Epoch == placed.Epoch
		if waits && rec.Priority > placed.Priority && g.Memory <= placed.Memory && a.wouldFit(truth, g, rec, placed.Node) {
			a.j.violate("part4", "guest %d (priority %d) is given to %s while guest %d (priority %d) has waited for a place for %v and would fit there",
				placed.ID, placed.Priority, placed.Node, g.ID, rec.Priority, a.w.loop.Now()-since.at)
			return
		}
	}
}

func (a *audit) wouldFit(truth *ha.Snapshot, g GuestSpec, rec ha.GuestRecord, n ha.NodeName) bool {
	back := works(truth.Nodes[rec.Node].Rec.State) && a.w.loop.Now()-a.j.stateAt[rec.Node] < a.w.spec.Timing.LeaseTTL+time.Second // its own node, which may be waited for
	if back || g.Pinned != "" || slices.Contains(rec.Excluded, n) || a.j.byHand[g.ID] {
		return false
	}
	for _, m := range a.w.spec.memberNames() {
		_, up := truth.Leases[m]
		if up && slices.ContainsFunc(truth.Reports[m].Rec.Guests, func(s ha.GuestSeen) bool { return s.ID == g.ID && s.Running }) {
			return false
		}
	}
	return !slices.ContainsFunc(g.Storages, func(s string) bool {
		_, gone := a.inactive[onNode{n, s}]
		return gone || !a.has(n, s)
	})
}

// noRoom says whether a guest that waits for a place fits on no node that works: then nothing is stuck, there is too little memory.
func (a *audit) noRoom(rec ha.GuestRecord) bool {
	truth := a.w.store.Truth()
	for _, h := range a.w.machine.Hosts() {
		n := ha.NodeName(h.Name)
		unprotected := int64(0)
		for _, s := range truth.Reports[n].Rec.Guests {
			if _, known := truth.Guests[s.ID]; !known && s.Running {
				unprotected += s.Memory
			}
		}
		if !h.spec.Witness && truth.Nodes[n].Rec.State == ha.NodeOnline && a.free(truth, n)-unprotected >= rec.Memory && (rec.Pinned == "" || n == rec.Node) {
			return false
		}
	}
	return rec.State == ha.GuestRecovery
}
