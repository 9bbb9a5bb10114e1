package sim

import (
	"errors"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

// grant, register, renew, campaign and resign each carry out one effect and answer with one event, as ha/agent/lease.go does.

func (d *Daemon) grant() {
	sent := d.now()
	d.store.Grant(d.cfg.Timing.LeaseTTL, d.cfg.Timing.RenewTimeout, func(id ha.LeaseID, err error) {
		d.event(node.Granted{Sent: sent, ID: id, OK: err == nil})
	})
}

// register writes the lease key and the report in one transaction. One that continues an unbroken permit also rests on this node's own
// record: nobody may have proven this boot dead meanwhile.
func (d *Daemon) register(id ha.LeaseID) {
	end := d.now().Add(d.cfg.Timing.RenewTimeout)
	left := func() time.Duration { return max(time.Millisecond, end.Sub(d.now())) }
	failed := func() { d.event(node.Registered{ID: id}) }
	read[ha.NodeRecord](d, ha.KeyNode(d.self), left(), func(own ha.NodeRecord, ownRev int64, err error) {
		if err != nil {
			failed()
			return
		}
		unbroken := d.state.Lease.Unbroken
		if d.cfg.Barred(own, unbroken) {
			d.event(node.Registered{ID: id, Dead: true})
			return
		}
		d.rep.take(func() { d.registerNow(id, ownRev, unbroken, left) })
	})
}

// registerNow has the turn to write reports: an older one must not land on a newer one.
func (d *Daemon) registerNow(id ha.LeaseID, ownRev int64, unbroken bool, left func() time.Duration) {
	finish := func(ok bool, rev int64) {
		d.rep.give()
		d.event(node.Registered{ID: id, OK: ok, Rev: rev})
	}
	rep := d.rep.build(id)
	d.rep.guards(left(), []string{ha.KeyLease(d.self), ha.KeyReport(d.self)}, func(guards []ha.Guard, err error) {
		if err != nil {
			finish(false, 0)
			return
		}
		if unbroken {
			guards = append(guards, ha.Guard{Key: ha.KeyNode(d.self), Rev: ownRev})
		}
		t := ha.Txn{Guards: guards, Puts: []ha.Put{
			{Key: ha.KeyLease(d.self), Value: ha.Encode(ha.LeaseRecord{Node: d.self, Incarnation: d.cfg.Incarnation, Lease: id}), Lease: id},
			{Key: ha.KeyReport(d.self), Value: ha.Encode(rep)},
		}}
		d.store.Commit(t, left(), func(rev int64, err error) {
			d.rep.settled(t, rev, err)
			if err == nil {
				d.rep.written(rep)
			}
			finish(err == nil, rev)
		})
	})
}

func (d *Daemon) renew(id ha.LeaseID) {
	sent := d.now()
	d.store.Renew(id, d.cfg.Timing.RenewTimeout, func(_ time.Duration, err error) {
		d.event(node.Renewed{ID: id, Sent: sent, OK: err == nil, Gone: errors.Is(err, ha.ErrLeaseGone)})
	})
}

func (d *Daemon) campaign(id ha.LeaseID) {
	d.store.Campaign(ha.LeaderRecord{Node: d.self, Incarnation: d.cfg.Incarnation, Lease: id}, d.cfg.Timing.RenewTimeout, func(t ha.Term, err error) {
		if err != nil {
			t = 0
		}
		d.event(node.Campaigned{Term: t})
	})
}

func (d *Daemon) resign(t ha.Term) {
	d.store.Resign(t, d.cfg.Timing.RenewTimeout, func(error) {})
}

// read is a linearizable read of a record and its revision; one that is not there leaves it zero, which allows nothing.
func read[T any](d *Daemon, key string, timeout time.Duration, done func(rec T, rev int64, err error)) {
	readAt(d, key, timeout, func(rec T, rev, _ int64, err error) { done(rec, rev, err) })
}

// readAt is read, and tells at which revision the store was.
func readAt[T any](d *Daemon, key string, timeout time.Duration, done func(rec T, rev, at int64, err error)) {
	d.store.Get(key, timeout, func(kv *ha.KV, at int64, err error) {
		var rec T
		var rev int64
		if err == nil && kv != nil {
			rev = kv.ModRev
			_ = decodeJSON(kv.Value, &rec) // unreadable is zero
		}
		done(rec, rev, at, err)
	})
}
