package etcd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"bascule/ha"
)

const (
	hedgeLongest = 400 * time.Millisecond // longest hesitation of an endpoint before a repeatable call is also sent to the next
	retryPause   = 100 * time.Millisecond // between two attempts of one call at one endpoint
)

// pool is the endpoints that are used now, our own first.
type pool struct {
	limit  time.Duration // of a call without a deadline
	places []place       // all that there may be, our own first
	open   func(place) (*endpoint, error)

	mu  sync.Mutex
	eps []*endpoint // never changed in place
}

// current are the endpoints that are used now.
func (p *pool) current() []*endpoint {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.eps
}

// use makes the places of that name the ones that are used, and closes the connections to the others. With none of them it changes nothing:
// somewhere has to be asked.
func (p *pool) use(name func(ha.NodeName) bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	had := map[ha.NodeName]*endpoint{}
	for _, e := range p.eps {
		had[e.name] = e
	}
	var next []*endpoint
	for _, at := range p.places {
		switch e := had[at.name]; {
		case !name(at.name):
		case e != nil:
			next = append(next, e)
			delete(had, at.name)
		default:
			e, err := p.open(at)
			if err != nil {
				return err
			}
			next = append(next, e)
		}
	}
	if len(next) == 0 {
		return nil
	}
	p.eps = next
	for _, e := range had {
		go e.client.Close() // calls under way there end as if the member had died
	}
	return nil
}

// order returns the endpoints in the order to ask them: connected ones that have not failed lately, then others that
// have not failed, then the rest; within each our own first, then as configured.
func (p *pool) order() []*endpoint {
	now := time.Now()
	rank := map[*endpoint]int{}
	current := p.current()
	for _, e := range current {
		switch {
		case e.bad(now):
			rank[e] = 2
		case !e.ready():
			rank[e] = 1
		}
	}
	eps := slices.Clone(current)
	slices.SortStableFunc(eps, func(a, b *endpoint) int { return rank[a] - rank[b] })
	return eps
}

// bound gives the call its deadline and asks members without a leader to say so at once.
func (p *pool) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx = clientv3.WithRequireLeader(ctx)
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, p.limit)
}

// reply is an endpoint's answer to one attempt of a hedged call.
type reply[T any] struct {
	ep  *endpoint
	val T
	err error
}

// hedged makes a call that may be repeated: to the first endpoint, to the next one as well when it hesitates or fails,
// and so on, each again after a short pause until the deadline. The first answer counts, be it a refusal by the
// store itself. Without any: ErrUnavailable.
func hedged[T any](ctx context.Context, p *pool, what string, call func(context.Context, *endpoint) (T, error)) (T, error) {
	ctx, cancel := p.bound(ctx)
	defer cancel()
	eps := p.order()
	replies := make(chan reply[T])
	problems := map[*endpoint]error{}
	hedge := time.NewTimer(0)
	defer hedge.Stop()
	began, asked := time.Now(), 0
	var zero T
	for {
		select {
		case r := <-replies:
			if r.err == nil || definite(r.err) {
				r.ep.good()
				blameSilent(eps[:asked], r.ep, began)
				return r.val, r.err
			}
			problems[r.ep] = fmt.Errorf("%s: %w", r.ep.name, r.err)
			hedge.Reset(0)
		case <-hedge.C:
			if asked < len(eps) {
				go attempts(ctx, eps[asked], p.limit, call, replies)
				asked++
				hedge.Reset(hesitation(ctx, len(eps)))
			}
		case <-ctx.Done():
			if time.Since(began) >= hedgeLongest { // a caller in a hurry proves nothing
				blameSilent(eps[:asked], nil, began)
			}
			return zero, unavailable(what, slices.Collect(maps.Values(problems)), ctx.Err())
		}
	}
}

// attempts calls one endpoint until it answers or the call is over. limit bounds each attempt, so that a patient caller
// does not hang on a connection that is dead.
func attempts[T any](ctx context.Context, ep *endpoint, limit time.Duration, call func(context.Context, *endpoint) (T, error), replies chan<- reply[T]) {
	for {
		began := time.Now()
		try, cancel := context.WithTimeout(ctx, limit)
		v, err := call(try, ep)
		cancel()
		if ctx.Err() != nil && err != nil { // over: another one answered, or the deadline
			return
		}
		if err != nil && !definite(err) {
			ep.failed(silence(err, began))
		}
		select {
		case replies <- reply[T]{ep, v, err}:
		case <-ctx.Done():
			return
		}
		if err == nil || definite(err) || !pause(ctx, retryPause) {
			return
		}
	}
}

// silence is since when the endpoint has been silent, if that is what err means; else zero.
func silence(err error, began time.Time) time.Time {
	if isTimeout(err) {
		return began
	}
	return time.Time{}
}

// pause waits; false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// blameSilent marks the endpoints that were asked before the one that answered; the call began then.
func blameSilent(asked []*endpoint, answered *endpoint, began time.Time) {
	for _, e := range asked {
		if e == answered {
			return
		}
		e.failed(began)
	}
}

func hesitation(ctx context.Context, endpoints int) time.Duration {
	d, _ := ctx.Deadline()
	return min(time.Until(d)/time.Duration(endpoints+1), hedgeLongest)
}

// pick returns a connected endpoint that was not tried yet, waiting for one if need be; nil when ctx ended first or none
// is left. What is sent through it may still fail, but nothing has been sent before.
func (p *pool) pick(ctx context.Context, tried map[*endpoint]bool) *endpoint {
	var left []*endpoint
	for _, e := range p.order() {
		if tried[e] {
			continue
		}
		if e.ready() {
			return e
		}
		left = append(left, e)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	up := make(chan *endpoint, len(left))
	for _, e := range left {
		go func() {
			if e.awaitReady(ctx) {
				up <- e
			}
		}()
	}
	if len(left) == 0 {
		return nil
	}
	select {
	case e := <-up:
		return e
	case <-ctx.Done():
		return nil
	}
}

func (p *pool) close() error {
	var errs []error
	for _, e := range p.current() {
		if err := e.client.Close(); err != nil && !errors.Is(err, context.Canceled) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// byName returns a voter's endpoint, or nil.
func (p *pool) byName(n ha.NodeName) *endpoint {
	for _, e := range p.current() {
		if e.name == n {
			return e
		}
	}
	return nil
}
