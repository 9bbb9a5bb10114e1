package leader

import (
	"fmt"
	"slices"
	"strings"

	"bascule/ha"
)

// What becomes of a voter that is gone, in its transitions.
const (
	voterVotes     = "voter"
	voterLost      = "lost"      // and nobody can vote in its place
	voterReplacing = "replacing" // somebody is being let in
	voterReplaced  = "replaced"
	voterRemoved   = "removed" // by an operator
)

// stateOf names what a record stands for.
func stateOf(c ha.VoterChange) string {
	if c.By == "" {
		return voterLost
	}
	return voterReplacing
}

// beginReplacing records that a voter's vote goes to a spare, or why it cannot.
func (r *round) beginReplacing(old ha.NodeName) {
	c := ha.VoterChange{Schema: ha.Schema, Old: old, Since: r.Wall.UTC(), Reason: r.othersSilent(old)}
	if c.Reason == "" {
		if c.By, c.Reason = r.spare(old, nil); c.By != "" {
			c.Reason = fmt.Sprintf("%s votes in its place from now on", c.By)
		}
	}
	why := fmt.Sprintf("it has been gone for %v; %s", r.voterWait(old), c.Reason)
	r.storeChange(&c, ha.Transition{From: voterVotes, To: stateOf(c), Reason: why}, []ha.Guard{
		{Key: ha.KeyLease(old), Rev: r.Store.Leases[old].Rev}, {Key: ha.KeyReport(old), Rev: r.Store.Reports[old].Rev}}) // it has not come back meanwhile
}

// goOnReplacing sees a recorded change through.
func (r *round) goOnReplacing(c ha.VoterChange) {
	votes := func(n ha.NodeName) bool { return slices.Contains(r.Etcd.Voters, n) }
	_, gone := r.state.Voters.Silent[c.Old]
	switch {
	case votes(c.By) && !votes(c.Old):
		r.endChange(c, voterReplaced, string(c.By)+" votes in its place")
	case votes(c.Old) && !gone:
		r.endChange(c, voterVotes, "it is back and keeps its vote")
	case !votes(c.Old) && c.By == "":
		r.endChange(c, voterRemoved, "somebody took it out of the voters")
	case c.By == "":
		r.stillLost(c)
	default:
		r.pursue(c, votes(c.Old))
	}
}

// stillLost looks whether somebody can vote in the lost one's place by now.
func (r *round) stillLost(c ha.VoterChange) {
	next := c
	if next.Reason = r.othersSilent(c.Old); next.Reason == "" {
		if next.By, next.Reason = r.spare(c.Old, nil); next.By != "" {
			next.Reason = fmt.Sprintf("%s votes in its place from now on", next.By)
		}
	}
	r.changeChange(c, next)
}

// pursue orders the change while nothing speaks against it, and passes a spare over that cannot vote or does not come to.
func (r *round) pursue(c ha.VoterChange, oldVotes bool) {
	mem := &r.state.Voters
	waits := r.othersSilent(c.Old) != "" || r.rebuilding() || oldVotes && !r.overdue(c.Old)
	if mem.By != c.By || waits {
		*mem = VoterMemory{Silent: mem.Silent, By: c.By, Began: r.now}
	}
	if waits {
		return
	}
	unfit := r.unfit(c.By)
	if unfit == "" {
		mem.Unfit = 0
	} else if mem.Unfit == 0 {
		mem.Unfit = r.now
	}
	switch {
	case unfit != "" && r.now >= mem.Unfit.Add(unfitPatience):
		r.passOver(c, fmt.Sprintf("%s cannot vote now (%s)", c.By, unfit), oldVotes)
	case r.now >= mem.Began.Add(sparePatience):
		r.passOver(c, fmt.Sprintf("%s did not come to vote in %v", c.By, sparePatience), oldVotes)
	case unfit != "":
		r.wakeAt(mem.Unfit.Add(unfitPatience))
	case mem.Asked != 0 && r.now < mem.Asked.Add(orderEvery):
		r.wakeAt(mem.Asked.Add(orderEvery))
	default:
		mem.Asked = r.now
		r.replace = &ha.VoterOrder{Old: c.Old, By: c.By, Term: r.Term, Rev: r.Store.VoterChange.Rev}
	}
}

