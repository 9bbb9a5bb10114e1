package agent

import (
	"context"
	"fmt"
	"time"

	"bascule/ha/node"
)

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
		return nil // no permit: the guard has done its work
	}
	for {
		if a.reports.flush(ctx) {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the store did not take the message that %s leaves: its guard stays armed and ends the protected guests with the permit; start basculed again: %w", a.cfg.Node.Self, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
	if a.cfg.Guard != nil {
		if err := a.cfg.Guard.Disarm(ctx); err != nil {
			return fmt.Errorf("the guard did not disarm; it ends the protected guests with the permit: %w", err)
		}
	}
	if lease.Term != 0 {
		a.resign(ctx, lease.Term)
	}
	if err := a.cfg.Store.Revoke(ctx, lease.ID); err != nil {
		a.log.WithField("reason", err.Error()).Warn("the lease could not be given back; it runs out by itself")
	}
	return nil
}

// Leaving says whether an orderly stop has begun.
func (a *Agent) Leaving() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.leaving
}
