package sim

import (
	"errors"
	"slices"
	"time"

	"bascule/ha"
)

// Errors of a change of the voters, each a refusal that ha/etcd has, too.
var (
	errTurn     = errors.New("another change is under way, or this one is not wanted any more")
	errAnswers  = errors.New("the lost voter answers: it keeps its vote")
	errMajority = errors.New("those that stay would have no majority")
	errSilent   = errors.New("another voter does not answer")
	errNotYet   = errors.New("the new voter does not come")
)

// OnVoters calls f after every change: "removed" or "votes".
func (s *Store) OnVoters(f func(change, node string)) { s.onVoters = append(s.onVoters, f) }

// Voters are the nodes that vote now.
func (s *Store) Voters() (out []string) {
	for _, v := range s.voters {
		out = append(out, v.node)
	}
	return out
}

// ReplaceLost is what ha/etcd does: it takes the turn under the leader's term and record, takes the lost one out, lets the new one in as a
// learner, and lets it vote when it has copied everything. It ends with the process that asked for it; what was done stays.
func (c *Client) ReplaceLost(o ha.VoterOrder, done func(error)) {
	s := c.store
	end := func(err error) {
		if s.turn == c.proc {
			s.turn = nil
		}
		done(err)
	}
	wait := func(lo, hi time.Duration, f func()) { c.proc.After(s.loop.Between("voters", lo, hi), f) }
	wait(50*time.Millisecond, 2*time.Second, func() { // everybody is asked how he is
		if err := s.takeTurn(c, o); err != nil {
			done(err)
			return
		}
		if err := s.takeOut(c, o); err != nil {
			end(err)
			return
		}
		wait(5*time.Second, 20*time.Second, func() {
			if err := s.letIn(c, o); err != nil {
				end(err)
				return
			}
			end(nil)
		})
	})
}

func (s *Store) takeTurn(c *Client, o ha.VoterOrder) error {
	truth := s.Truth()
	if s.turn != nil && s.turn.Alive() || truth.Term != o.Term || truth.VoterChange.Rev != o.Rev || !c.Health().Available {
		return errTurn
	}
	s.turn = c.proc
	return nil
}

// takeOut removes the lost voter, if it is there and lost, and the others have their majority without it.
func (s *Store) takeOut(c *Client, o ha.VoterOrder) error {
	old := s.voter(string(o.Old))
	if old == nil {
		return nil
	}
	answering := 0
	for _, v := range s.voters {
		if v != old && s.up(v) && s.both(c.node, v.node) {
			answering++
		}
	}
	switch {
	case s.up(old) && s.both(c.node, old.node):
		return errAnswers
	case !c.Health().Available || s.leader == old || 2*answering <= len(s.voters)-1:
		return errMajority
	}
	s.voters = slices.DeleteFunc(slices.Clone(s.voters), func(v *storeVoter) bool { return v == old })
	for _, x := range s.clients {
		x.peers = slices.DeleteFunc(slices.Clone(x.peers), func(p *storePeer) bool { return p.voter == old })
	}
	s.votersChanged("removed", old.node)
	return nil
}

// letIn makes a node's daemon a voter.
func (s *Store) letIn(c *Client, o ha.VoterOrder) error {
	by := string(o.By)
	if s.voter(by) != nil {
		return nil
	}
	if !c.Health().Available {
		return errMajority
	}
	for _, v := range s.voters {
		if !s.up(v) || !s.both(c.node, v.node) {
			return errSilent
		}
	}
	p := s.procs[by]
	if p == nil || !p.Runs() || !s.both(c.node, by) {
		return errNotYet
	}
	next := 0
	for _, v := range s.voters {
		next = max(next, v.index+1)
	}
	v := &storeVoter{index: next, node: by, proc: p, heard: s.loop.Now()}
	s.voters = append(slices.Clone(s.voters), v)
	for _, x := range s.clients {
		x.peers = append(slices.Clone(x.peers), &storePeer{voter: v})
		slices.SortStableFunc(x.peers, func(a, b *storePeer) int { return ownFirst(x.node, a) - ownFirst(x.node, b) })
	}
	s.votersChanged("votes", by)
	return nil
}

func (s *Store) votersChanged(change, node string) {
	s.loop.Logf("store", "%s: %s; voters are now %v", node, change, s.Voters())
	for _, f := range s.onVoters {
		f(change, node)
	}
}
