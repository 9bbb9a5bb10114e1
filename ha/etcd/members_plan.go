package etcd

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"bascule/ha"
)

// ErrMembers is wrapped by every refusal to change the voters; its text says what to do next.
var ErrMembers = errors.New("etcd's voters are not changed")

// errSilent is wrapped with ErrMembers where the refusal is about voters that do not answer: they may in a moment.
var errSilent = fmt.Errorf("%w", ErrMembers)

// errExternal: an external etcd is changed with its own tools.
var errExternal = fmt.Errorf("%w: the store is an external etcd: its operators change its members (etcdctl member)", ErrMembers)

// maxVoters is how many make sense: every write waits for a majority of them.
const maxVoters = 7

// stepKind is one change of etcd's membership, or none.
type stepKind int

const (
	stepDone stepKind = iota
	stepAdd
	stepPromote
	stepRemove
)

// step is the next change towards what was asked for. Changes are made one at a time, each decided from the list as it is then.
type step struct {
	kind stepKind
	node ha.NodeName
	id   uint64
}

// planAdd lets a node vote: first as a learner, which copies everything and cannot hold up a write; it votes when it has caught up.
func planAdd(list []Member, n ha.NodeName) (step, error) {
	own, others := split(list, n)
	if l := learner(others); l != nil {
		return step{}, underWay(*l)
	}
	switch {
	case own != nil && own.Learner:
		return step{stepPromote, n, own.ID}, nil
	case own != nil && !own.Started:
		return step{}, fmt.Errorf("%w: %s is a voter already and has not started yet: start basculed there", ErrMembers, n)
	case own != nil:
		return step{}, nil
	case len(others) >= maxVoters:
		return step{}, fmt.Errorf("%w: there are %d already, and every write waits for a majority of them: remove one first", ErrMembers, len(others))
	}
	if silent := notAnswering(others); len(silent) > 0 {
		return step{}, fmt.Errorf("%w: %s not answering, and one voter more would raise the majority: bring it back, or replace it (hactl etcd replace %s)", errSilent, areNot(silent), silent[0])
	}
	return step{kind: stepAdd, node: n}, nil
}

// planRemove takes a member out, if those that stay have their majority without it.
func planRemove(list []Member, n ha.NodeName) (step, error) {
	own, others := split(list, n)
	if own == nil {
		return step{}, nil
	}
	if own.Learner { // it does not vote: nothing rests on it
		return step{stepRemove, n, own.ID}, nil
	}
	if l := learner(others); l != nil {
		return step{}, underWay(*l)
	}
	silent := notAnswering(others)
	stay, need := len(others)-len(silent), len(others)/2+1
	switch {
	case len(others) == 0:
		return step{}, fmt.Errorf("%w: %s is the only one: removing it would be the end of the store", ErrMembers, n)
	case stay < need:
		return step{}, fmt.Errorf("%w: without %s only %d of %d voters would answer, and %d must (%s not answering): bring one back first", errSilent, n, stay, len(others), need, areNot(silent))
	}
	return step{stepRemove, n, own.ID}, nil
}

// replacement is one voter in the place of another, or of its own lost data.
type replacement struct {
	old   ha.NodeName
	oldID uint64 // the member that goes; 0: it is gone already
	by    ha.NodeName
	alive bool // the old one answered when this began: it stays until the new one votes
	lost  bool // decided by the leader because the old one is gone: void as soon as it answers
}

// newLost is a replacement that the leader decided on. What the old one had begun as a learner, in the place of another, goes with it.
func newLost(list []Member, old, by ha.NodeName) replacement {
	r := replacement{old: old, by: by, lost: true}
	if own, _ := split(list, old); own != nil {
		r.oldID = own.ID
	}
	return r
}

// newReplacement looks at what is there when the replacement begins, also one that was broken off.
func newReplacement(list []Member, old, by ha.NodeName) (replacement, error) {
	r := replacement{old: old, by: by}
	own, _ := split(list, old)
	if own == nil {
		return r, nil
	}
	r.oldID, r.alive = own.ID, own.Answers
	switch {
	case old == by && own.Answers && !own.Learner:
		return r, fmt.Errorf("%w: %s votes and answers: there is nothing to replace", ErrMembers, old)
	case old == by && (own.Learner || !own.Started):
		r.oldID = 0 // that is the new one, already let in
	}
	return r, nil
}

// plan is the replacement's next step.
func (r replacement) plan(list []Member) (step, error) {
	i := slices.IndexFunc(list, func(m Member) bool { return m.ID == r.oldID })
	if i < 0 {
		return planAdd(list, r.by)
	}
	if r.lost && list[i].Answers && !list[i].Learner {
		return step{}, fmt.Errorf("%w: %s answers: it keeps its vote", ErrMembers, r.old)
	}
	if r.alive {
		if s, err := planAdd(list, r.by); err != nil || s.kind != stepDone {
			return s, err
		}
	}
	return planRemove(list, r.old)
}

// split finds a node's member among the others.
func split(list []Member, n ha.NodeName) (own *Member, others []Member) {
	for i, m := range list {
		if m.Node == n {
			own = &list[i]
		} else {
			others = append(others, m)
		}
	}
	return own, others
}

func learner(list []Member) *Member {
	for i := range list {
		if list[i].Learner {
			return &list[i]
		}
	}
	return nil
}

func underWay(m Member) error {
	return fmt.Errorf("%w: one at a time, and %s is being let in: finish that (hactl etcd add %s) or take it back (hactl etcd remove %s)", ErrMembers, m.label(), m.Node, m.Node)
}

func notAnswering(list []Member) (silent []string) {
	for _, m := range list {
		if !m.Answers {
			silent = append(silent, m.label())
		}
	}
	return silent
}

func areNot(names []string) string {
	if len(names) == 1 {
		return names[0] + " is"
	}
	return strings.Join(names, ", ") + " are"
}
