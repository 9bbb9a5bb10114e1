package sim

import (
	"slices"
	"time"

	"bascule/ha"
)

// fenceSight is how a node that is being fenced, or was, has stood since when.
type fenceSight struct {
	inc   ha.Incarnation
	state ha.NodeState
	back  bool
	since time.Duration
}

// fences is part 4 of the design: a fencing comes to an end. While one leader leads and nothing is wrong but the node itself, what can
// prove its end does, within the sum of the waits that lie on the way; and a node that is back in order is let in.
func (a *audit) fences() {
	lead, led, ok := a.led()
	truth := a.w.store.Truth()
	for _, h := range a.w.machine.Hosts() {
		n := ha.NodeName(h.Name)
		rec := truth.Nodes[n].Rec
		s := fenceSight{inc: rec.Incarnation, state: rec.State, back: a.back(lead, h, rec)}
		if old := a.sights[n]; old.inc == s.inc && old.state == s.state && old.back == s.back {
			s.since = old.since
		} else {
			s.since = a.w.loop.Now()
		}
		a.sights[n] = s
		if ok && !h.spec.Witness && !a.restored() && !a.j.lied[h.Name] && lead != h.Name {
			a.endless(h, rec, max(led, a.j.quietBut(h.Name), a.j.quiet.given[rec.Incarnation]))
		}
	}
	a.unanswered(led, ok)
}

// slack is what rounds, commits, a promise and a device's own time may add to the waits of a fencing.
func (a *audit) slack() time.Duration {
	t := a.w.spec.Timing
	return t.LeaseTTL + t.DriftMargin + 2*t.DeviceTimeout + 10*time.Second
}

// way is a way in which the fencing of a node should end by itself.
type way struct {
	what string
	from time.Duration // when it began, if nothing was wrong then
	in   time.Duration // how long it may take
}

// endless looks whether a fencing has gone on for longer than a way out of it takes.
func (a *audit) endless(h *Host, rec ha.NodeRecord, quiet time.Duration) {
	for _, w := range a.ways(h, rec) {
		if waited := a.w.loop.Now() - max(w.from, quiet); waited > w.in {
			a.j.violate("part4", "%s (boot %s) is %s for %v now with nothing in the way: %s", h.Name, rec.Incarnation, rec.State, waited, w.what)
			return
		}
	}
}

// endsAlone says whether a fencing should end without a person.
func (a *audit) endsAlone(h *Host) bool {
	return !a.restored() && len(a.ways(h, a.w.store.Truth().Nodes[ha.NodeName(h.Name)].Rec)) > 0
}

func (a *audit) ways(h *Host, rec ha.NodeRecord) []way {
	n, t := ha.NodeName(h.Name), a.w.spec.Timing
	s, f := a.sights[n], a.w.store.Truth().Fences[n].Rec
	storages := slices.ContainsFunc(a.plan(n, ha.StorageDevice), func(d string) bool { return slices.Contains(f.Commanded, d) })
	var out []way
	switch {
	case rec.State == ha.NodeFencing && s.back && !storages && f.Operator == "":
		wait := a.slack() + t.LevelTimeout/2 + a.msgWait(n, f)
		if len(f.Resets) > 0 { // one that was told may still come
			wait += t.BootTime
		}
		out = append(out, way{"it is back in order", s.since, wait})
	case rec.State == ha.NodeFencing && !s.back:
		free, may := a.limits.free[n]
		if level, ok := a.powerLevel(n, rec); ok && may {
			out = append(out, way{"its power device works", max(s.since, free), a.slack() + a.othersTurns() + time.Duration(level)*t.LevelTimeout})
		}
		if level, ok := a.resetLevel(n, rec, f); ok && may && h.On() {
			since := max(s.since, free, a.j.quiet.hosts[h.Name]) // a boot that cannot register proves nothing
			out = append(out, way{"its reset service works", since, a.slack() + a.othersTurns() + time.Duration(level)*t.LevelTimeout + a.resetTakes(h)})
		}
		if missing := a.unrevoked(h, rec); missing != "" && may {
			out = append(out, way{"access to " + missing + " can be taken away", max(s.since, free), a.slack() + a.othersTurns()})
		}
	case rec.State == ha.NodeFenced && s.back && !storages && endedItself(rec):
		out = append(out, way{"it had ended its guests itself and holds a lease again", s.since, a.slack()})
	case rec.State == ha.NodeFenced && a.limits.off[n] != 0:
		out = append(out, way{"it is to be switched on again", max(s.since, a.limits.off[n]), a.slack()})
	}
	if rec.State == ha.NodeFencing || rec.State == ha.NodeSuspect {
		if w, ok := a.selfFences(h, rec); ok {
			out = append(out, w)
		}
	}
	return out
}

