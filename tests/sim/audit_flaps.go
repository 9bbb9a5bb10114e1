package sim

import (
	"slices"
	"strings"
	"time"

	"bascule/ha"
)

// What is tried again and again has an end: a node that is fenced again and again is given nothing more, and a guest whose start fails on
// node after node is given up.

// A node that was fenced so often within an hour takes no guests until its operator has looked at it.
const (
	flapsAfter = 3
	flapsSpan  = time.Hour
)

// outageSight is whether the present leadership began after an outage: a node that was last known as working had a boot that nobody had
// judged, so nobody had led for as long as a boot takes.
type outageSight struct {
	term  ha.Term
	since time.Duration
	is    bool
	back  map[ha.NodeName]bool // let in since
}

// outageSeen is how long after its election a leader may still notice that: its TTL, and what the news take.
const outageSeen = 5 * time.Second

func (o *outageSight) look(truth *ha.Snapshot, now, ttl time.Duration) {
	if o.back == nil || o.term != truth.Term {
		*o = outageSight{term: truth.Term, since: now, back: map[ha.NodeName]bool{}}
	}
	if now > o.since+ttl+outageSeen {
		return
	}
	for n, rec := range truth.Nodes {
		lease, held := truth.Leases[n]
		known := rec.Rec.State != ha.NodeFenced && rec.Rec.State != ha.NodeOffline && rec.Rec.State != ha.NodeMaintenance
		o.is = o.is || held && known && lease.Rec.Incarnation != rec.Rec.Incarnation
	}
}

// seeFenced counts the fencings of a node; its operator's word that he looked at it ends the row.
func (a *audit) seeFenced(x Applied, n ha.NodeName, old, rec ha.NodeRecord) {
	inOrder := old.State == ha.NodeOffline || old.State == ha.NodeMaintenance // it was stopped, and boots again
	if old.State == ha.NodeFenced && works(rec.State) {
		a.outage.back[n] = true
	}
	withAll := old.Outage || a.outage.is && !a.outage.back[n] // others were down, too: not its own doing
	if rec.State == ha.NodeFenced && old.State != ha.NodeFenced && !inOrder && !withAll {
		a.fencedAt[n] = append(a.fencedAt[n], a.w.loop.Now())
	}
	if x.Txn != nil && slices.ContainsFunc(x.Txn.Dels, func(k string) bool { return strings.HasPrefix(k, ha.PrefixRequest) }) {
		delete(a.fencedAt, n) // an undrain among them, perhaps
	}
}

// flaps says whether a node was fenced too often. The records' times are wall clocks, which people may set.
func (a *audit) flaps(n ha.NodeName) bool {
	recent := slices.DeleteFunc(slices.Clone(a.fencedAt[n]), func(t time.Duration) bool { return a.w.loop.Now()-t > flapsSpan })
	return len(recent) >= flapsAfter && !a.j.kinds["clock"] && !a.restored()
}

// seeFailed counts the nodes in a row on which a guest's start failed.
func (a *audit) seeFailed(truth *ha.Snapshot, old, rec ha.GuestRecord) {
	rep := truth.GuestReports[old.Node][rec.ID].Rec
	failed := rep.Phase == ha.PhaseFailed && rep.Generation == old.Generation && rep.Incarnation == old.Incarnation
	switch {
	case rec.State == ha.GuestFence || old.State == ha.GuestFence || old.State == ha.GuestError: // its node died: a new row
		delete(a.failed, rec.ID)
	case rec.State == ha.GuestStarted || rec.Epoch != old.Epoch || !failed && rec.Generation != old.Generation || rec.Move != nil:
		delete(a.failed, rec.ID)
	case rec.Generation != old.Generation:
		if a.failed[rec.ID]++; a.failed[rec.ID] > a.w.spec.MaxRelocate && !a.j.byHand[rec.ID] {
			a.j.violate("part4", "the start of guest %d has failed on %d nodes in a row and it is given to %s; max_relocate is %d", rec.ID, a.failed[rec.ID], rec.Node, a.w.spec.MaxRelocate)
		}
	}
}
