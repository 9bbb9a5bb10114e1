package storetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"bascule/ha"
)

// patient is a real store on a machine that may stall: then its members elect a new leader, and calls that are right say that nobody
// answered. They are made again, as every user of the port makes them again, and the test's log says so.
type patient struct {
	Store
	t *testing.T
}

// Patient returns a store that repeats what was not answered, until the caller's context ends.
func Patient(t *testing.T, s Store) Store { return patient{s, t} }

// again says whether a call is to be repeated, after a pause.
func (p patient) again(ctx context.Context, what string, err error) bool {
	if !errors.Is(err, ha.ErrUnavailable) && !errors.Is(err, ha.ErrAmbiguous) || ctx.Err() != nil {
		return false
	}
	p.t.Logf("%s: again after: %v", what, err)
	select {
	case <-time.After(100 * time.Millisecond):
	case <-ctx.Done():
	}
	return true
}

// ask makes a call until it is answered. One try has some seconds: a commit whose answer is lost is read back for as long as it may.
func ask[T any](ctx context.Context, p patient, what string, call func(ctx context.Context) (T, error)) (T, error) {
	for {
		try, cancel := context.WithTimeout(ctx, 5*time.Second)
		got, err := call(try)
		cancel()
		if !p.again(ctx, what, err) {
			return got, err
		}
	}
}

// read, got and won are answers of two values.
type (
	read struct {
		rev int64
		kvs []ha.KV
	}
	got struct {
		kv  *ha.KV
		rev int64
	}
	won struct {
		term   ha.Term
		holder *ha.LeaderRecord
	}
)

func (p patient) Read(ctx context.Context) (int64, []ha.KV, error) {
	r, err := ask(ctx, p, "read", func(ctx context.Context) (r read, err error) { r.rev, r.kvs, err = p.Store.Read(ctx); return r, err })
	return r.rev, r.kvs, err
}

func (p patient) Get(ctx context.Context, key string) (*ha.KV, int64, error) {
	g, err := ask(ctx, p, "get", func(ctx context.Context) (g got, err error) { g.kv, g.rev, err = p.Store.Get(ctx, key); return g, err })
	return g.kv, g.rev, err
}

func (p patient) Commit(ctx context.Context, tx ha.Txn) (int64, error) {
	return ask(ctx, p, "commit", func(try context.Context) (int64, error) {
		rev, err := p.Store.Commit(try, tx)
		if errors.Is(err, ha.ErrAmbiguous) {
			if at := p.happened(ctx, tx); at != 0 {
				return at, nil
			}
		}
		return rev, err
	})
}

// happened is the revision at which all that a transaction writes is there, 0 if it is not. (Nobody else writes the same.)
func (p patient) happened(ctx context.Context, tx ha.Txn) (at int64) {
	_, kvs, err := p.Read(ctx)
	if err != nil {
		return 0
	}
	for _, put := range tx.Puts {
		i := slices.IndexFunc(kvs, func(kv ha.KV) bool { return kv.Key == put.Key && bytes.Equal(kv.Value, put.Value) })
		if i < 0 || at != 0 && kvs[i].ModRev != at {
			return 0
		}
		at = kvs[i].ModRev
	}
	return at
}

func (p patient) Grant(ctx context.Context, ttl time.Duration) (ha.LeaseID, error) {
	return ask(ctx, p, "grant", func(ctx context.Context) (ha.LeaseID, error) { return p.Store.Grant(ctx, ttl) })
}

func (p patient) Renew(ctx context.Context, id ha.LeaseID) (time.Duration, error) {
	return ask(ctx, p, "renew", func(ctx context.Context) (time.Duration, error) { return p.Store.Renew(ctx, id) })
}

func (p patient) Revoke(ctx context.Context, id ha.LeaseID) error {
	_, err := ask(ctx, p, "revoke", func(ctx context.Context) (any, error) { return nil, p.Store.Revoke(ctx, id) })
	return err
}

func (p patient) Campaign(ctx context.Context, rec ha.LeaderRecord) (ha.Term, *ha.LeaderRecord, error) {
	w, err := ask(ctx, p, "campaign", func(ctx context.Context) (w won, err error) {
		w.term, w.holder, err = p.Store.Campaign(ctx, rec)
		return w, err
	})
	return w.term, w.holder, err
}

func (p patient) Resign(ctx context.Context, term ha.Term) error {
	_, err := ask(ctx, p, "resign", func(ctx context.Context) (any, error) { return nil, p.Store.Resign(ctx, term) })
	return err
}