// passOver chooses the next spare, and after the last one the first again. Once the old voter is out, the spare that was let in and did not
// come to vote is the one to be replaced: it must not stay half a member, and the old one may come back as a spare.
func (r *round) passOver(c ha.VoterChange, why string, oldVotes bool) {
	next, not := c, c.Old
	if !oldVotes {
		next.Old, not = c.By, ""
	}
	next.Tried = append(slices.Clone(c.Tried), c.By)
	var none string
	if next.By, none = r.spare(not, next.Tried); next.By == "" {
		next.By, none = r.spare(not, nil)
		next.Tried = nil
	}
	switch {
	case next.By == c.By: // nobody else there: try again
		r.state.Voters.Began = r.now
		return
	case next.By != "":
		next.Reason = fmt.Sprintf("%s; %s votes in place of %s from now on", why, next.By, c.Old)
	case oldVotes:
		next.Reason = none
	default: // what was begun is finished by whoever is there first
		next.Old, next.By, next.Tried, next.Reason = c.Old, c.By, c.Tried, why+"; "+none
	}
	r.changeChange(c, next)
}

// othersSilent says which other voters do not answer: then etcd lets nobody in, and a change would be a step into the dark.
func (r *round) othersSilent(old ha.NodeName) string {
	var names []string
	for _, v := range r.Etcd.Voters {
		if v != old && !slices.Contains(r.Etcd.Answering, v) {
			names = append(names, string(v))
		}
	}
	if names == nil {
		return ""
	}
	return fmt.Sprintf("nobody can vote in its place while %s does not answer either: bring one of them back", strings.Join(names, ", "))
}

// spare chooses who may vote instead: a witness first, because nothing competes for its disk, then in the configuration's order.
func (r *round) spare(old ha.NodeName, tried []ha.NodeName) (by ha.NodeName, none string) {
	may := r.mayVote()
	var unfit []string
	for _, witness := range []bool{true, false} {
		for _, m := range r.Members {
			if m.Witness != witness || !slices.Contains(may, m.Name) || slices.Contains(r.Etcd.Voters, m.Name) || m.Name == old {
				continue
			}
			why := r.unfit(m.Name)
			if why == "" && !slices.Contains(tried, m.Name) {
				return m.Name, ""
			}
			if why == "" {
				why = "it did not come to vote"
			}
			unfit = append(unfit, string(m.Name)+": "+why)
		}
	}
	if unfit == nil {
		return "", "there is no spare that could vote in its place"
	}
	return "", "no spare can vote in its place now (" + strings.Join(unfit, "; ") + ")"
}

// unfit says why a node cannot be given a vote now; empty when it can.
func (r *round) unfit(n ha.NodeName) string {
	rep, reg := r.registered(n)
	rec := r.nodes[n]
	switch {
	case n == "":
		return "nobody"
	case r.damage.nodes[n] != "":
		return "a record of it cannot be read"
	case !reg:
		return "it holds no lease"
	case !r.Gossip[n].Alive && n != r.Self:
		return "gossip does not hear it"
	case rep.Leaving:
		return "it is being stopped"
	case rep.Witness:
	case rec == nil:
		return "it is not known yet"
	case rec.Drain:
		return "it is drained"
	case rec.State != ha.NodeOnline:
		return "it is " + string(rec.State)
	}
	return ""
}

// changeChange stores the change as it is now, if it is another.
func (r *round) changeChange(c, next ha.VoterChange) {
	if next.Old != c.Old || next.By != c.By || next.Reason != c.Reason {
		r.storeChange(&next, ha.Transition{From: stateOf(c), To: stateOf(next), Reason: next.Reason}, nil)
	}
}

// endChange removes the record.
func (r *round) endChange(c ha.VoterChange, to, why string) {
	r.state.Voters = VoterMemory{Silent: r.state.Voters.Silent}
	r.storeChange(nil, ha.Transition{From: stateOf(c), To: to, Reason: why}, nil)
}

// storeChange makes the commit about the change; nil ends it.
func (r *round) storeChange(c *ha.VoterChange, t ha.Transition, rests []ha.Guard) {
	r.voters = &Commit{Subject: "the store's voters", Txn: ha.Txn{Term: r.Term, Guards: append([]ha.Guard{{Key: ha.KeyVoterChange, Rev: r.Store.VoterChange.Rev}}, rests...)}}
	if c == nil {
		r.voters.Txn.Dels = []string{ha.KeyVoterChange}
		c = &r.Store.VoterChange.Rec
	} else {
		r.voters.Txn.Puts = []ha.Put{{Key: ha.KeyVoterChange, Value: ha.Encode(c)}}
	}
	t.Subject = "voter " + string(c.Old)
	r.trans[ha.KeyVoterChange] = []ha.Transition{t}
	r.storeEvents(r.voters, ha.KeyVoterChange)
}
