package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"bascule/ha"
)

const (
	changePause = 500 * time.Millisecond // between two looks at the list
	changeTTL   = 2 * time.Minute        // how long a change that was broken off keeps others away
	changeTry   = 5 * time.Second        // one call
	silentGrace = 10 * time.Second       // how long a voter that does not answer is given: it may be starting
)

// AddVoter lets a configured voter in and waits until it votes; ctx bounds the wait. What was begun stays: ask again to go on.
func (s *Store) AddVoter(ctx context.Context, n ha.NodeName) error {
	if _, err := s.cfg.voter(n); err != nil && s.cfg.External == nil {
		return err
	}
	return s.change(ctx, ha.Txn{}, "adding "+string(n), func(list []Member) (step, error) { return planAdd(list, n) })
}

// RemoveVoter takes a member out.
func (s *Store) RemoveVoter(ctx context.Context, n ha.NodeName) error {
	return s.change(ctx, ha.Txn{}, "removing "+string(n), func(list []Member) (step, error) { return planRemove(list, n) })
}

// ReplaceVoter puts a voter in the place of another, which stays until then if it answers, or of its own lost data (by is old).
func (s *Store) ReplaceVoter(ctx context.Context, old, by ha.NodeName) error {
	if _, err := s.cfg.voter(by); err != nil && s.cfg.External == nil {
		return err
	}
	var r *replacement
	return s.change(ctx, ha.Txn{}, fmt.Sprintf("replacing %s by %s", old, by), func(list []Member) (step, error) {
		if r == nil {
			begun, err := newReplacement(list, old, by)
			if err != nil {
				return step{}, err
			}
			r = &begun
		}
		return r.plan(list)
	})
}

// ReplaceLost carries out what the leader has recorded: a voter that is gone loses its vote to another. It is void as soon as the lost one
// answers, the term is over, or the record is another one. It can be repeated until the new one votes.
func (s *Store) ReplaceLost(ctx context.Context, o ha.VoterOrder) error {
	if _, err := s.cfg.voter(o.By); err != nil && s.cfg.External == nil {
		return err
	}
	var r *replacement
	under := ha.Txn{Term: o.Term, Guards: []ha.Guard{{Key: ha.KeyVoterChange, Rev: o.Rev}}}
	return s.change(ctx, under, fmt.Sprintf("replacing %s by %s", o.Old, o.By), func(list []Member) (step, error) {
		if r == nil {
			begun := newLost(list, o.Old, o.By)
			r = &begun
		}
		return r.plan(list)
	})
}

// change takes one step after the other, each from a fresh look, until none is left. Nobody else changes anything meanwhile. It begins only
// while what under says holds.
func (s *Store) change(ctx context.Context, under ha.Txn, what string, plan func([]Member) (step, error)) error {
	if s.cfg.External != nil {
		return errExternal
	}
	give, err := s.takeTurn(ctx, under)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer give()
	var last error
	began := time.Now()
	for {
		list, err := s.Members(ctx)
		if err == nil {
			var next step
			next, err = plan(list)
			switch {
			case errors.Is(err, errSilent) && time.Since(began) < silentGrace:
			case err != nil || next.kind == stepDone:
				return err
			default:
				if err = s.take(ctx, next); err != nil && !passing(err) {
					return fmt.Errorf("%s: %w", what, err)
				}
			}
		}
		if err != nil && ctx.Err() == nil {
			last = err
		}
		if !pause(ctx, changePause) {
			return fmt.Errorf("%s: %w: not finished in the time given (%w): is basculed running on the new voter, with it as a voter in its configuration? What was begun stays: ask again to go on", what, ErrMembers, errors.Join(last, ctx.Err()))
		}
	}
}

// take is one change of the list. Its answer may be lost: the next look shows whether it happened.
func (s *Store) take(ctx context.Context, next step) error {
	if next.kind == stepRemove {
		_, _, _ = s.MoveRaftLeaderOff(ctx, next.node) // so that no election holds writes up; if it fails, one does
	}
	ctx, cancel := context.WithTimeout(ctx, changeTry)
	defer cancel()
	e := s.pool.pick(ctx, nil)
	if e == nil {
		return ha.ErrUnavailable
	}
	c := pb.NewClusterClient(e.conn())
	var err error
	switch next.kind {
	case stepAdd:
		v, verr := s.cfg.voter(next.node)
		if verr != nil {
			return verr
		}
		u := httpsURL(v.Address, s.cfg.PeerPort)
		_, err = c.MemberAdd(ctx, &pb.MemberAddRequest{PeerURLs: []string{u.String()}, IsLearner: true})
	case stepPromote:
		_, err = c.MemberPromote(ctx, &pb.MemberPromoteRequest{ID: next.id})
	case stepRemove:
		_, err = c.MemberRemove(ctx, &pb.MemberRemoveRequest{ID: next.id})
	}
	if err == nil {
		s.cfg.Log.WithField("member", string(next.node)).Infof("etcd's voters change: %s", next.kind)
	}
	return err
}

func (k stepKind) String() string {
	return [...]string{"done", "let in as a learner", "votes from now on", "removed"}[k]
}

// passing says whether a refusal may be over in a moment: a learner that has not caught up, connections that are too young to count,
// a lost answer, a change that the list does not show yet.
func passing(err error) bool {
	if isTimeout(err) || errors.Is(err, ha.ErrUnavailable) {
		return true
	}
	e, ok := etcdError(err)
	if !ok {
		return true // no answer of the store's own
	}
	switch e.Error() {
	case rpctypes.ErrMemberLearnerNotReady.Error(), rpctypes.ErrUnhealthy.Error(), rpctypes.ErrMemberNotEnoughStarted.Error(),
		rpctypes.ErrMemberNotFound.Error(), rpctypes.ErrMemberExist.Error(), rpctypes.ErrMemberNotLearner.Error(), rpctypes.ErrPeerURLExist.Error():
		return true
	}
	return notExecuted(err)
}

// takeTurn keeps other changes away, on whatever node they are asked for. It needs a majority, as every change does, and what under says.
func (s *Store) takeTurn(ctx context.Context, under ha.Txn) (give func(), err error) {
	id, err := s.Grant(ctx, changeTTL)
	if err == nil {
		under.Guards = append(under.Guards, ha.Guard{Key: ha.KeyEtcdChange})
		under.Puts = []ha.Put{{Key: ha.KeyEtcdChange, Value: []byte(s.cfg.Self), Lease: id}}
		_, err = s.Commit(ctx, under)
	}
	switch {
	case errors.Is(err, ha.ErrConflict) && under.Term != 0:
		_ = s.Revoke(ctx, id)
		return nil, fmt.Errorf("%w: another change is under way, or this one is not wanted any more", ErrMembers)
	case errors.Is(err, ha.ErrConflict):
		_ = s.Revoke(ctx, id)
		return nil, fmt.Errorf("%w: another change is under way: wait for its end (hactl etcd members shows it), %v at the most", ErrMembers, changeTTL)
	case err != nil:
		return nil, fmt.Errorf("%w: a majority of the voters must answer: bring voters back (hactl status names those that do not answer): %w", ErrMembers, err)
	}
	return func() {
		c, cancel := context.WithTimeout(context.WithoutCancel(ctx), changeTry)
		defer cancel()
		_ = s.Revoke(c, id) // else it ends by itself
	}, nil
}
