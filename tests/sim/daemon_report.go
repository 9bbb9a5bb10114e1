package sim

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

// reporter writes this node's reports as ha/agent/report.go does: the newest of each, only when changed, again after a failure.
type reporter struct {
	d       *Daemon
	busy    bool // somebody has the turn to write
	again   bool
	queue   []func()
	waiting []ha.GuestReport // by VMID
	last    []byte
	stored  ha.NodeReport
	revs    map[string]int64
}

func (r *reporter) init(d *Daemon) { r.d, r.revs = d, map[string]int64{} }

func (r *reporter) guest(g ha.GuestReport) {
	i, found := slices.BinarySearchFunc(r.waiting, g.Guest, func(o ha.GuestReport, id ha.VMID) int { return int(o.Guest) - int(id) })
	if found {
		r.waiting[i] = g
	} else {
		r.waiting = slices.Insert(r.waiting, i, g)
	}
	r.wake()
}

func (r *reporter) forget() { r.waiting, r.last, r.stored = nil, nil, ha.NodeReport{} }

func (r *reporter) written(rep ha.NodeReport) { r.last, r.stored = ha.Encode(rep), rep }

// build is the node report as things stand.
func (r *reporter) build(lease ha.LeaseID) ha.NodeReport {
	d := r.d
	x := node.Circumstances{Lease: lease, Version: d.w.version(d.h), SystemUUID: d.h.spec.UUID, Leaving: d.leaving,
		Trusted: d.guard.Driver != "" && d.guard.Driver != "softdog", Epoch: d.state.Epoch, Guard: d.guard, Obeys: d.obeys, Inventory: d.inv, Sights: d.sights, Corosync: d.coro, EtcdDown: d.etcdDown}
	x.Clients = d.w.clients(d.h)
	x.Epoch.Since = 0
	if e := d.state.Epoch; e.WentBack || e.Known > 1 {
		x.Highest = d.state.Highest()
	}
	return d.cfg.Report(x)
}

// guards demand that nothing else was written to this node's own keys since it wrote them last. Unknown revisions are read first.
func (r *reporter) guards(timeout time.Duration, keys []string, done func([]ha.Guard, error)) {
	var out []ha.Guard
	var next func(i int)
	next = func(i int) {
		if i == len(keys) {
			done(out, nil)
			return
		}
		if rev, known := r.revs[keys[i]]; known {
			out = append(out, ha.Guard{Key: keys[i], Rev: rev})
			next(i + 1)
			return
		}
		r.d.store.Get(keys[i], timeout, func(kv *ha.KV, _ int64, err error) {
			if err != nil {
				done(nil, err)
				return
			}
			g := ha.Guard{Key: keys[i]}
			if kv != nil {
				g.Rev = kv.ModRev
			}
			out = append(out, g)
			next(i + 1)
		})
	}
	next(0)
}

// settled notes what became of a transaction on this node's own keys.
func (r *reporter) settled(t ha.Txn, rev int64, err error) {
	for _, p := range t.Puts {
		if err == nil && p.Lease == 0 {
			r.revs[p.Key] = rev
		} else {
			delete(r.revs, p.Key)
			if p.Key == ha.KeyReport(r.d.self) { // it may have been written all the same
				r.last, r.stored = nil, ha.NodeReport{}
			}
		}
	}
}

// take calls then with the turn to write reports; it ends with give.
func (r *reporter) take(then func()) {
	if r.busy {
		r.queue = append(r.queue, then)
		return
	}
	r.busy = true
	then()
}

func (r *reporter) give() {
	r.busy = false
	switch {
	case len(r.queue) > 0:
		next := r.queue[0]
		r.queue, r.busy = r.queue[1:], true
		r.d.p.Post(next)
	case r.again:
		r.wake()
	}
}

// wake writes what is new, soon.
func (r *reporter) wake() {
	if r.d == nil {
		return
	}
	if r.busy {
		r.again = true
		return
	}
	r.busy, r.again = true, false
	r.d.p.Post(r.flush)
}

// flush writes one transaction with all that is new. Without a lease there is nothing to say.
func (r *reporter) flush() {
	d := r.d
	r.again = false
	l := d.state.Lease
	if l.ID == 0 || !l.Valid(d.now()) {
		r.give()
		return
	}
	rep := r.build(l.ID)
	batch := slices.Clone(r.waiting)
	var t ha.Txn
	if !bytes.Equal(r.last, ha.Encode(rep)) {
		t.Puts = append(t.Puts, ha.Put{Key: ha.KeyReport(rep.Node), Value: ha.Encode(rep)})
	}
	var keys []string
	for _, g := range batch {
		t.Puts = append(t.Puts, ha.Put{Key: ha.KeyGuestReport(rep.Node, g.Guest), Value: ha.Encode(g)})
	}
	if len(t.Puts) == 0 {
		r.give()
		return
	}
	for _, p := range t.Puts {
		keys = append(keys, p.Key)
	}
	r.guards(d.cfg.Timing.RenewTimeout, keys, func(guards []ha.Guard, err error) {
		if err != nil {
			r.retry()
			return
		}
		t.Guards = guards
		d.store.Commit(t, d.cfg.Timing.RenewTimeout, func(rev int64, err error) {
			r.settled(t, rev, err)
			if err != nil {
				r.retry()
				return
			}
			r.written(rep)
			r.waiting = slices.DeleteFunc(r.waiting, func(g ha.GuestReport) bool { return slices.Contains(batch, g) })
			r.again = r.again || len(r.waiting) > 0
			r.give()
		})
	})
}

func (r *reporter) retry() {
	r.again = false
	r.give()
	r.d.p.After(r.d.cfg.Timing.RenewEvery/4, r.wake)
}

func decodeJSON(b []byte, into any) error { return json.Unmarshal(b, into) }
