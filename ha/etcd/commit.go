package etcd

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"bascule/ha"
	"bascule/ha/etcd/internal/txncheck"
)

// Commit carries out a transaction if all its guards, and its term, hold, and returns the revision that it was
// written at (of the read that settled it, if it only removed keys and its answer was lost). Errors: ErrConflict, nothing
// written; ErrLeaseGone, a lease of its puts is gone and nothing is written; ErrUnavailable, it never left this node;
// ErrAmbiguous, it may have happened or may still happen: observe again.
func (s *Store) Commit(ctx context.Context, tx ha.Txn) (int64, error) {
	if err := txncheck.Check(tx); err != nil {
		return 0, err
	}
	ctx, cancel := s.pool.bound(ctx)
	defer cancel()
	before := s.seen.Load()
	for _, g := range tx.Guards { // the caller's own knowledge counts, too
		before = max(before, g.Rev)
	}
	before = max(before, int64(tx.Term))

	resp, sent, err := s.send(ctx, tx)
	switch {
	case err == nil && resp.Succeeded:
		s.saw(resp.Header.Revision)
		return resp.Header.Revision, nil
	case err == nil:
		s.saw(resp.Header.Revision)
		return 0, fmt.Errorf("store commit: %w", ha.ErrConflict)
	case !sent:
		return 0, err
	case definite(err):
		return 0, refused("store commit", err)
	}
	return s.settle(ctx, tx, before, err)
}

// send tries the endpoints one after the other for as long as the transaction certainly was not carried out. sent says
// that it may have been.
func (s *Store) send(ctx context.Context, tx ha.Txn) (resp *clientv3.TxnResponse, sent bool, err error) {
	tried := map[*endpoint]bool{}
	var problems []error
	for {
		e := s.pool.pick(ctx, tried)
		if e == nil {
			return nil, false, unavailable("store commit", problems, ctx.Err())
		}
		tried[e] = true
		began := time.Now()
		try, cancel := context.WithDeadline(ctx, keepShare(ctx))
		resp, err := e.client.Txn(try).If(s.compares(tx)...).Then(s.writes(tx)...).Commit()
		cancel()
		if err == nil || definite(err) {
			e.good()
			return resp, true, err
		}
		e.failed(silence(err, began))
		if !notExecuted(err) {
			return nil, true, fmt.Errorf("%s: %w", e.name, err)
		}
		problems = append(problems, fmt.Errorf("%s: %w", e.name, err))
	}
}

// keepShare leaves a third of the remaining time for reading back.
func keepShare(ctx context.Context) time.Time {
	now := time.Now()
	d, _ := ctx.Deadline()
	return now.Add(d.Sub(now) * 2 / 3)
}

func (s *Store) compares(tx ha.Txn) []clientv3.Cmp {
	var cmps []clientv3.Cmp
	if tx.Term != 0 {
		cmps = append(cmps, clientv3.Compare(clientv3.CreateRevision(s.prefix+ha.KeyLeader), "=", int64(tx.Term)))
	}
	for _, g := range tx.Guards {
		cmps = append(cmps, clientv3.Compare(clientv3.ModRevision(s.prefix+g.Key), "=", g.Rev))
	}
	return cmps
}

func (s *Store) writes(tx ha.Txn) []clientv3.Op {
	var ops []clientv3.Op
	for _, p := range tx.Puts {
		var opts []clientv3.OpOption
		if p.Lease != 0 {
			opts = append(opts, clientv3.WithLease(clientv3.LeaseID(p.Lease)))
		}
		ops = append(ops, clientv3.OpPut(s.prefix+p.Key, string(p.Value), opts...))
	}
	for _, k := range tx.Dels {
		ops = append(ops, clientv3.OpDelete(s.prefix+k))
	}
	return ops
}
