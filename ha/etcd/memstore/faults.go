package memstore

import (
	"context"

	"bascule/ha"
)

// Fate is what becomes of a commit.
type Fate int

// The fates of a commit. All but the first end in ErrAmbiguous.
const (
	Answered     Fate = iota // carried out or refused, and the caller learns it
	LostBefore               // it never reached the store
	LostAfter                // carried out (if its guards held), but the answer was lost
	LostUnderWay             // not carried out yet: DeliverUnderWay does that, as raft may after a long while
)

// Lose orders the fates of this handle's next commits (Campaign and Resign are commits, too).
func (m *Memory) Lose(fates ...Fate) {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	m.fates = append(m.fates, fates...)
}

// LoseNextCommit loses the next commit's answer, with or without having carried it out.
func (m *Memory) LoseNextCommit(happened bool) {
	if happened {
		m.Lose(LostAfter)
	} else {
		m.Lose(LostBefore)
	}
}

// DeliverUnderWay carries out, in their order, the commits that were lost under way, as far as their guards still hold.
func (m *Memory) DeliverUnderWay() {
	m.c.mu.Lock()
	m.c.expire()
	for _, tx := range m.c.underWay {
		_, _ = m.c.commit(tx) // nobody waits for the answer any more
	}
	m.c.underWay = nil
	m.c.leave()
}

// SetUnavailable cuts this handle off the store, or connects it again; its view stands still meanwhile.
func (m *Memory) SetUnavailable(cut bool) {
	m.c.mu.Lock()
	m.cut = cut
	m.c.expire()
	m.c.leave()
}

// BreakView keeps this handle's view behind until heal is called.
func (m *Memory) BreakView() (heal func()) {
	hold := func(held bool) {
		m.c.mu.Lock()
		m.view.held = held
		m.c.leave()
	}
	hold(true)
	return func() { hold(false) }
}

// Compact forgets history, of which the model keeps none: a view that was behind always reads everything again.
func (m *Memory) Compact(ctx context.Context) error { return ctx.Err() }

// ExpireLease ends a lease now, as if its time were over.
func (m *Memory) ExpireLease(id ha.LeaseID) {
	m.c.mu.Lock()
	m.c.end(id)
	m.c.leave()
}

// RefreshLeases gives every lease its full TTL from now, as a change of raft's leader does.
func (m *Memory) RefreshLeases() {
	m.c.mu.Lock()
	m.c.expire()
	for _, l := range m.c.leases {
		l.ends = m.c.now().Add(l.ttl)
	}
	m.c.leave()
}

// Tick ends the leases whose time is over and brings the views up to date; call it after moving the clock.
func (m *Memory) Tick() {
	m.c.mu.Lock()
	m.c.expire()
	m.c.leave()
}
