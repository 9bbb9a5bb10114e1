package agent

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"bascule/ha"
)

// reporter writes this node's reports: the newest of each, only when changed, again after a failure.
type reporter struct {
	a     *Agent
	viewC chan struct{}
	wakeC chan struct{}

	mu     sync.Mutex
	guests map[ha.VMID]ha.GuestReport // waiting to be written
	last   []byte                     // node report as last written
}

func newReporter(a *Agent) *reporter {
	return &reporter{a: a, viewC: make(chan struct{}, 1), wakeC: make(chan struct{}, 1), guests: map[ha.VMID]ha.GuestReport{}}
}

func (r *reporter) wake() { poke(r.wakeC) }

// guest queues a guest report; a newer one about the same guest replaces it.
func (r *reporter) guest(g ha.GuestReport) {
	r.mu.Lock()
	r.guests[g.Guest] = g
	r.mu.Unlock()
	r.wake()
}

// forget drops what was said under a lease that ended.
func (r *reporter) forget() {
	r.mu.Lock()
	clear(r.guests)
	r.last = nil
	r.mu.Unlock()
}

func (r *reporter) written(rep ha.NodeReport) {
	r.mu.Lock()
	r.last = ha.Encode(rep)
	r.mu.Unlock()
}

// build is the node report as things stand.
func (r *reporter) build(lease ha.LeaseID) ha.NodeReport {
	a := r.a
	a.mu.Lock()
	defer a.mu.Unlock()
	rep := ha.NodeReport{Schema: ha.Schema, Node: a.cfg.Node.Self, Incarnation: a.cfg.Node.Incarnation, Lease: lease, Version: a.cfg.Version,
		SystemUUID: a.cfg.SystemUUID, Timing: a.cfg.Node.Timing, Leaving: a.leaving, Witness: a.cfg.Node.Witness,
		WatchdogDriver: a.guard.Driver, Memory: a.inventory.Memory, Quorate: a.corosync.Quorate,
		CorosyncOnline: a.corosync.Online, Storages: a.inventory.Storages, Guests: a.inventory.Guests}
	rep.Armed = a.guard.Connected && a.guard.Armed && !a.leaving && a.cfg.TrustDriver(a.guard.Driver)
	for _, k := range slices.Sorted(maps.Keys(a.problems)) {
		rep.Problems = append(rep.Problems, a.problems[k])
	}
	return rep
}

// loop writes what is waiting while the lease is held.
func (r *reporter) loop(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.wakeC:
		}
		for !r.flush(ctx) {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(r.a.cfg.Node.Timing.RenewEvery / 4):
			}
		}
	}
}

// flush writes one transaction with all that is new; it says whether nothing is left to do. Without a lease there
// is nothing to say: registering writes the node report, and the machine reports guests afresh.
func (r *reporter) flush(ctx context.Context) bool {
	lease := r.a.Lease()
	if lease.ID == 0 || !lease.Valid(r.a.cfg.Now()) {
		return true
	}
	r.a.reportMu.Lock()
	defer r.a.reportMu.Unlock()
	rep := r.build(lease.ID)
	r.mu.Lock()
	batch := maps.Clone(r.guests)
	nodeNew := !bytes.Equal(r.last, ha.Encode(rep))
	r.mu.Unlock()
	var t ha.Txn
	if nodeNew {
		t.Puts = append(t.Puts, ha.Put{Key: ha.KeyReport(rep.Node), Value: ha.Encode(rep)})
	}
	for _, id := range slices.Sorted(maps.Keys(batch)) {
		t.Puts = append(t.Puts, ha.Put{Key: ha.KeyGuestReport(rep.Node, id), Value: ha.Encode(batch[id])})
	}
	if len(t.Puts) == 0 {
		return true
	}
	c, cancel := context.WithTimeout(ctx, r.a.cfg.Node.Timing.RenewTimeout)
	defer cancel()
	if _, err := r.a.cfg.Store.Commit(c, t); err != nil {
		r.a.log.WithField("reason", err.Error()).Warn("cannot write this node's report; trying again")
		return false
	}
	r.written(rep)
	r.mu.Lock()
	for id, g := range batch {
		if r.guests[id] == g {
			delete(r.guests, id)
		}
	}
	r.mu.Unlock()
	return true
}
