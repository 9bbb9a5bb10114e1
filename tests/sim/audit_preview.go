package sim

import (
	"slices"

	"bascule/ha"
	"bascule/ha/ladder"
)

// foretold is what `hactl fence test` would have said about a boot in trouble: by which kinds of proof its end could be shown.
type foretold map[ha.ProofKind]bool

// previews holds the answer of `hactl fence test` against what then happens: a proof that it ruled out is never stored, and a power device
// that works is not called useless. A person who plans by its answer must not be misled either way.
func (a *audit) previews() {
	truth := a.w.store.Truth()
	for _, h := range a.w.machine.Hosts() {
		n := ha.NodeName(h.Name)
		rec := truth.Nodes[n].Rec
		if h.spec.Witness || rec.State != ha.NodeSuspect && rec.State != ha.NodeFencing {
			continue
		}
		now := a.preview(truth, n)
		if _, ok := a.powerLevel(n, rec); ok && !now[ha.PowerOffConfirmed] {
			a.j.violate("part4", "the fence test of %s (boot %s) says that power proves nothing, and it would", n, rec.Incarnation)
		}
	}
}

// preview asks as the daemon's fence test does, and adds the answer to those before: facts may come in the middle of a fencing.
func (a *audit) preview(truth *ha.Snapshot, n ha.NodeName) foretold {
	rec, rep := truth.Nodes[n].Rec, truth.Reports[n].Rec
	f := ladder.Facts{Node: n, Incarnation: rec.Incarnation, SystemUUID: rec.SystemUUID, Checks: slices.Clone(rec.Devices)}
	if rep.Incarnation == rec.Incarnation {
		f.Watches = rep.Watches
		f.Armed, f.Timing, f.Clients = rep.Armed && rep.WatchdogDriver != "", rep.Timing.Through(rep.WatchdogDriver), rep.Clients
	}
	all := a.foretold[rec.Incarnation]
	if all == nil {
		all = foretold{}
		a.foretold[rec.Incarnation] = all
	}
	now := foretold{}
	for _, s := range ladder.Preview(a.w.spec.Plans[n], f) {
		if s.Works() {
			now[s.Proof], all[s.Proof] = true, true
		}
	}
	return now
}

// ruledOut looks at a proof that was just stored. The report of the boot may be gone by now; then what was said before counts.
func (a *audit) ruledOut(truth *ha.Snapshot, p ha.Proof) {
	if truth.Nodes[p.Node()].Rec.Incarnation == p.Incarnation() {
		a.preview(truth, p.Node())
	}
	if all := a.foretold[p.Incarnation()]; !a.restored() && all != nil && !all[p.Kind()] {
		a.j.violate("part4", "the fence test of %s (boot %s) ruled %s out, which is stored now (%s)", p.Node(), p.Incarnation(), p.Kind(), p.Evidence())
	}
}
