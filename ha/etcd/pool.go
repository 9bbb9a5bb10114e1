package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"bascule/ha"
)

// hedgeLongest is the longest hesitation of an endpoint before a repeatable call is also sent to the next.
const hedgeLongest = 400 * time.Millisecond

// pool is the voters' endpoints, our own first.
type pool struct {
	eps   []*endpoint
	limit time.Duration // of a call without a deadline
}

// order returns the endpoints in the order to ask them: connected ones that have not failed lately, then others that
// have not failed, then the rest; within each our own first, then as configured.
func (p *pool) order() []*endpoint {
	now := time.Now()
	rank := map[*endpoint]int{}
	for _, e := range p.eps {
		switch {
		case e.bad(now):
			rank[e] = 2
		case !e.ready():
			rank[e] = 1
		}
	}
	eps := slices.Clone(p.eps)
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

// reply is an endpoint's answer to a hedged call.
type reply[T any] struct {
	ep  *endpoint
	val T
	err error
}

// hedged makes a call that may be repeated: to the first endpoint, to the next one as well when it hesitates or fails,
// and so on. The first answer counts, be it a refusal by the store itself. Without any: ErrUnavailable.
func hedged[T any](ctx context.Context, p *pool, what string, call func(context.Context, *endpoint) (T, error)) (T, error) {
	ctx, cancel := p.bound(ctx)
	defer cancel()
	eps := p.order()
	replies := make(chan reply[T], len(eps))
	asked := 0
	ask := func() {
		ep := eps[asked]
		asked++
		go func() {
			v, err := call(ctx, ep)
			replies <- reply[T]{ep, v, err}
		}()
	}
	ask()
	hedge := time.NewTimer(hesitation(ctx, len(eps)))
	defer hedge.Stop()
	var zero T
	var problems []error
	for len(problems) < len(eps) {
		select {
		case r := <-replies:
			if r.err == nil || definite(r.err) {
				r.ep.good()
				blameSilent(eps[:asked], r.ep)
				return r.val, r.err
			}
			problems = append(problems, fmt.Errorf("%s: %w", r.ep.name, r.err))
			if ctx.Err() != nil {
				blameSilent(eps[:asked], nil)
				return zero, unavailable(what, problems, ctx.Err())
			}
			r.ep.failed(isTimeout(r.err))
			if asked < len(eps) {
				ask()
				hedge.Reset(hesitation(ctx, len(eps)))
			}
		case <-hedge.C:
			if asked < len(eps) {
				ask()
				hedge.Reset(hesitation(ctx, len(eps)))
			}
		case <-ctx.Done():
			blameSilent(eps[:asked], nil)
			return zero, unavailable(what, problems, ctx.Err())
		}
	}
	return zero, unavailable(what, problems, nil)
}

// blameSilent marks the endpoints that were asked before the one that answered.
func blameSilent(asked []*endpoint, answered *endpoint) {
	for _, e := range asked {
		if e == answered {
			return
		}
		e.failed(true)
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
	for _, e := range p.eps {
		if err := e.client.Close(); err != nil && !errors.Is(err, context.Canceled) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// byName returns a voter's endpoint, or nil.
func (p *pool) byName(n ha.NodeName) *endpoint {
	for _, e := range p.eps {
		if e.name == n {
			return e
		}
	}
	return nil
}
