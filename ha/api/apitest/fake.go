package apitest

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"sync"

	"bascule/ha"
	"bascule/ha/api"
	"bascule/ha/setup/doctor"
)

// Fake is a backend in memory. Its methods are safe for concurrent use.
type Fake struct {
	mu       sync.Mutex
	view     api.View
	looks    int
	events   []api.StoredEvent
	requests []ha.Request
	fail     error
	subs     map[chan struct{}]struct{}
	onSubmit func(*Fake, ha.Request)

	hold       <-chan struct{} // fence tests end when it is closed; nil: at once
	fenceTests int
	fenceTest  *api.FenceTest // what they find; nil: by the view

	facts *doctor.Facts // what the doctor finds; nil: nothing

	etcd        []api.EtcdMember
	etcdChanges []api.EtcdChange

	gossipKeys    []string
	gossipHistory [][]string
	keysLeft      int // so many calls of SetGossipKeys before keysFail
	keysFail      error
	snapshot      []byte
	sign          func(*x509.Certificate, []byte) ([]byte, error)
	authority     func() (api.Authority, error)
	setAuthority  func([]byte) error
	busy          bool // the next SetAuthority is refused once
}

// NewFake returns a backend that shows view.
func NewFake(view api.View) *Fake { return &Fake{view: view, subs: map[chan struct{}]struct{}{}} }

// View implements api.Backend.
func (f *Fake) View() api.View {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looks++
	return f.view
}

// Looks is how often the view was asked for.
func (f *Fake) Looks() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.looks
}

// Change replaces the view by what edit makes of it and ticks. edit must not change maps in place.
func (f *Fake) Change(edit func(*api.View)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	edit(&f.view)
	f.tick()
}

// Append stores events under the given keys and ticks.
func (f *Fake) Append(evs ...api.StoredEvent) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, evs...)
	slices.SortFunc(f.events, func(a, b api.StoredEvent) int { return strings.Compare(a.Key, b.Key) })
	f.tick()
}

// Fail makes reads of events and submissions fail with err from now on; nil heals.
func (f *Fake) Fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = err
	f.tick()
}

// OnSubmit calls fn after each recorded request (outside the lock): a leader that takes it up.
func (f *Fake) OnSubmit(fn func(*Fake, ha.Request)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.onSubmit = fn
}

// Requests returns what was submitted.
func (f *Fake) Requests() []ha.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests)
}

// Events implements api.Backend.
func (f *Fake) Events(_ context.Context, after string, limit int) ([]api.StoredEvent, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return nil, f.fail
	}
	var out []api.StoredEvent
	for _, e := range f.events {
		if e.Key > after && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, nil
}

// Submit implements api.Backend. A second request under one id is refused as the store would refuse it.
func (f *Fake) Submit(_ context.Context, r ha.Request) error {
	f.mu.Lock()
	if f.fail != nil {
		defer f.mu.Unlock()
		return f.fail
	}
	if slices.ContainsFunc(f.requests, func(o ha.Request) bool { return o.ID == r.ID }) {
		defer f.mu.Unlock()
		return fmt.Errorf("request %s: %w", r.ID, ha.ErrConflict)
	}
	f.requests = append(f.requests, r)
	fn := f.onSubmit
	f.tick()
	f.mu.Unlock()
	if fn != nil {
		fn(f, r)
	}
	return nil
}

// Subscribe implements api.Backend.
func (f *Fake) Subscribe() (<-chan struct{}, func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ch := make(chan struct{}, 1)
	f.subs[ch] = struct{}{}
	return ch, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.subs, ch)
	}
}

// Subscribers counts open subscriptions.
func (f *Fake) Subscribers() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.subs)
}

func (f *Fake) tick() {
	for ch := range f.subs {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}
