// Package memstore is a model of the store in memory, for tests of those who use the store: the same calls with the
// same meaning as the etcd adapter (one conformance suite checks both), on a clock of the test's own, with failures on
// demand. It keeps nothing on disk, starts no goroutine, and may never be part of a running daemon.
package memstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"bascule/ha"
	"bascule/ha/etcd/internal/txncheck"
)

// Memory is one node's handle on a modelled store. Safe for concurrent use. Views are brought up to date, and their
// changed functions called, before the call that changed the store returns.
type Memory struct {
	c *cluster

	// Guarded by c.mu, like everything below.
	cut   bool   // this node does not reach the store
	fates []Fate // of the next commits
	view  follower
}

// NewMemory makes an empty store on a clock; another node's handle comes from Another. Leases end when the clock says
// so, which the model notices at every call, and at Tick: call that after moving the clock.
func NewMemory(now func() time.Time) *Memory {
	return newHandle(&cluster{now: now, rev: 1, kvs: map[string]ha.KV{}, leases: map[ha.LeaseID]*lease{}})
}

// Another returns a handle on the same store for another node, with failures of its own.
func (m *Memory) Another() *Memory { return newHandle(m.c) }

func newHandle(c *cluster) *Memory {
	m := &Memory{c: c}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handles = append(c.handles, m)
	return m
}

// enter locks the store for a call, or says why there is no answer.
func (m *Memory) enter(ctx context.Context, what string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w: %w", what, ha.ErrUnavailable, err)
	}
	m.c.mu.Lock()
	if m.cut {
		m.c.mu.Unlock()
		return fmt.Errorf("%s: %w: the test has cut it off", what, ha.ErrUnavailable)
	}
	m.c.expire()
	return nil
}

// Read returns everything at one revision, in the order of the keys.
func (m *Memory) Read(ctx context.Context) (rev int64, kvs []ha.KV, err error) {
	if err := m.enter(ctx, "reading the store"); err != nil {
		return 0, nil, err
	}
	defer m.c.leave()
	return m.c.rev, sorted(m.c.kvs), nil
}

// Get returns one key, nil when it does not exist, and the store's revision.
func (m *Memory) Get(ctx context.Context, key string) (*ha.KV, int64, error) {
	if err := m.enter(ctx, "reading "+key); err != nil {
		return nil, 0, err
	}
	defer m.c.leave()
	if kv, ok := m.c.kvs[key]; ok {
		kv = clone(kv)
		return &kv, m.c.rev, nil
	}
	return nil, m.c.rev, nil
}

// Commit carries out a transaction, or loses its answer if the test has ordered that.
func (m *Memory) Commit(ctx context.Context, tx ha.Txn) (int64, error) {
	if err := txncheck.Check(tx); err != nil {
		return 0, err
	}
	if err := m.enter(ctx, "store commit"); err != nil {
		return 0, err
	}
	defer m.c.leave()
	fate := Answered
	if len(m.fates) > 0 {
		fate, m.fates = m.fates[0], m.fates[1:]
	}
	switch fate {
	case LostBefore:
		return 0, fmt.Errorf("store commit: %w", ha.ErrAmbiguous)
	case LostUnderWay:
		m.c.underWay = append(m.c.underWay, tx)
		return 0, fmt.Errorf("store commit: %w", ha.ErrAmbiguous)
	case LostAfter:
		_, _ = m.c.commit(tx) // whatever it was, the caller does not learn it
		return 0, fmt.Errorf("store commit: %w", ha.ErrAmbiguous)
	}
	return m.c.commit(tx)
}

// Grant makes a lease.
func (m *Memory) Grant(ctx context.Context, ttl time.Duration) (ha.LeaseID, error) {
	if ttl < time.Second || ttl%time.Second != 0 {
		return 0, fmt.Errorf("granting a lease: a TTL of %v is not a positive number of whole seconds", ttl)
	}
	if err := m.enter(ctx, "granting a lease"); err != nil {
		return 0, err
	}
	defer m.c.leave()
	m.c.lastLease++
	m.c.leases[m.c.lastLease] = &lease{ttl: ttl, ends: m.c.now().Add(ttl)}
	return m.c.lastLease, nil
}

// Renew prolongs a lease from now.
func (m *Memory) Renew(ctx context.Context, id ha.LeaseID) (time.Duration, error) {
	what := fmt.Sprintf("renewing lease %x", int64(id))
	if err := m.enter(ctx, what); err != nil {
		return 0, err
	}
	defer m.c.leave()
	l := m.c.leases[id]
	if l == nil {
		return 0, fmt.Errorf("%s: %w", what, ha.ErrLeaseGone)
	}
	l.ends = m.c.now().Add(l.ttl)
	return l.ttl, nil
}

// Revoke ends a lease and removes its keys.
func (m *Memory) Revoke(ctx context.Context, id ha.LeaseID) error {
	if err := m.enter(ctx, fmt.Sprintf("revoking lease %x", int64(id))); err != nil {
		return err
	}
	defer m.c.leave()
	m.c.end(id)
	return nil
}

// Campaign tries once to become leader.
func (m *Memory) Campaign(ctx context.Context, rec ha.LeaderRecord) (ha.Term, *ha.LeaderRecord, error) {
	if rec.Lease == 0 {
		return 0, nil, errors.New("campaign: the leader record names no lease")
	}
	rev, err := m.Commit(ctx, ha.Txn{
		Guards: []ha.Guard{{Key: ha.KeyLeader}},
		Puts:   []ha.Put{{Key: ha.KeyLeader, Value: ha.Encode(rec), Lease: rec.Lease}},
	})
	if err == nil {
		return ha.Term(rev), nil, nil
	}
	if !errors.Is(err, ha.ErrConflict) {
		return 0, nil, fmt.Errorf("campaign: %w", err)
	}
	kv, _, rerr := m.Get(ctx, ha.KeyLeader)
	if rerr != nil || kv == nil {
		return 0, nil, fmt.Errorf("campaign: %w", errors.Join(err, rerr))
	}
	var holder ha.LeaderRecord
	if err := json.Unmarshal(kv.Value, &holder); err != nil {
		return 0, nil, fmt.Errorf("campaign: the leader key holds %q: %w", kv.Value, err)
	}
	if holder == rec && kv.Lease == rec.Lease {
		return ha.Term(kv.CreateRev), nil, nil
	}
	return 0, &holder, nil
}

// Resign gives up a term.
func (m *Memory) Resign(ctx context.Context, term ha.Term) error {
	if term == 0 {
		return nil
	}
	_, err := m.Commit(ctx, ha.Txn{Term: term, Dels: []string{ha.KeyLeader}})
	if errors.Is(err, ha.ErrConflict) {
		return nil
	}
	return err
}
