package memstore

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"bascule/ha"
)

type lease struct {
	ttl  time.Duration
	ends time.Time
}

// cluster is the store itself, shared by all handles.
type cluster struct {
	now func() time.Time

	mu        sync.Mutex
	rev       int64
	kvs       map[string]ha.KV
	leases    map[ha.LeaseID]*lease
	lastLease ha.LeaseID
	underWay  []ha.Txn // lost, but not for good
	handles   []*Memory
}

// leave brings the views up to date, unlocks, and wakes their owners.
func (c *cluster) leave() {
	var wake []func()
	for _, h := range c.handles {
		if h.refresh() {
			wake = append(wake, h.view.changed)
		}
	}
	c.mu.Unlock()
	for _, f := range wake {
		f()
	}
}

// commit carries out a transaction whole or not at all.
func (c *cluster) commit(tx ha.Txn) (int64, error) {
	conflict := func() (int64, error) { return 0, fmt.Errorf("store commit: %w", ha.ErrConflict) }
	if tx.Term != 0 && c.kvs[ha.KeyLeader].CreateRev != int64(tx.Term) {
		return conflict()
	}
	for _, g := range tx.Guards {
		if c.kvs[g.Key].ModRev != g.Rev {
			return conflict()
		}
	}
	for _, p := range tx.Puts {
		if p.Lease != 0 && c.leases[p.Lease] == nil {
			return 0, fmt.Errorf("store commit: %w", ha.ErrLeaseGone)
		}
	}
	next, changed := c.rev+1, len(tx.Puts) > 0
	for _, p := range tx.Puts {
		kv := ha.KV{Key: p.Key, Value: bytes.Clone(p.Value), CreateRev: next, ModRev: next, Lease: p.Lease}
		if old, ok := c.kvs[p.Key]; ok {
			kv.CreateRev = old.CreateRev
		}
		c.kvs[p.Key] = kv
	}
	for _, k := range tx.Dels {
		if _, ok := c.kvs[k]; ok {
			delete(c.kvs, k)
			changed = true
		}
	}
	if changed {
		c.rev = next
	}
	return c.rev, nil
}

// expire ends the leases whose time is over, in the order of their ids.
func (c *cluster) expire() {
	now := c.now()
	for _, id := range slices.Sorted(maps.Keys(c.leases)) {
		if !now.Before(c.leases[id].ends) {
			c.end(id)
		}
	}
}

// end removes a lease and its keys, in one revision.
func (c *cluster) end(id ha.LeaseID) {
	if c.leases[id] == nil {
		return
	}
	delete(c.leases, id)
	next := c.rev + 1
	for k, kv := range c.kvs {
		if kv.Lease == id {
			delete(c.kvs, k)
			c.rev = next
		}
	}
}

func sorted(kvs map[string]ha.KV) []ha.KV {
	out := make([]ha.KV, 0, len(kvs))
	for _, k := range slices.Sorted(maps.Keys(kvs)) {
		out = append(out, clone(kvs[k]))
	}
	return out
}

func clone(kv ha.KV) ha.KV {
	kv.Value = bytes.Clone(kv.Value)
	return kv
}
