package agent

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

// reporter writes this node's reports: the newest of each, only when changed, again after a failure.
type reporter struct {
	a     *Agent
	viewC chan struct{}
	wakeC chan struct{}

	mu     sync.Mutex
	guests map[ha.VMID]ha.GuestReport // waiting to be written
	last   []byte                     // node report as last written; nil: not known what the store holds
	stored ha.NodeReport              // that one, decoded
	revs   map[string]int64           // last known revisions of this node's own keys
}

func newReporter(a *Agent) *reporter {
	return &reporter{a: a, viewC: make(chan struct{}, 1), wakeC: make(chan struct{}, 1), guests: map[ha.VMID]ha.GuestReport{}, revs: map[string]int64{}}
}

// guards demand that nothing else was written to this node's own keys since it wrote them last: a write whose answer was lost may
// still land later, and must not undo a newer one (a report "armed" after "leaving"). Unknown revisions are read first.
func (r *reporter) guards(ctx context.Context, keys ...string) ([]ha.Guard, error) {
	var out []ha.Guard
	for _, k := range keys {
		r.mu.Lock()
		rev, known := r.revs[k]
		r.mu.Unlock()
		if !known {
			kv, _, err := r.a.cfg.Store.Get(ctx, k)
			if err != nil {
				return nil, err
			}
			if kv != nil {
				rev = kv.ModRev
			}
		}
		out = append(out, ha.Guard{Key: k, Rev: rev})
	}
	return out, nil
}

// settled notes what became of a transaction on this node's own keys. After anything but success they are read again.
func (r *reporter) settled(t ha.Txn, rev int64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range t.Puts {
		if err == nil && p.Lease == 0 { // a key bound to a lease can end by itself
			r.revs[p.Key] = rev
		} else {
			delete(r.revs, p.Key)
			if p.Key == ha.KeyReport(r.a.cfg.Node.Self) { // it may have been written all the same
				r.last, r.stored = nil, ha.NodeReport{}
			}
		}
	}
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
	r.last, r.stored = nil, ha.NodeReport{}
	r.mu.Unlock()
}

func (r *reporter) written(rep ha.NodeReport) {
	r.mu.Lock()
	r.last, r.stored = ha.Encode(rep), rep
	r.mu.Unlock()
}

// saidLeaving says whether the store holds a report of this node that says leaving, and so not armed.
func (r *reporter) saidLeaving() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.a.cfg.Node.MayDisarm(r.stored)
}

// said is this node's report as the store holds it.
func (r *reporter) said() node.Said {
	r.mu.Lock()
	defer r.mu.Unlock()
	return node.Said{Report: r.stored, Rev: r.revs[ha.KeyReport(r.a.cfg.Node.Self)]}
}

// build is the node report as things stand.
func (r *reporter) build(lease ha.LeaseID) ha.NodeReport {
	a := r.a
	a.mu.Lock()
	defer a.mu.Unlock()
	x := node.Circumstances{Lease: lease, Version: a.cfg.Version, SystemUUID: a.cfg.SystemUUID, Leaving: a.leaving,
		Trusted: a.cfg.TrustDriver(a.guard.Driver), Epoch: a.standing.epoch, Highest: a.standing.highest,
		Guard: a.guard, Obeys: a.obeys, Inventory: a.inventory, Sights: a.sights, Corosync: a.corosync, EtcdDown: a.health.OwnDown}
	if a.cfg.Clients != nil {
		x.Clients = a.cfg.Clients()
	}
	for _, k := range slices.Sorted(maps.Keys(a.problems)) {
		x.Problems = append(x.Problems, a.problems[k])
	}
	return a.cfg.Node.Report(x)
}

// commit writes this node's own keys, each guarded by its last known revision.
func (r *reporter) commit(ctx context.Context, t *ha.Txn) error {
	var keys []string
	for _, p := range t.Puts {
		keys = append(keys, p.Key)
	}
	guards, err := r.guards(ctx, keys...)
	if err != nil {
		return err
	}
	t.Guards = append(t.Guards, guards...)
	rev, err := r.a.cfg.Store.Commit(ctx, *t)
	r.settled(*t, rev, err)
	return err
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

// guestsPerReport keeps the transaction, with a guard for each key, under the store's limit of operations (ha.MaxTxnOps).
const guestsPerReport = 100

// flush writes one transaction with what is new; it says whether nothing is left to do. The node's report comes with the last of the
// guests': when it says that an epoch is taken note of, all that it rests on is there. Without a lease there is nothing to say:
// registering writes the node report, and the machine reports guests afresh.
func (r *reporter) flush(ctx context.Context) bool {
	lease := r.a.Lease()
	if lease.ID == 0 || !lease.Valid(r.a.cfg.Now()) {
		return true
	}
	if r.a.report.take(ctx) != nil {
		return false
	}
	defer r.a.report.give()
	rep := r.build(lease.ID)
	r.mu.Lock()
	batch := maps.Clone(r.guests)
	nodeNew := !bytes.Equal(r.last, ha.Encode(rep))
	r.mu.Unlock()
	var t ha.Txn
	ids := slices.Sorted(maps.Keys(batch))
	if len(ids) > guestsPerReport {
		ids, nodeNew = ids[:guestsPerReport], false
		defer r.wake() // the rest comes next
	}
	if nodeNew {
		t.Puts = append(t.Puts, ha.Put{Key: ha.KeyReport(rep.Node), Value: ha.Encode(rep)})
	}
	for _, id := range ids {
		t.Puts = append(t.Puts, ha.Put{Key: ha.KeyGuestReport(rep.Node, id), Value: ha.Encode(batch[id])})
	}
	if len(t.Puts) == 0 {
		return true
	}
	c, cancel := context.WithTimeout(ctx, r.a.cfg.Node.Timing.RenewTimeout)
	defer cancel()
	if err := r.commit(c, &t); err != nil {
		r.a.log.WithField("reason", err.Error()).Warn("cannot write this node's report; trying again")
		return false
	}
	if nodeNew {
		r.written(rep)
	}
	r.mu.Lock()
	for _, id := range ids {
		if r.guests[id] == batch[id] {
			delete(r.guests, id)
		}
	}
	r.mu.Unlock()
	return true
}
