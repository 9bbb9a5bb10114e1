package sim

import (
	"slices"
	"time"

	"bascule/ha"
	"bascule/ha/leader"
)

// The limits of fencing: so many nodes at once, none while too few voters are healthy, the node with the most important guests later, and
// of those that wait the one with the more important guests first. All of them bind only what the leader does on its own, and only its first
// command; nobody may wait for ever.

// limitsSeen is what the audit remembers for them.
type limitsSeen struct {
	fences map[ha.NodeName]ha.FenceRecord // as stored before the last write
	told   map[ha.NodeName]toldNode
	unsent map[ha.NodeName]time.Duration // when a command of it last was not sent because its intent was not stored
	few    time.Duration                 // since when too few voters hold a lease; 0: enough do
	enough time.Duration                 // since when enough are healthy as the leader sees it; never: they are not
	free   map[ha.NodeName]time.Duration // since when neither voters nor anything but other nodes can hold its fencing up
	top    map[ha.NodeName]time.Duration // since when its guests are the most important ones
	off    map[ha.NodeName]time.Duration // since when its machine is off and should be switched on again
	rivals map[ha.NodeName][]ha.NodeName // who else was being fenced while it has waited for its turn
}

// toldNode is what was asked of the devices of a node that is being fenced.
type toldNode struct {
	inc      ha.Incarnation
	term     ha.Term
	first    time.Duration
	open     map[string]bool // by device: no answer yet
	accepted map[string]bool
}

func newLimitsSeen() limitsSeen {
	return limitsSeen{fences: map[ha.NodeName]ha.FenceRecord{}, told: map[ha.NodeName]toldNode{}, unsent: map[ha.NodeName]time.Duration{},
		enough: never, free: map[ha.NodeName]time.Duration{}, top: map[ha.NodeName]time.Duration{}, off: map[ha.NodeName]time.Duration{}, rivals: map[ha.NodeName][]ha.NodeName{}}
}

// turn is how long a node may keep others waiting, by its terms: an answer, and ten read gaps without an effect.
func (a *audit) turn() time.Duration {
	return a.w.spec.Timing.DeviceTimeout + 10*a.w.spec.Timing.OffReadGap
}

// othersTurns is how long the turns of all others may take.
func (a *audit) othersTurns() time.Duration {
	most, nodes := a.w.spec.MaxConcurrent, len(a.w.spec.Plans)
	if most == 0 || most >= nodes {
		return 0
	}
	return time.Duration(nodes-1) * a.turn()
}

// tells notes a command to a device.
func (a *audit) tells(c ha.DeviceCommand) {
	if c.Action == ha.DeviceOn || c.Action == ha.DeviceRestore {
		return
	}
	t := a.limits.told[c.Node]
	if t.inc != c.Incarnation || t.term != c.Term {
		t = toldNode{inc: c.Incarnation, term: c.Term, first: a.w.loop.Now(), open: map[string]bool{}, accepted: map[string]bool{}}
	}
	t.open[c.Device], t.accepted[c.Device] = true, false
	a.limits.told[c.Node] = t
}

// heard notes a device's answer to its leader.
func (a *audit) heard(r ha.DeviceReading) {
	if t := a.limits.told[r.Node]; r.Action != ha.DeviceRead && r.Action != ha.DeviceOn && r.Action != ha.DeviceRestore && t.inc == r.Incarnation {
		t.open[r.Device], t.accepted[r.Device] = false, r.Problem == ""
	}
}

// notSent notes commands whose intent was not stored: they are asked for again after a pause.
func (a *audit) notSent(c leader.Commit) {
	for _, cmd := range c.Commands {
		a.limits.unsent[cmd.Node] = a.w.loop.Now()
	}
}

// limited looks at the beginning of a fencing: the first command's intent is stored.
func (a *audit) limited(x Applied, truth *ha.Snapshot, n ha.NodeName) {
	f, old := truth.Fences[n].Rec, a.limits.fences[n]
	a.limits.fences[n] = f
	if old.Incarnation != f.Incarnation {
		old = ha.FenceRecord{}
	}
	a.switchedOn(truth, n, old, f)
	if len(f.Commanded) == 0 || len(old.Commanded) > 0 {
		return
	}
	delete(a.limits.told, n)
	if f.Operator != "" || len(f.Proofs) > 0 || x.Txn == nil || a.restored() {
		return
	}
	now := a.w.loop.Now()
	if few := a.limits.few; few != 0 && now-few > a.newsTakes(x) && a.leases(truth) < a.votersNeeded() {
		a.j.violate("fence", "%s begins to fence %s although too few voters have been there for %v; min_healthy is %d %%", x.By, n, now-few, a.w.spec.MinHealthy)
	}
	if busy := a.underWay(x, truth, n); a.w.spec.MaxConcurrent > 0 && len(busy) >= a.w.spec.MaxConcurrent {
		a.j.violate("fence", "%s begins to fence %s while %v are being fenced; max_concurrent is %d", x.By, n, busy, a.w.spec.MaxConcurrent)
	}
}

