package sim

import (
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

const guardEvery = time.Second

// permitSync makes permits go to the guard one at a time, so that an older list of guests never overtakes a newer one.
type permitSync struct {
	busy  bool
	again bool
	queue []permitCall
	last  ha.Instant
}

type permitCall struct {
	extra []ha.GuestRef
	done  func(error)
}

func (d *Daemon) syncSoon() {
	if d.cfg.Witness || d.sync.again {
		return
	}
	d.sync.again = true
	d.p.Post(func() {
		d.sync.again = false
		d.syncGuard(nil, nil)
	})
}

// syncGuard sends the guard the permit and the guests that it covers. done may be nil.
func (d *Daemon) syncGuard(extra []ha.GuestRef, done func(error)) {
	if d.cfg.Witness {
		return
	}
	d.sync.queue = append(d.sync.queue, permitCall{extra, done})
	d.syncNext()
}

func (d *Daemon) syncNext() {
	s := &d.sync
	if s.busy || len(s.queue) == 0 {
		return
	}
	call := s.queue[0]
	s.queue = s.queue[1:]
	finish := func(err error) {
		s.busy = false
		if call.done != nil {
			call.done(err)
		}
		d.syncNext()
	}
	s.busy = true
	l := d.state.Lease
	if d.leaving || !l.Valid(d.now()) {
		d.p.Post(func() { finish(nil) })
		return
	}
	list := d.cfg.PermitGuests(d.snapshot(), d.inv, d.looked && d.state.Synced, d.guard.Guests,
		node.Said{Report: d.rep.stored, Rev: d.rep.revs[ha.KeyReport(d.self)]}, call.extra...)
	p := node.GuardPermit{Deadline: l.Deadline, Guests: list, Incarnation: d.cfg.Incarnation, Sent: d.stamp()}
	d.h.Guard().Permit(d.p, p, func(_ ha.GuardStatus, err error) { finish(err) })
}

// stamp is the time of sending, strictly growing.
func (d *Daemon) stamp() ha.Instant {
	d.sync.last = max(d.now(), d.sync.last+1)
	return d.sync.last
}

func (d *Daemon) endPermit() {
	if !d.cfg.Witness {
		d.h.Guard().Send(d.p, node.GuardEnd{Sent: d.stamp()}, func(ha.GuardStatus, error) {})
	}
}

// guardLoop asks the guard how it is and arms it.
func (d *Daemon) guardLoop() {
	d.syncGuard(nil, func(err error) { d.askGuard(err) })
	d.p.After(guardEvery, d.guardLoop)
}

func (d *Daemon) askGuard(error) {
	d.h.Guard().Status(d.p, func(st ha.GuardStatus, err error) {
		if err != nil {
			st = ha.GuardStatus{Guests: d.guard.Guests}
		}
		old := d.guard
		d.guard = st
		if st.Driver != old.Driver || st.Armed != old.Armed || st.Connected != old.Connected || st.Phase != old.Phase ||
			st.SlotsSeen != old.SlotsSeen {
			d.rep.wake()
		}
		d.event(node.GuardSeen{Connected: st.Connected, Clean: st.Clean, Deadline: st.Deadline})
		if st.Connected {
			d.aboutSlots(st)
		}
		if st.Connected && st.Driver != "" && !st.Armed && !d.leaving && d.state.Lease.Valid(d.now()) {
			d.h.Guard().Arm(d.p, func(ha.GuardStatus, error) {})
		}
	})
}

// aboutSlots keeps the store's word about this node's slots and the guard's in step (ha/agent/slots.go).
func (d *Daemon) aboutSlots(st ha.GuardStatus) {
	d.obeys = d.obeys && st.SlotsSeen
	switch word := d.cfg.AboutSlots(st, d.obeys, d.rep.stored); {
	case word == node.SlotsObey && !d.leaving:
		d.h.Guard().Send(d.p, node.GuardObey{Obey: true, Sent: d.stamp()}, func(_ ha.GuardStatus, err error) {
			if err == nil {
				d.obeys = true
				d.rep.wake()
			}
		})
	case word == node.SlotsRelease:
		d.rep.take(func() {
			if !d.cfg.MayRelease(d.rep.stored) {
				d.rep.give()
				return
			}
			d.h.Guard().Send(d.p, node.GuardObey{Sent: d.stamp()}, func(ha.GuardStatus, error) { d.rep.give() })
		})
	}
}
