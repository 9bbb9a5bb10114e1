package agent

import (
	"context"
	"maps"
	"slices"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

// Snapshot is the agent's whole view, for the API.
type Snapshot struct {
	Store       ha.Snapshot
	StoreOK     bool
	StoreAge    time.Duration
	Health      ha.StoreHealth
	HealthSince time.Time
	Corosync    ha.CorosyncView
	Guard       ha.GuardStatus
	Lease       node.Lease
	Permit      time.Duration // left of the permit; 0: none
	Problems    []string
	Leaving     bool
}

// Snapshot returns what the agent knows. It never blocks on anything outside.
func (a *Agent) Snapshot() Snapshot {
	now := a.cfg.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	s := Snapshot{Store: a.view, StoreOK: a.viewOK, Health: a.health, HealthSince: a.healthAt, Corosync: a.corosync, Guard: a.guard, Lease: a.lease, Leaving: a.leaving}
	if a.viewOK {
		s.StoreAge = time.Since(a.viewAt)
	}
	if a.lease.Valid(now) {
		s.Permit = a.lease.Deadline.Sub(now)
	}
	for _, k := range slices.Sorted(maps.Keys(a.problems)) {
		s.Problems = append(s.Problems, a.problems[k])
	}
	return s
}

// Submit stores an operator's request.
func (a *Agent) Submit(ctx context.Context, q ha.Request) error {
	_, err := a.cfg.Store.Commit(ctx, ha.Txn{Guards: []ha.Guard{{Key: ha.KeyRequest(q.ID), Rev: 0}}, Puts: []ha.Put{{Key: ha.KeyRequest(q.ID), Value: ha.Encode(q)}}})
	return err
}
