package sim

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/etcd/storetest"
)

// modelled is the model behind the store's port: whoever asks it anything turns its clockwork on to the test's time, which is a bubble's,
// and further while a call waits for its answer.
type modelled struct {
	w       *storeWorld
	node    string
	lead    time.Duration              // how far the model's time is ahead of the test's
	history map[int64]map[string]ha.KV // what the store held, by revision: the model's own copies are decoded
	began   time.Time
}

func newModelled(t *testing.T) *modelled {
	m := &modelled{w: newStoreWorld(t, 7, 3, 3), node: "node1", history: map[int64]map[string]ha.KV{}, began: time.Now()}
	m.lead = m.w.l.Now()
	m.history[m.w.s.rev] = maps.Clone(m.w.s.kvs)
	m.w.s.OnApply(func(a Applied) { m.history[a.Rev] = maps.Clone(m.w.s.kvs) })
	return m
}

// follow turns the clockwork on to the test's time.
func (m *modelled) follow() {
	if behind := m.lead + time.Since(m.began) - m.w.l.Now(); behind > 0 {
		m.w.run(behind)
	}
}

func (m *modelled) client() *Client { return m.w.client[m.node] }

// answered turns the clockwork until a call is answered, or its context's time is over in the model.
func answered[T any](ctx context.Context, m *modelled, call func(c *Client, limit time.Duration, done func(T))) (got T, err error) {
	if err := ctx.Err(); err != nil {
		return got, errors.Join(ha.ErrUnavailable, err)
	}
	limit := callTime
	if d, ok := ctx.Deadline(); ok {
		limit = min(time.Until(d), 3*time.Second)
	}
	m.follow()
	over := false
	call(m.client(), limit, func(v T) { got, over = v, true })
	for end := m.w.l.Now() + 2*limit; !over && m.w.l.Now() < end; {
		m.w.run(100 * time.Microsecond)
	}
	if !over {
		return got, ha.ErrAmbiguous
	}
	m.lead = max(m.lead, m.w.l.Now()-time.Since(m.began))
	return got, nil
}

func (m *modelled) kvs(rev int64) []ha.KV {
	var out []ha.KV
	for _, k := range slices.Sorted(maps.Keys(m.history[rev])) {
		out = append(out, m.history[rev][k])
	}
	return out
}

func (m *modelled) Read(ctx context.Context) (int64, []ha.KV, error) {
	a, err := answered(ctx, m, func(c *Client, limit time.Duration, done func(storeAnswer)) {
		c.hedged(&storeRequest{op: opRead}, limit, done)
	})
	if err = errors.Join(err, a.err); err != nil {
		return 0, nil, err
	}
	return a.rev, m.kvs(a.rev), nil
}

type gotKV struct {
	kv  *ha.KV
	rev int64
	err error
}

func (m *modelled) Get(ctx context.Context, key string) (*ha.KV, int64, error) {
	a, err := answered(ctx, m, func(c *Client, limit time.Duration, done func(gotKV)) {
		c.Get(key, limit, func(kv *ha.KV, rev int64, err error) { done(gotKV{kv, rev, err}) })
	})
	return a.kv, a.rev, errors.Join(err, a.err)
}

func (m *modelled) Commit(ctx context.Context, tx ha.Txn) (int64, error) {
	a, err := answered(ctx, m, func(c *Client, limit time.Duration, done func(revErr)) {
		c.Commit(tx, limit, func(rev int64, err error) { done(revErr{rev, err}) })
	})
	return a.rev, errors.Join(err, a.err)
}

func (m *modelled) Grant(ctx context.Context, ttl time.Duration) (ha.LeaseID, error) {
	type answer struct {
		id  ha.LeaseID
		err error
	}
	a, err := answered(ctx, m, func(c *Client, limit time.Duration, done func(answer)) {
		c.Grant(ttl, limit, func(id ha.LeaseID, err error) { done(answer{id, err}) })
	})
	return a.id, errors.Join(err, a.err)
}

func (m *modelled) Renew(ctx context.Context, id ha.LeaseID) (time.Duration, error) {
	type answer struct {
		ttl time.Duration
		err error
	}
	a, err := answered(ctx, m, func(c *Client, limit time.Duration, done func(answer)) {
		c.Renew(id, limit, func(ttl time.Duration, err error) { done(answer{ttl, err}) })
	})
	return a.ttl, errors.Join(err, a.err)
}

func (m *modelled) Revoke(ctx context.Context, id ha.LeaseID) error {
	a, err := answered(ctx, m, func(c *Client, limit time.Duration, done func(error)) { c.Revoke(id, limit, done) })
	return errors.Join(err, a)
}

// Campaign also reads who holds the leader key, which the simulated agents have no use for.
func (m *modelled) Campaign(ctx context.Context, rec ha.LeaderRecord) (ha.Term, *ha.LeaderRecord, error) {
	type answer struct {
		term ha.Term
		err  error
	}
	a, err := answered(ctx, m, func(c *Client, limit time.Duration, done func(answer)) {
		c.Campaign(rec, limit, func(term ha.Term, err error) { done(answer{term, err}) })
	})
	if err = errors.Join(err, a.err); err != nil || a.term != 0 {
		return a.term, nil, err
	}
	return 0, m.w.s.Truth().Leader, nil
}

func (m *modelled) Resign(ctx context.Context, term ha.Term) error {
	a, err := answered(ctx, m, func(c *Client, limit time.Duration, done func(error)) { c.Resign(term, limit, done) })
	return errors.Join(err, a)
}

func (m *modelled) StartView(_ context.Context, changed func()) {
	m.follow()
	m.client().Watch(changed)
}

func (m *modelled) Latest() (int64, []ha.KV, bool) {
	m.follow()
	snap, ok := m.client().Snapshot()
	if !ok {
		return 0, nil, false
	}
	return snap.Revision, m.kvs(snap.Revision), true
}

// LoseNextCommit implements storetest.AnswerLoser.
func (m *modelled) LoseNextCommit(happened bool) {
	m.follow()
	m.client().fault.next = lostBefore
	if happened {
		m.client().fault.next = lostAfter
	}
}

// BreakView implements storetest.ViewBreaker.
func (m *modelled) BreakView() (heal func()) {
	m.follow()
	m.w.s.BreakWatch(m.node, time.Hour)
	return func() {
		m.follow()
		m.w.s.BreakWatch(m.node, 0)
	}
}

// Compact implements storetest.Compactor.
func (m *modelled) Compact(context.Context) error {
	m.follow()
	m.w.s.Compact()
	return nil
}

// ChangeLeader implements storetest.LeaderChanger.
func (m *modelled) ChangeLeader(context.Context) error {
	m.follow()
	if !m.w.s.MoveRaftLeaderOff(m.w.leader()) {
		return errors.New("raft's leader does not move")
	}
	return nil
}

// ShortestTTL implements storetest.Shortest.
func (m *modelled) ShortestTTL() time.Duration { return m.w.s.shortestTTL() }

// TestStoreConformance holds the model to what the real stores do.
func TestStoreConformance(t *testing.T) {
	storetest.RunInBubbles(t, func(t *testing.T) storetest.Store { return newModelled(t) })
}
