package sim

import (
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

// patrol looks at what no single event shows.
func (a *audit) patrol() {
	now := a.w.loop.Now()
	a.seeStorages()
	for _, h := range a.w.machine.Hosts() {
		if !h.On() {
			delete(a.onSince, h.Name)
		} else if _, known := a.onSince[h.Name]; !known {
			a.onSince[h.Name] = now
		}
		if h.Booted() {
			a.uuids[h.Inc()] = h.spec.UUID
		}
	}
	for _, d := range a.w.daemons {
		if d != nil {
			for n, p := range d.state.Promises {
				a.given[[2]ha.NodeName{d.self, n}] = now + p.Sub(d.clockNow())
			}
		}
	}
	for _, d := range a.w.daemons {
		if d != nil && d.p.Alive() && d.rep.d != nil && !d.cfg.Witness && !d.leaving {
			a.elected(d)
			a.unbroken(d)
			a.peers(d)
			a.sent(d)
			a.stillClean(d.h)
		}
	}
	a.begun()
	a.previews()
	a.lists()
	a.boots()
	a.seeLimits()
	a.fences()
	a.revocations()
	a.shutOut()
	a.frozen()
}

// clockNow is the time of the daemon's boot, also when the daemon itself is gone.
func (d *Daemon) clockNow() ha.Instant { return d.p.clock.Now() }

// peers is part 5: while a node runs on a permit of the others, every one of them has promised, or is off, or has just started.
func (a *audit) peers(d *Daemon) {
	l := d.state.Lease
	if d.now() >= l.Deadline || d.now() < l.Leased {
		return
	}
	t, now := a.w.spec.Timing, a.w.loop.Now()
	sent := now - d.now().Sub(l.Deadline.Add(t.DriftMargin-t.LeaseTTL)) // of the round that gave it
	if now-d.started < t.LeaseTTL {                                     // it may be what the daemon before this one had
		return
	}
	for i, h := range a.w.machine.Hosts() {
		o := a.w.daemons[i]
		if h == d.h || !h.On() || a.onSince[h.Name] >= sent-auditEvery {
			continue
		}
		promised := a.given[[2]ha.NodeName{ha.NodeName(h.Name), d.self}] > now
		if o != nil && o.p.Alive() && o.rep.d != nil {
			quiet := now-o.started < t.LeaseTTL+t.DriftMargin
			promised = quiet || o.leaving || o.state.Promises[d.self] > o.now()
		}
		if !promised {
			a.j.violate("part5", "%s runs on a permit of the peers, and %s is on and has not promised", d.h.Name, h.Name)
			return
		}
	}
}

// onbootFor is how long a protected guest may be found with onboot: its agent looks every two seconds.
const onbootFor = time.Minute

// boots is R2: nothing but an agent with a permit starts a protected guest, so that onboot is off.
func (a *audit) boots() {
	now := a.w.loop.Now()
	for _, g := range a.w.spec.Guests {
		f, rec := a.w.machine.tree.files[g.ID], a.w.store.Truth().Guests[g.ID].Rec
		at := ""
		if f != nil {
			at = f.node
		}
		d := a.ownerOf(at)
		if f == nil || !f.onboot || !f.protected || f.managed != "" || rec.State != ha.GuestStarted || string(rec.Node) != at || d == nil || !d.p.Runs() || !d.state.Lease.Acts(d.now()) ||
			now-d.started < onbootFor || d.h.cfsBlocked() || !d.h.quorate() || a.restored() {
			delete(a.onboot, g.ID)
			continue
		}
		if _, known := a.onboot[g.ID]; !known {
			a.onboot[g.ID] = now
		}
		if now-a.onboot[g.ID] > onbootFor {
			a.w.loop.Logf(at, "guest %d here: %+v; onboot %v", g.ID, d.state.Guests[g.ID], d.state.Onboot)
			a.j.violate("R2", "guest %d is protected and starts at boot", g.ID)
			return
		}
	}
}

// ownerOf is the daemon on a host that could act for its guests all the time.
func (a *audit) ownerOf(host string) *Daemon {
	for _, d := range a.w.daemons {
		if d != nil && d.h.Name == host && d.p.Runs() && d.rep.d != nil && d.now() < d.state.Lease.Leased {
			return d
		}
	}
	return nil
}

// sent is R2: the permit counts from the sending of the last good renewal.
func (a *audit) sent(d *Daemon) {
	t, l := a.w.spec.Timing, d.state.Lease
	if end := l.Sent.Add(t.LeaseTTL - t.DriftMargin + time.Millisecond); l.Leased > end {
		a.j.violate("R2", "the permit of %s goes on for %v longer than its last renewal, counted from the sending, gives", d.h.Name, l.Leased.Sub(end))
	}
}

// stillClean is R2: verified clean stays so; what a person starts there by hand is another matter.
func (a *audit) stillClean(h *Host) {
	g := h.boot.guard
	if g == nil || g.s.Phase != node.GuardClean || a.restored() {
		return
	}
	for _, ref := range g.s.Guests {
		if a.j.byHand[ref.ID] {
			continue
		}
		if p := h.boot.guestProcess(a.w.machine.guest(ref.ID)); p != nil && p.writes() {
			a.j.violate("R2", "the guard of %s says clean while guest %d, PID %d, is there", h.Name, ref.ID, p.pid)
			return
		}
	}
}

// unbroken is part 5: the permits of the peers continue a permit and never begin one.
func (a *audit) unbroken(d *Daemon) {
	l, now := d.state.Lease, d.now()
	switch {
	case now >= l.Deadline:
		a.ended[d] = true
	case now < l.Leased:
		delete(a.ended, d)
	case a.ended[d]:
		a.j.violate("part5", "a permit of the peers begins on %s; its own had ended", d.h.Name)
	}
}