// back says whether the recorded boot works and holds its lease, and the leader hears it.
func (a *audit) back(lead string, h *Host, rec ha.NodeRecord) bool {
	truth, n := a.w.store.Truth(), ha.NodeName(h.Name)
	l, held := truth.Leases[n]
	rep := truth.Reports[n].Rec
	return lead != "" && held && h.Runs() && l.Rec.Incarnation == rec.Incarnation && rep.Incarnation == rec.Incarnation && !rep.Leaving &&
		a.w.gossip.View(lead)[n].Alive
}

// plan are the names of a node's devices of a kind.
func (a *audit) plan(n ha.NodeName, kind ha.DeviceKind) []string {
	var out []string
	for _, level := range a.w.spec.Plans[n].Levels {
		for _, d := range level {
			if d.Kind == kind {
				out = append(out, d.Name)
			}
		}
	}
	return out
}

// msgWait is what a message to a node that lives may still do.
func (a *audit) msgWait(n ha.NodeName, f ha.FenceRecord) time.Duration {
	longest := time.Duration(0)
	for _, level := range a.w.spec.Plans[n].Levels {
		for _, d := range level {
			if slices.Contains(f.Commanded, d.Name) {
				longest = max(longest, d.MsgWait)
			}
		}
	}
	return longest
}

// shown says whether a device showed the recorded boot alive, by the fields of its check.
func shown(rec ha.NodeRecord, name string, power bool) bool {
	return slices.ContainsFunc(rec.Devices, func(c ha.DeviceCheck) bool {
		return c.Device == name && c.Incarnation == rec.Incarnation && c.ReadOn && (power && c.UUIDMatched || !power && c.Problem == "")
	})
}

// powerLevel is the first level at which power alone proves a node's end.
func (a *audit) powerLevel(n ha.NodeName, rec ha.NodeRecord) (int, bool) {
	for i, level := range a.w.spec.Plans[n].Levels {
		power := 0
		for _, d := range level {
			if d.Kind == ha.ManualDevice || d.Kind == ha.PowerDevice && !shown(rec, d.Name, true) {
				power = -100
			}
			if d.Kind == ha.PowerDevice {
				power++
			}
		}
		if power > 0 {
			return i, true
		}
	}
	return 0, false
}

// unrevoked is a storage that a device of the first level could have taken away from a boot that is there, and did not.
func (a *audit) unrevoked(h *Host, rec ha.NodeRecord) string {
	if h.Inc() != rec.Incarnation || len(a.w.spec.Plans[rec.Node].Levels) == 0 {
		return ""
	}
	for _, d := range a.w.spec.Plans[rec.Node].Levels[0] {
		if d.Kind != ha.StorageDevice || !shown(rec, d.Name, false) {
			continue
		}
		for _, s := range d.Storages {
			if disk := a.w.machine.Disk(s); disk != nil && !disk.Revoked(rec.Incarnation) {
				return s
			}
		}
	}
	return ""
}

// selfFences: the end of an armed boot whose lease is gone is a matter of time, W by its terms; a lease that was ended early, and a promise,
// may each add a lease's time.
func (a *audit) selfFences(h *Host, rec ha.NodeRecord) (way, bool) {
	t, s := a.w.spec.Timing, a.gone[rec.Node]
	rep := a.w.store.Truth().Reports[rec.Node].Rec
	trusted := h.spec.Watchdog == dogHW || h.spec.Watchdog == dogMux
	if s.there || s.inc != rec.Incarnation || rep.Incarnation != rec.Incarnation || !rep.Armed || rep.Leaving || !trusted {
		return way{}, false
	}
	return way{"it was armed and its lease is gone", s.since, a.selfFenceOf(h) + t.LeaseTTL + a.slack()}, true
}

// endedItself says whether nothing but the node's own doing is proven about its recorded boot.
func endedItself(rec ha.NodeRecord) bool {
	own := false
	for _, p := range rec.Proofs {
		if p.Incarnation() == rec.Incarnation {
			if p.Kind() != ha.SelfFenceElapsed {
				return false
			}
			own = true
		}
	}
	return own
}

// unanswered: what an operator asks for is taken up, or refused, by whoever leads.
func (a *audit) unanswered(led time.Duration, ok bool) {
	now, truth := a.w.loop.Now(), a.w.store.Truth()
	for id, q := range truth.Requests {
		if _, known := a.asking[id]; !known {
			a.asking[id] = now
		}
		if _, judged := truth.Nodes[q.Rec.Node]; ok && judged && !a.restored() && now-max(a.asking[id], led, a.j.quietBut("")) > a.slack() {
			a.j.violate("part4", "%s asked for %s of %s (boot %s) and nobody answers", q.Rec.By, q.Rec.Kind, q.Rec.Node, q.Rec.Incarnation)
			return
		}
	}
}
