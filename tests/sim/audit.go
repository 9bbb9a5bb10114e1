package sim

import (
	"time"

	"bascule/ha"
)

// audit looks for the words of a rule where the judge looks for what follows from breaking it: many a mistake does harm only together
// with others, and is a mistake before. It computes from the truth and from the waits' terms, never with the functions that it checks.
type audit struct {
	w *World
	j *Judge

	gone    map[ha.NodeName]leaseSight
	nodes   map[ha.NodeName]ha.NodeRecord
	guests  map[ha.VMID]ha.GuestRecord
	asked   map[ha.NodeName][]ha.Incarnation // confirm-off, as people asked for it
	uuids   map[ha.Incarnation]string
	onSince map[string]time.Duration
	unfit   map[ha.NodeName]time.Duration // since when the stored report says that it has no quorum
	given   map[[2]ha.NodeName]time.Duration
	onboot  map[ha.VMID]time.Duration
	ended   map[*Daemon]bool          // its permit has ended, and no lease began another
	workers map[int]bool              // PIDs seen in the last patrol
	oldList map[string]time.Duration  // by host: since when it goes by an older member list than somebody else
	atRest  map[string]ha.Incarnation // by host: the boot that ran when the store was restored

	term      ha.Term
	termSince time.Duration
	sights    map[ha.NodeName]fenceSight
	asking    map[string]time.Duration // requests, since when
	wrote     map[ha.NodeName]wroteNode
	inactive  map[onNode]time.Duration // since when the stored report says so
	freeSince map[ha.VMID]freed
	fencedAt  map[ha.NodeName][]time.Duration
	outage    outageSight
	failed    map[ha.VMID]int
	readAt    map[readFor]time.Duration
	takenAt   map[ha.Incarnation]time.Duration
	early     map[ha.Incarnation]bool // its lease was ended by a leader after storages were taken away
	managed   map[ha.VMID]managedSight
	foretold  map[ha.Incarnation]foretold
	limits    limitsSeen
	resets    map[ha.NodeName]resetSight
	voters    votersSeen
	storages  storagesSeen
}

// leaseSight is whether the store holds a node's lease key, for which boot, and since when it is so.
type leaseSight struct {
	inc   ha.Incarnation
	there bool
	since time.Duration
}

const auditEvery = 100 * time.Millisecond

// Audit adds the checks to a world that has not run yet.
func (w *World) Audit() {
	a := &audit{w: w, j: w.judge, gone: map[ha.NodeName]leaseSight{}, nodes: map[ha.NodeName]ha.NodeRecord{}, guests: map[ha.VMID]ha.GuestRecord{},
		asked: map[ha.NodeName][]ha.Incarnation{}, uuids: map[ha.Incarnation]string{}, onSince: map[string]time.Duration{},
		unfit: map[ha.NodeName]time.Duration{}, given: map[[2]ha.NodeName]time.Duration{}, onboot: map[ha.VMID]time.Duration{},
		ended: map[*Daemon]bool{}, workers: map[int]bool{}, oldList: map[string]time.Duration{}, atRest: map[string]ha.Incarnation{},
		sights: map[ha.NodeName]fenceSight{}, asking: map[string]time.Duration{}, wrote: map[ha.NodeName]wroteNode{},
		inactive: map[onNode]time.Duration{}, freeSince: map[ha.VMID]freed{}, fencedAt: map[ha.NodeName][]time.Duration{}, failed: map[ha.VMID]int{},
		readAt: map[readFor]time.Duration{}, takenAt: map[ha.Incarnation]time.Duration{}, early: map[ha.Incarnation]bool{}, managed: map[ha.VMID]managedSight{},
		foretold: map[ha.Incarnation]foretold{}, limits: newLimitsSeen(), resets: map[ha.NodeName]resetSight{}, storages: newStoragesSeen()}
	w.judge.audit = a
	for _, d := range w.machine.devices {
		d.asked = a.looked
	}
	w.store.OnApply(a.applied)
	a.watchVoters()
	w.loop.Every(auditEvery, a.patrol)
	judged := w.machine.OnStart
	w.machine.OnStart = func(host string, inc ha.Incarnation, id ha.VMID) {
		judged(host, inc, id)
		a.started(host, inc, id)
	}
	killed := w.machine.OnKilled
	w.machine.OnKilled = func(host string, id ha.VMID, what string) {
		if killed != nil {
			killed(host, id, what)
		}
		a.killed(host, id, what)
	}
	told := w.machine.OnGuard
	w.machine.OnGuard = func(host string, t ha.Transition) {
		if told != nil {
			told(host, t)
		}
		a.guard(host, t)
	}
}

// restored: the store was taken back in this run; what it says of the time before is what R8 is about.
func (a *audit) restored() bool { return a.j.mustEpoch != 0 }

// applied looks at a write of the store.
func (a *audit) applied(x Applied) {
	truth := a.w.store.Truth()
	if x.Txn != nil {
		a.ownRevisions(x)
		a.requests(truth)
		a.ownKeys(x, truth)
	}
	a.outage.look(truth, a.w.loop.Now(), a.w.spec.Timing.LeaseTTL)
	switch x.Op {
	case "expire":
		a.outlives(x.Lease)
	case "revoke":
		a.revoked(x)
		a.endedEarly(x, truth)
	case "restore":
		for _, h := range a.w.machine.Hosts() {
			a.atRest[h.Name] = h.Inc()
		}
	}
	if x.Op != "restore" {
		for _, n := range a.w.spec.memberNames() {
			a.limited(x, truth, n)
			a.node(x, truth, n)
		}
		for _, g := range a.w.spec.Guests {
			a.guest(x, truth, g.ID)
		}
	}
	a.remember(truth)
}

func (a *audit) remember(truth *ha.Snapshot) {
	now := a.w.loop.Now()
	for _, n := range a.w.spec.memberNames() {
		l, there := truth.Leases[n]
		inc := l.Rec.Incarnation
		s := a.gone[n]
		if !there {
			inc = s.inc
		}
		if s.there != there || s.inc != inc {
			a.gone[n] = leaseSight{inc, there, now}
		}
		a.nodes[n] = truth.Nodes[n].Rec
		a.seePlaces(truth, n)
		a.sayStorages(truth, n)
		if rep, ok := truth.Reports[n]; ok && !rep.Rec.Quorate {
			if _, known := a.unfit[n]; !known {
				a.unfit[n] = now
			}
		} else {
			delete(a.unfit, n)
		}
	}
	a.seeImportant(truth)
	for _, g := range a.w.spec.Guests {
		if v, ok := truth.Guests[g.ID]; ok {
			a.guests[g.ID] = v.Rec
			a.seeFree(truth, v.Rec)
		} else {
			delete(a.guests, g.ID)
		}
	}
}

func (a *audit) requests(truth *ha.Snapshot) {
	for _, q := range truth.Requests {
		if q.Rec.Kind == ha.RequestConfirmOff {
			a.asked[q.Rec.Node] = append(a.asked[q.Rec.Node], q.Rec.Incarnation)
		}
	}
}

// outlives is R2: when a lease runs out, the permit that it gave has ended.
func (a *audit) outlives(id ha.LeaseID) {
	for _, d := range a.w.daemons {
		if d == nil || !d.p.Alive() || d.rep.d == nil || d.cfg.Witness {
			continue
		}
		if l := d.state.Lease; l.ID == id && d.now() < l.Leased && d.now() < l.Deadline {
			a.j.violate("R2", "the lease of %s has run out while its permit goes on for %v", d.h.Name, l.Leased.Sub(d.now()))
		}
	}
}
