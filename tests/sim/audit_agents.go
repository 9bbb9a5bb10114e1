package sim

import (
	"slices"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

// young says whether a daemon is in its quiet time: it may have forgotten a promise.
func (a *audit) young(d *Daemon) bool {
	t := a.w.spec.Timing
	return a.w.loop.Now()-d.started < roughly(t.LeaseTTL+t.DriftMargin)
}

// elected is part 5: nobody leads in its quiet time. (A term that the daemon before it won, or is still winning, is given back.)
func (a *audit) elected(d *Daemon) {
	if d.state.Lease.Term != 0 && a.young(d) {
		a.j.violate("part5", "%s leads %v after its start: it may have forgotten a promise", d.h.Name, a.w.loop.Now()-d.started)
	}
}

// revoked is part 5: nobody ends another's lease in its quiet time.
func (a *audit) revoked(x Applied) {
	d := a.leaderOf(x)
	if d == nil || !a.young(d) || d.state.Lease.ID == x.Lease || slices.Contains(x.Gone, ha.KeyLease(d.self)) {
		return
	}
	a.j.violate("part5", "%s ends a lease (%v) %v after its start", d.h.Name, x.Gone, a.w.loop.Now()-d.started)
}

// ownKeys looks at what an agent says of itself.
func (a *audit) ownKeys(x Applied, truth *ha.Snapshot) {
	h := a.w.machine.Host(x.By)
	if h == nil || !h.Booted() || h.spec.Witness {
		return
	}
	n := ha.NodeName(x.By)
	for _, p := range x.Txn.Puts {
		if p.Key == ha.KeyLease(n) {
			a.registers(h, n)
		}
	}
	for _, g := range a.w.spec.Guests {
		if slices.ContainsFunc(x.Txn.Puts, func(p ha.Put) bool { return p.Key == ha.KeyGuestReport(n, g.ID) }) {
			a.lets(h, truth.GuestReports[n][g.ID].Rec)
		}
	}
}

// registers is R2: a new lease is taken only when nothing of the former permit runs.
func (a *audit) registers(h *Host, n ha.NodeName) {
	d, g := a.w.daemons[h.index], h.boot.guard
	if d == nil || g == nil || g.s.Phase != node.GuardKilling && g.s.Phase != node.GuardFailing {
		return
	}
	for _, ref := range g.s.Guests {
		if h.boot.guestProcess(a.w.machine.guest(ref.ID)) != nil && !a.j.byHand[ref.ID] { // what a person starts in that moment is another matter
			a.j.violate("R2", "%s takes a new lease while its guard is %s and guest %d is there", n, g.s.Phase, ref.ID)
			return
		}
	}
}

// lets is R1: released means no process and no worker.
func (a *audit) lets(h *Host, rep ha.GuestReport) {
	if !rep.Phase.Gone() || rep.Incarnation != h.Inc() || a.j.byHand[rep.Guest] {
		return
	}
	for _, p := range h.boot.processes {
		if p.g.id == rep.Guest && !p.dead {
			a.j.violate("R1", "%s says that guest %d is %s there (generation %d) while a %s of it, PID %d, is there", h.Name, rep.Guest, rep.Phase, rep.Generation, p.what, p.pid)
			return
		}
	}
}

// killed is R5: what an operator moved by hand, with its config, is left alone.
func (a *audit) killed(host string, id ha.VMID, what string) {
	rec, ok := a.w.store.Truth().Guests[id]
	h := a.w.machine.Host(host)
	if !ok || what != whatGuest || a.j.crashed[id] || h.boot == nil || h.boot.guard == nil || h.boot.guard.s.Phase != node.GuardPermitted {
		return
	}
	if t := h.boot.locks[id]; t != nil && t.name == "migrate" {
		return // a migration by restart stops it
	}
	if a.w.machine.ConfigNode(id) == host && string(rec.Rec.Node) != host && rec.Rec.Move == nil {
		a.j.violate("R5", "guest %d is killed on %s, where its config lies", id, host)
	}
}

// begun is part 5: on a permit of the peers nothing is begun.
func (a *audit) begun() {
	seen := map[int]bool{}
	for _, d := range a.w.daemons {
		if d == nil || d.h.boot == nil {
			continue
		}
		peers := d.p.Runs() && d.rep.d != nil && d.now() >= d.state.Lease.Leased && d.now() < d.state.Lease.Deadline && a.w.loop.Now()-d.started > a.w.spec.Timing.LeaseTTL
		for _, p := range d.h.boot.processes {
			if p.what != whatWorker || p.dead {
				continue
			}
			seen[p.pid] = true
			if t := d.h.boot.locks[p.g.id]; peers && !a.workers[p.pid] && !a.j.byHand[p.g.id] && t != nil && t.w == p && t.name == "start" &&
				d.now().Sub(d.state.Lease.Leased) > time.Minute { // a task may hang for long before its worker shows
				a.j.violate("part5", "%s starts guest %d on a permit of the peers", d.h.Name, p.g.id)
			}
		}
	}
	a.workers = seen
}

// lists is part 5: nobody goes on by an older member list than a peer that it asks.
func (a *audit) lists() {
	for _, d := range a.w.daemons {
		if d == nil || !d.p.Runs() || d.rep.d == nil {
			continue
		}
		old := slices.ContainsFunc(a.w.daemons, func(o *Daemon) bool {
			return o != nil && o.p.Runs() && o.state.ListRev > d.state.ListRev
		})
		l := d.state.Lease
		if since, known := a.oldList[d.h.Name]; !old || d.now() < l.Leased {
			delete(a.oldList, d.h.Name)
		} else if !known {
			a.oldList[d.h.Name] = a.w.loop.Now()
		} else if d.now() < l.Deadline && a.w.loop.Now()-since > a.w.spec.Timing.LeaseTTL+time.Second {
			a.j.violate("part5", "%s goes on with permits of its peers by an old member list", d.h.Name)
			return
		}
	}
}