// underWay are the other nodes of which this leader surely knows that what it told a device has no effect yet.
func (a *audit) underWay(x Applied, truth *ha.Snapshot, but ha.NodeName) (out []ha.NodeName) {
	for _, n := range a.w.spec.memberNames() {
		rec, t, h := truth.Nodes[n].Rec, a.limits.told[n], a.w.machine.Host(string(n))
		if n == but || rec.State != ha.NodeFencing || t.inc != rec.Incarnation || t.term != x.Term || a.w.loop.Now()-t.first > a.turn()-2*time.Second {
			continue
		}
		busy := false
		for _, d := range a.plan(n, ha.PowerDevice) {
			runs := h.On() && h.Inc() == t.inc && !a.j.lied[h.Name] && !a.j.kinds["device-misreads"]
			busy = busy || t.accepted[d] && runs
		}
		for _, open := range t.open {
			busy = busy || open
		}
		if busy {
			out = append(out, n)
		}
	}
	return out
}

// weigh is the highest priority of the guests that a node's recorded boot should run; -1: none.
func weigh(s *ha.Snapshot, n ha.NodeName) int {
	most := -1
	for _, g := range s.Guests {
		if g.Rec.Node == n && g.Rec.Incarnation == s.Nodes[n].Rec.Incarnation && g.Rec.Requested == ha.RequestedStarted {
			most = max(most, g.Rec.Priority)
		}
	}
	return most
}

// turns looks at a leader's round: no fencing begins while one of a node with more important guests waits that could begin.
func (a *audit) turns(o leader.Observation, dec leader.Decision) {
	begins := map[ha.NodeName]bool{}
	for _, c := range dec.Commits {
		for _, cmd := range c.Commands {
			begins[cmd.Node] = begins[cmd.Node] || cmd.Action != ha.DeviceOn && cmd.Action != ha.DeviceRead
		}
	}
	waits := func(n ha.NodeName) bool {
		rec, f := o.Store.Nodes[n].Rec, o.Store.Fences[n].Rec
		asked := false
		for _, q := range o.Store.Requests {
			asked = asked || q.Rec.Kind == ha.RequestFence && q.Rec.Node == n
		}
		return rec.State == ha.NodeFencing && f.Incarnation == rec.Incarnation && len(f.Commanded)+len(f.Proofs) == 0 && f.Operator == "" && !asked
	}
	taken := 0
	for _, n := range a.w.spec.memberNames() {
		if begins[n] || o.Store.Nodes[n].Rec.State == ha.NodeFencing && len(o.Store.Fences[n].Rec.Commanded) > 0 {
			taken++
		}
	}
	if taken < a.w.spec.MaxConcurrent || a.w.spec.MaxConcurrent == 0 {
		return // there is a turn left for who has to wait for a reading first
	}
	for _, n := range a.w.spec.memberNames() {
		for _, m := range a.w.spec.memberNames() {
			if begins[n] && waits(n) && waits(m) && !begins[m] && weigh(&o.Store, m) > weigh(&o.Store, n) && a.couldBegin(o, m) {
				a.j.violate("part4", "%s is fenced (guests of priority %d) while %s waits (%d)", n, weigh(&o.Store, n), m, weigh(&o.Store, m))
				return
			}
		}
	}
}

// couldBegin says whether a node's device could surely be told something.
func (a *audit) couldBegin(o leader.Observation, n ha.NodeName) bool {
	rec := o.Store.Nodes[n].Rec
	_, held := o.Store.Leases[n]
	since, unsent := a.limits.unsent[n]
	return !a.restored() && o.Promises[n] == 0 && !(held && o.Gossip[n].Alive) && !(unsent && a.w.loop.Now()-since < 15*time.Second) && a.switchable(n, rec)
}

// switchable says whether a power device of the first level would switch the recorded boot off, which is there.
func (a *audit) switchable(n ha.NodeName, rec ha.NodeRecord) bool {
	h := a.w.machine.Host(string(n))
	level, ok := a.powerLevel(n, rec)
	return ok && level == 0 && h.On() && h.Inc() == rec.Incarnation && !a.j.lied[h.Name] && a.w.loop.Now() > a.j.quiet.devices[h.Name] && !a.j.kinds["device-misreads"]
}

