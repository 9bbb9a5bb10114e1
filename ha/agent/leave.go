package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bascule/ha/node"
)

// leavePause is between two tries to say that this node leaves.
const leavePause = 100 * time.Millisecond

// Leave stops in order: it says so in gossip, commits that this node is leaving and disarmed, only then disarms the guard, and gives
// leadership and lease back. Guests run on, unprotected. When the commit fails nothing is disarmed (R3): the guard ends the
// guests with the permit, and the error says so.
func (a *Agent) Leave(ctx context.Context) error {
	a.mu.Lock()
	a.leaving = true
	a.mu.Unlock()
	a.cfg.Gossip.UpdateMeta()
	a.send(ctx, node.Leave{})
	lease := a.Lease()
	defer func() { _ = a.cfg.Gossip.Leave(ctx) }()
	if lease.ID == 0 || !lease.Valid(a.cfg.Now()) {
		a.log.WithField("reason", "it had no permit when it was asked to stop").Warn("stopped without a permit: the guard has ended the protected guests here, or is about to; start basculed again to run them")
		return nil
	}
	if err := a.sayLeaving(ctx); err != nil {
		return fmt.Errorf("the store did not take the message that %s leaves: its guard stays armed and ends the protected guests with the permit; start basculed again: %w", a.cfg.Node.Self, err)
	}
	defer a.report.give() // nothing may write over what was said before the lease is gone
	if a.cfg.Guard != nil {
		if err := a.permit.take(ctx); err != nil { // a permit on its way comes first, and none follows
			return fmt.Errorf("a permit was still on its way to the guard: it ends the protected guests with the permit: %w", err)
		}
		defer a.permit.give()
		if err := a.cfg.Guard.Disarm(ctx); err != nil {
			return fmt.Errorf("the guard did not disarm; it ends the protected guests with the permit: %w", err)
		}
	}
	if lease.Term != 0 {
		a.resign(ctx, lease.Term)
	}
	a.keepLease(0) // the next process must not adopt a lease that is given back
	if err := a.cfg.Store.Revoke(ctx, lease.ID); err != nil {
		a.log.WithField("reason", err.Error()).Warn("the lease could not be given back; it runs out by itself")
	}
	a.log.WithField("reason", "asked to stop").Info("left in order; protected guests run on, unprotected, until basculed starts again")
	return nil
}

// errPermitEnded: with the permit the right to write the report is gone, too.
var errPermitEnded = errors.New("this node's permit ended first")

// sayLeaving writes the report that says leaving and disarmed. Only nil means that the store has it, and that the turn to write reports
// is ours: a flush that has nothing to do because the lease ended meanwhile has written nothing.
func (a *Agent) sayLeaving(ctx context.Context) error {
	for {
		a.reports.flush(ctx)
		if err := a.report.take(ctx); err != nil {
			return err
		}
		if a.reports.saidLeaving() {
			return nil
		}
		a.report.give()
		if !a.Lease().Valid(a.cfg.Now()) {
			return errPermitEnded
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(leavePause):
		}
	}
}

// Leaving says whether an orderly stop has begun.
func (a *Agent) Leaving() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.leaving
}
