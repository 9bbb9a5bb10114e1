package leader

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bascule/ha"
)

// A guest leaves a living node that has lost one of the guest's storages, if another node has all of them and room for it. It is stopped
// (what cannot be stopped is killed), released and taken over: a migration of Proxmox's needs the storage on both sides. Nobody leaves a
// storage that is good nowhere, or of which nobody knows.

// How often one guest may leave storages: a storage that comes and goes on every node in turn must not chase it around. The times are the
// leaders' wall clocks, as with quarantine: a step of one costs a guest a move, never safety.
const (
	fleeAgain = 10 * time.Minute
	fleeMost  = 3
	fleeSpan  = time.Hour
)

// staysWord begins the reason of a guest that stays although it should leave.
const staysWord = "its storage does not work: "

// leaveStorages plans moves away from nodes that have lost storages, a bounded number at once per node. The loss here and the good there must
// both have stood for StorageWait: by then every node has looked again. Else a server that dies, or comes back, for all would be seen by one node
// first, and guests would move for nothing.
func (r *round) leaveStorages() {
	r.state.Seen = r.storagesSeen()
	r.tellStorages()
	for _, n := range sorted(r.nodes) {
		rec := r.nodes[n]
		under := r.leaving(n)
		for _, id := range sorted(r.guests) {
			g := r.guests[id]
			if g.Node != n || g.State != ha.GuestStarted || g.Move != nil {
				continue
			}
			lost := r.lostUnder(g)
			switch {
			case len(lost) == 0:
				if strings.HasPrefix(g.Reason, staysWord) {
					g.Reason = "runs on " + string(n)
				}
			case !r.mayFlee(g, rec):
			case r.now < r.settledBy(n, lost...):
				r.wakeAt(r.settledBy(n, lost...))
			case under < max(1, r.ParallelMoves) && r.flee(g, lost):
				under++
			}
		}
	}
}