// delayed looks at the beginning of a fencing that the leader decided on: the node with the most important guests has priority_delay.
func (a *audit) delayed(x Applied, n ha.NodeName, inc ha.Incarnation) {
	s, wait := a.gone[n], a.w.spec.Timing.FenceDelay+a.w.spec.PriorityDelay
	top, most := a.limits.top[n]
	if gone := a.w.loop.Now() - s.since; a.w.spec.PriorityDelay > 0 && most && !s.there && s.inc == inc && top <= s.since && gone < roughly(wait) && !a.restored() {
		a.j.violate("fence", "%s begins to fence %s %v after its lease ended; its guests are the most important ones, and the delay is %v", x.By, n, gone, wait)
	}
}

// leases are the voters that hold one; votersNeeded is how many of them must be healthy, rounded up.
func (a *audit) leases(truth *ha.Snapshot) (n int) {
	for _, v := range a.w.store.Voters() {
		if _, held := truth.Leases[ha.NodeName(v)]; held {
			n++
		}
	}
	return n
}

func (a *audit) votersNeeded() int {
	return (a.w.spec.MinHealthy*len(a.w.store.Voters()) + 99) / 100
}

// seeLimits notes since when what holds fencings up is so.
func (a *audit) seeLimits() {
	truth, now, l := a.w.store.Truth(), a.w.loop.Now(), &a.limits
	lead, led, ok := a.led()
	healthy, leases, need := 0, a.leases(truth), a.votersNeeded()
	for _, v := range a.w.store.Voters() {
		if _, held := truth.Leases[ha.NodeName(v)]; held && ok && (v == lead || a.w.gossip.View(lead)[ha.NodeName(v)].Alive) {
			healthy++
		}
	}
	if l.few == 0 && leases < need {
		l.few = now
	} else if leases >= need {
		l.few = 0
	}
	if l.enough == never && healthy >= need {
		l.enough = now
	} else if healthy < need {
		l.enough = never
	}
	for _, h := range a.w.machine.Hosts() {
		n := ha.NodeName(h.Name)
		f := truth.Fences[n].Rec
		if free := l.enough != never || f.Operator != "" || len(f.Commanded) > 0; !free {
			delete(l.free, n)
		} else if _, known := l.free[n]; !known {
			l.free[n] = now
		}
		if rec := truth.Nodes[n].Rec; rec.State != ha.NodeFenced || !a.toComeOn(h, rec, f) {
			delete(l.off, n)
		} else if _, known := l.off[n]; !known {
			l.off[n] = now
		}
		if ok && !h.spec.Witness && lead != h.Name && !a.restored() {
			a.starves(h, truth, max(led, a.j.quiet.hosts[lead]))
		}
	}
}

// starves: whatever becomes of the others, a node whose own device works does not wait for its turn for ever.
func (a *audit) starves(h *Host, truth *ha.Snapshot, from time.Duration) {
	n := ha.NodeName(h.Name)
	rec, f, s := truth.Nodes[n].Rec, truth.Fences[n].Rec, a.sights[n]
	free, ok := a.limits.free[n]
	if rec.State != ha.NodeFencing || len(f.Commanded) > 0 {
		delete(a.limits.rivals, n)
	}
	if !ok || rec.State != ha.NodeFencing || s.state != rec.State || s.back || s.inc != rec.Incarnation || len(f.Commanded) > 0 || !a.switchable(n, rec) {
		return
	}
	for _, m := range a.w.spec.memberNames() {
		if m != n && truth.Nodes[m].Rec.State == ha.NodeFencing && !slices.Contains(a.limits.rivals[n], m) {
			a.limits.rivals[n] = append(a.limits.rivals[n], m)
		}
	}
	waited := a.w.loop.Now() - max(s.since, free, from, a.j.quiet.devices[h.Name], a.limits.unsent[n])
	if most := min(a.othersTurns(), time.Duration(len(a.limits.rivals[n]))*a.turn()) + a.slack(); waited > most {
		a.j.violate("part4", "the fencing of %s waits for %v with nothing but others in its way; the most is %v", n, waited, most)
	}
}

// seeImportant notes since when each node's guests are the most important ones.
func (a *audit) seeImportant(truth *ha.Snapshot) {
	names := a.w.spec.memberNames()
	for _, n := range names {
		own := weigh(truth, n)
		if slices.ContainsFunc(names, func(m ha.NodeName) bool { return m != n && weigh(truth, m) >= own }) {
			delete(a.limits.top, n)
		} else if _, known := a.limits.top[n]; !known {
			a.limits.top[n] = a.w.loop.Now()
		}
	}
}
