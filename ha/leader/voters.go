package leader

import (
	"slices"
	"time"

	"bascule/ha"
)

const (
	etcdViewHolds = 10 * time.Second // so long what this node last saw of the store's voters counts: five looks
	orderEvery    = 20 * time.Second // between two orders for the same change
	unfitPatience = 30 * time.Second // a chosen spare that cannot vote for so long is passed over for another
	sparePatience = 5 * time.Minute  // and so is one that does not come to vote in this time
)

// EtcdView is who keeps the embedded store, as this node saw it when a majority last answered; the zero value when the store is elsewhere
// or nothing is known.
type EtcdView struct {
	At        ha.Instant // when that was
	Voters    []ha.NodeName
	Answering []ha.NodeName
	Changing  bool // somebody changes the voters, or is being let in
}

// known says whether it can be built on now.
func (v EtcdView) known(now ha.Instant) bool {
	return v.At != 0 && now.Sub(v.At) <= etcdViewHolds && len(v.Voters) > 0
}

// VoterMemory is this leadership's view of the store's voters over time.
type VoterMemory struct {
	Silent map[ha.NodeName]ha.Instant // since when it has been gone, without a break
	By     ha.NodeName                // who is to vote now, and since when this leadership waits for that
	Began  ha.Instant
	Unfit  ha.Instant // since when it cannot; 0: it can
	Asked  ha.Instant // when the change was last ordered
}

// keepVoters gives the vote of a voter that is gone to a spare: one at a time, recorded before it is done, and only while a majority answers
// and nobody but the lost one is missing. Each leader counts the absence from its own first sight, so that a change of leaders costs time
// only. Nothing moves back by itself: who comes back is a spare.
func (r *round) keepVoters() {
	if slices.Contains(r.damage.keys, ha.KeyVoterChange) {
		return
	}
	r.missVoters()
	if !r.Etcd.known(r.now) {
		return
	}
	if r.Store.VoterChange.Rev != 0 {
		r.goOnReplacing(r.Store.VoterChange.Rec)
		return
	}
	for _, v := range r.Etcd.Voters {
		if r.overdue(v) && !r.Etcd.Changing && !r.rebuilding() {
			r.beginReplacing(v)
			return
		}
	}
}

// missVoters notes since when each voter has been gone. A view that is too old says nothing, and what was counted by then is void.
func (r *round) missVoters() {
	old := r.state.Voters.Silent
	r.state.Voters.Silent = nil
	if !r.Etcd.known(r.now) {
		return
	}
	for _, v := range r.Etcd.Voters {
		if !r.voterGone(v) {
			continue
		}
		if r.state.Voters.Silent == nil {
			r.state.Voters.Silent = map[ha.NodeName]ha.Instant{}
		}
		since, known := old[v]
		if !known {
			since = r.now
		}
		r.state.Voters.Silent[v] = since
	}
}

// voterGone: it does not answer here, and it does not live by its own word either: a link that fails between the leader and a voter is no
// reason to take its vote away. A node that lives may have lost its etcd alone, and says so.
func (r *round) voterGone(v ha.NodeName) bool {
	_, lease := r.Store.Leases[v]
	return !slices.Contains(r.Etcd.Answering, v) && (!lease || r.Store.Reports[v].Rec.EtcdDown) && r.damage.nodes[v] == "" && slices.Contains(r.mayVote(), v)
}

// mayVote are the members that may keep the store. Whoever else votes, people have to settle.
func (r *round) mayVote() []ha.NodeName { return slices.Concat(r.Voters, r.Spares) }

// overdue says whether a voter has been gone for as long as one waits for it.
func (r *round) overdue(v ha.NodeName) bool {
	since, gone := r.state.Voters.Silent[v]
	if !gone {
		return false
	}
	due := since.Add(r.voterWait(v))
	if r.now < due {
		r.wakeAt(due)
		return false
	}
	return true
}

// voterWait is longer for a node that left in order.
func (r *round) voterWait(v ha.NodeName) time.Duration {
	rec := r.nodes[v]
	left := r.Store.Reports[v].Rec.Leaving
	if rec != nil {
		left = left || rec.Drain || rec.State == ha.NodeMaintenance || rec.State == ha.NodeDraining || rec.State == ha.NodeOffline
	}
	if left {
		return r.Timing.VoterAway()
	}
	return r.Timing.VoterGone()
}