// storagesSeen is what each registered node has said of its storages, and since when this leadership has seen it say so.
func (r *round) storagesSeen() map[ha.NodeName]map[string]StorageMemory {
	out := map[ha.NodeName]map[string]StorageMemory{}
	for _, m := range r.Members {
		rep, ok := r.registered(m.Name)
		if !ok || m.Witness {
			continue
		}
		for _, s := range rep.Storages {
			if s.State != ha.StorageGood && !s.State.Lost() {
				continue
			}
			now := StorageMemory{Lost: s.State.Lost(), Since: r.now}
			if was, known := r.said[m.Name][s.Name]; known && was.Lost == now.Lost {
				now.Since = was.Since
			}
			if out[m.Name] == nil {
				out[m.Name] = map[string]StorageMemory{}
			}
			out[m.Name][s.Name] = now
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// settledBy is when what a node says of storages has stood for so long that every other node has looked since, too.
func (r *round) settledBy(n ha.NodeName, storages ...string) (at ha.Instant) {
	for _, s := range storages {
		at = max(at, r.state.Seen[n][s].Since.Add(r.Timing.StorageWait()))
	}
	return at
}

// tellStorages notes in the nodes' records which storages they have lost, with a transition for people each time that changes.
func (r *round) tellStorages() {
	for _, n := range sorted(r.nodes) {
		rec := r.nodes[n]
		rep, ok := r.registered(n)
		if !ok || !r.living(n, rep.Incarnation) {
			continue
		}
		var lost []string
		for _, s := range rep.Storages {
			was := slices.Contains(rec.Lost, s.Name)
			tell := func(from, to, why string) {
				k := ha.KeyNode(n)
				r.trans[k] = append(r.trans[k], ha.Transition{Subject: ha.SubjectStorage + s.Name + " on " + string(n), From: from, To: to, Reason: why})
			}
			switch {
			case s.State.Lost():
				if lost = append(lost, s.Name); !was {
					tell(ha.StorageWorks, ha.StorageLost, s.Problem)
				}
			case was && s.State == ha.StorageDoubtful: // one look that failed differently is no return
				lost = append(lost, s.Name)
			case was && s.State == ha.StorageGood:
				tell(ha.StorageLost, ha.StorageWorks, "it answers again")
			}
		}
		slices.Sort(lost)
		if !slices.Equal(rec.Lost, lost) {
			rec.Lost = lost
		}
	}
}

// lostUnder are the storages of the guest that its own node says it has lost.
func (r *round) lostUnder(g *ha.GuestRecord) (lost []string) {
	rep, ok := r.registered(g.Node)
	if !ok || rep.Incarnation != g.Incarnation {
		return nil
	}
	for _, s := range rep.Storages {
		if s.State.Lost() && slices.Contains(g.Storages, s.Name) {
			lost = append(lost, s.Name)
		}
	}
	return lost
}

// mayFlee says whether a guest and its node are in a state in which it may be moved at all: the node works and is the guest's only holder.
func (r *round) mayFlee(g *ha.GuestRecord, node *ha.NodeRecord) bool {
	works := node.State == ha.NodeOnline || node.State == ha.NodeDraining || node.State == ha.NodeQuarantined
	return works && r.living(g.Node, g.Incarnation) && len(g.Holders) == 1 && g.Requested == ha.RequestedStarted && g.Epoch == r.epoch() &&
		g.Refused == "" && !r.managed(g.ID)
}

// flee plans one guest's move, or says why it stays.
func (r *round) flee(g *ha.GuestRecord, lost []string) bool {
	storage := strings.Join(lost, ", ")
	stays := func(why string) bool {
		g.Reason = staysWord + storage + " is lost on " + string(g.Node) + "; it stays: " + why
		return false
	}
	fled := r.recentlyFled(g)
	switch {
	case r.StayOnLoss:
		return stays("leaving is turned off (recovery.leave_lost_storage)")
	case g.Pinned != "":
		return stays(g.Pinned)
	case len(fled) >= fleeMost:
		return stays(fmt.Sprintf("it has left storages %d times within %v; repair them", len(fled), fleeSpan))
	case len(fled) > 0 && r.Wall.Sub(fled[len(fled)-1]) < fleeAgain:
		return stays(fmt.Sprintf("it left a storage less than %v ago", fleeAgain))
	}
	nodes := slices.DeleteFunc(r.candidates(), func(c ha.Candidate) bool { return c.Node == g.Node })
	good := slices.DeleteFunc(slices.Clone(nodes), func(c ha.Candidate) bool { return !r.carries(c.Node, g, lost) })
	if len(good) == 0 {
		return stays(fmt.Sprintf("no other node has said for %v that it works there", r.Timing.StorageWait()))
	}
	p := r.Placer.Place(g, good)
	if p.Node == "" && r.Wall.Sub(g.Since) > moveAgain { // what failed once need not fail for ever
		g.Excluded = nil
	}
	if p.Node == "" {
		return stays("no place: " + rejections(p.Rejected))
	}
	i := slices.IndexFunc(good, func(c ha.Candidate) bool { return c.Node == p.Node })
	r.rest(g.ID, ha.KeyReport(g.Node), r.Store.Reports[g.Node].Rev)
	r.rest(g.ID, ha.KeyReport(p.Node), r.Store.Reports[p.Node].Rev)
	g.Fled = append(fled, r.Wall.UTC())
	r.beginMove(g, ha.Move{From: g.Node, Target: p.Node, Inc: good[i].Incarnation, Stop: true})
	r.setGuest(g, ha.GuestRelocating, fmt.Sprintf("%s has lost its storage %s, which works on %s: it is stopped here and started there", g.Node, storage, p.Node))
	return true
}

// carries says whether a node has said for long enough that the lost storages are good there, and has lost or doubts no other one of the guest.
func (r *round) carries(n ha.NodeName, g *ha.GuestRecord, lost []string) bool {
	rep, ok := r.registered(n)
	if !ok {
		return false
	}
	good := 0
	for _, s := range rep.Storages {
		switch {
		case slices.Contains(lost, s.Name):
			if s.Active && s.State == ha.StorageGood && r.now >= r.settledBy(n, s.Name) {
				good++
			}
		case slices.Contains(g.Storages, s.Name) && s.State != ha.StorageGood && s.State != "":
			return false
		}
	}
	return good == len(lost)
}

func (r *round) recentlyFled(g *ha.GuestRecord) []time.Time {
	return slices.DeleteFunc(slices.Clone(g.Fled), func(t time.Time) bool {
		age := r.Wall.Sub(t)
		return age > fleeSpan || age < -fleeSpan
	})
}
