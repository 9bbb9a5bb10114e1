package leader

import (
	"bytes"
	"slices"

	"bascule/ha"
)

// How much one transaction carries, under the store's limit of operations (ha.MaxTxnOps).
const (
	guestsPerCommit   = 40
	requestsPerCommit = 40 // of one node; the others are answered in the next rounds
	eventsPerCommit   = 100
)

// finish compares the working copies with the store and makes the commits.
func (r *round) finish() Decision {
	var commits []Commit
	if c := r.tellDamage(); c != nil {
		commits = append(commits, *c)
	}
	if r.damage.unled() {
		return Decision{State: r.state, Commits: commits, Wake: r.wake}
	}
	if r.cluster != nil {
		commits = append(commits, r.clusterCommit())
	}
	if r.voters != nil {
		commits = append(commits, *r.voters)
	}
	d := Decision{State: r.state, Commits: commits, Reads: r.reads, Replace: r.replace, Wake: r.wake}
	for _, m := range r.Members {
		if r.damage.nodes[m.Name] != "" {
			continue
		}
		if c := r.nodeCommit(m.Name); c != nil {
			d.Commits = append(d.Commits, *c)
		}
	}
	d.Commits = append(d.Commits, r.guestCommits()...)
	if n := len(r.Store.Events) - ha.MaxEvents; n > ha.MaxEvents/10 {
		d.Commits = append(d.Commits, Commit{Subject: "events", Txn: ha.Txn{Term: r.Term, Dels: slices.Clone(r.Store.Events[:min(n, eventsPerCommit)])}})
	}
	return d
}

// nodeCommit is the transaction about one node: its record and its fence record, guarded by both revisions.
func (r *round) nodeCommit(n ha.NodeName) *Commit {
	c := r.follows(n)
	c.Txn.Term = r.Term
	changed := false
	if rec := r.nodes[n]; rec != nil {
		old := r.Store.Nodes[n]
		if !bytes.Equal(ha.Encode(rec), ha.Encode(old.Rec)) {
			changed = true
			c.Txn.Puts = append(c.Txn.Puts, ha.Put{Key: ha.KeyNode(n), Value: ha.Encode(rec)})
		}
		c.Txn.Guards = append(c.Txn.Guards, ha.Guard{Key: ha.KeyNode(n), Rev: old.Rev})
	}
	if r.rests[n] {
		c.Txn.Guards = append(c.Txn.Guards, ha.Guard{Key: ha.KeyLease(n), Rev: r.Store.Leases[n].Rev}, ha.Guard{Key: ha.KeyReport(n), Rev: r.Store.Reports[n].Rev})
	}
	if f, known := r.fences[n]; known {
		old, had := r.Store.Fences[n]
		switch {
		case f == nil && had:
			changed = true
			c.Txn.Dels = append(c.Txn.Dels, ha.KeyFence(n))
		case f != nil && !bytes.Equal(ha.Encode(f), ha.Encode(old.Rec)):
			changed = true
			c.Txn.Puts = append(c.Txn.Puts, ha.Put{Key: ha.KeyFence(n), Value: ha.Encode(f)})
		}
		c.Txn.Guards = append(c.Txn.Guards, ha.Guard{Key: ha.KeyFence(n), Rev: old.Rev})
	}
	for _, k := range r.requests[n][:min(len(r.requests[n]), requestsPerCommit)] {
		changed = true
		c.Txn.Dels = append(c.Txn.Dels, k)
	}
	r.storeEvents(c, ha.KeyNode(n))
	if !changed && len(c.Commands) == 0 && len(c.Revoke) == 0 && len(c.Transitions) == 0 {
		return nil
	}
	return c
}

// guestCommits packs the changed guests into transactions.
func (r *round) guestCommits() []Commit {
	var out []Commit
	n := 0
	for _, id := range r.guestIDs() {
		g, old := r.guests[id], r.Store.Guests[id]
		if g != nil && old.Rev != 0 && bytes.Equal(ha.Encode(g), ha.Encode(old.Rec)) {
			continue
		}
		one := r.guestCommit(id)
		if len(out) == 0 || n == guestsPerCommit || !fits(out[len(out)-1].Txn, one.Txn) {
			out, n = append(out, Commit{Subject: "guests", Txn: ha.Txn{Term: r.Term}}), 0
		}
		n++
		c := &out[len(out)-1]
		c.Txn.Puts, c.Txn.Dels = append(c.Txn.Puts, one.Txn.Puts...), append(c.Txn.Dels, one.Txn.Dels...)
		c.Transitions = append(c.Transitions, one.Transitions...)
		for _, extra := range one.Txn.Guards {
			if !slices.Contains(c.Txn.Guards, extra) {
				c.Txn.Guards = append(c.Txn.Guards, extra)
			}
		}
	}
	return out
}

// guestCommit is what one guest's change writes and rests on.
func (r *round) guestCommit(id ha.VMID) Commit {
	var c Commit
	if g := r.guests[id]; g == nil {
		c.Txn.Dels = append(c.Txn.Dels, ha.KeyGuest(id))
	} else {
		c.Txn.Puts = append(c.Txn.Puts, ha.Put{Key: ha.KeyGuest(id), Value: ha.Encode(g)})
	}
	c.Txn.Guards = append([]ha.Guard{{Key: ha.KeyGuest(id), Rev: r.Store.Guests[id].Rev}}, r.guards[id]...)
	r.storeEvents(&c, ha.KeyGuest(id))
	return c
}

// fits says whether the store takes both in one transaction, the term's guard counted.
func fits(a, b ha.Txn) bool {
	return 1+len(a.Guards)+len(b.Guards) <= ha.MaxTxnOps && len(a.Puts)+len(a.Dels)+len(b.Puts)+len(b.Dels) <= ha.MaxTxnOps
}

// guestIDs lists the guests in the working copy and those removed from it.
func (r *round) guestIDs() []ha.VMID {
	ids := sorted(r.guests)
	for _, id := range sorted(r.Store.Guests) {
		if _, ok := r.guests[id]; !ok && r.damage.guests[id] == "" {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// storeEvents stores a subject's transitions in the same transaction as the change itself.
func (r *round) storeEvents(c *Commit, key string) {
	for _, t := range r.trans[key] {
		c.Transitions = append(c.Transitions, t)
		e := ha.Event{Transition: t, At: r.Wall.UTC(), Term: r.Term, By: r.Self}
		c.Txn.Puts = append(c.Txn.Puts, ha.Put{Key: r.eventKey(), Value: ha.Encode(e)})
	}
}
