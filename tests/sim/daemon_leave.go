package sim

import (
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

const leavePause = 100 * time.Millisecond

// leave stops in order: say so in gossip, commit that this node leaves and is disarmed, only then disarm the guard, and give leadership
// and lease back (ha/agent/leave.go). When the commit fails nothing is disarmed.
func (d *Daemon) leave(done func()) {
	if d.rep.d == nil {
		done()
		return
	}
	d.leaving = true
	d.w.gossip.Leave(d.h.Name)
	lease := d.state.Lease
	d.event(node.Leave{})
	if lease.ID == 0 || !lease.Valid(d.now()) {
		done()
		return
	}
	d.p.After(90*time.Second, done) // systemd's patience
	d.sayLeaving(func(said bool) {
		if !said {
			done()
			return
		}
		give := func() {
			d.files.run.lease = 0
			d.store.Revoke(lease.ID, d.cfg.Timing.RenewTimeout, func(error) { done() })
		}
		if d.cfg.Witness {
			give()
			return
		}
		d.w.judge.disarms(d)
		d.syncAll(func() {
			d.h.Guard().Disarm(d.p, func(_ ha.GuardStatus, err error) {
				if err != nil {
					done()
					return
				}
				give()
			})
		})
	})
}

// sayLeaving writes the report that says leaving and disarmed, and keeps the turn to write.
func (d *Daemon) sayLeaving(done func(bool)) {
	if d.cfg.MayDisarm(d.rep.stored) {
		d.rep.take(func() { // nothing is written over it before the lease is gone
			if d.cfg.MayDisarm(d.rep.stored) {
				done(true)
				return
			}
			d.rep.give()
			d.p.After(leavePause, func() { d.sayLeaving(done) })
		})
		return
	}
	if !d.state.Lease.Valid(d.now()) {
		done(false)
		return
	}
	d.rep.wake()
	d.p.After(leavePause, func() { d.sayLeaving(done) })
}

// syncAll waits until no permit is on its way to the guard.
func (d *Daemon) syncAll(then func()) {
	if !d.sync.busy && len(d.sync.queue) == 0 {
		then()
		return
	}
	d.p.After(time.Millisecond, func() { d.syncAll(then) })
}
