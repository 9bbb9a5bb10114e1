package memstore

import (
	"context"
	"time"

	"bascule/ha"
)

// follower is a handle's view.
type follower struct {
	ctx     context.Context // nil: not started
	changed func()
	held    bool // the test keeps it behind
	have    bool
	rev     int64
	kvs     []ha.KV
	good    time.Time
}

// StartView begins to keep the view until ctx ends. If the store cannot be reached, the first copy comes when it can.
func (m *Memory) StartView(ctx context.Context, changed func()) {
	m.c.mu.Lock()
	m.view.ctx, m.view.changed = ctx, changed
	m.c.expire()
	m.c.leave()
}

// Latest returns the view and its revision; false before the first copy.
func (m *Memory) Latest() (rev int64, kvs []ha.KV, ok bool) {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	for _, kv := range m.view.kvs {
		kvs = append(kvs, clone(kv))
	}
	return m.view.rev, kvs, m.view.have
}

// ViewAge is how long ago, on the model's clock, the view was last known good.
func (m *Memory) ViewAge() (time.Duration, bool) {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	if m.view.following() && !m.cut {
		m.view.good = m.c.now()
	}
	return m.c.now().Sub(m.view.good), m.view.have
}

func (f *follower) following() bool { return f.ctx != nil && f.ctx.Err() == nil && !f.held }

// refresh brings the view up to date and says whether it changed. The caller holds the lock.
func (m *Memory) refresh() bool {
	f := &m.view
	if !f.following() || m.cut {
		return false
	}
	f.good = m.c.now()
	if f.have && f.rev == m.c.rev {
		return false
	}
	f.have, f.rev, f.kvs = true, m.c.rev, sorted(m.c.kvs)
	return true
}
