package sim

import (
	"slices"

	"bascule/ha"
	"bascule/ha/ladder"
)

// mostOns is how often a device may be told to switch a fenced machine on.
const mostOns = 4

// switchedOn looks at each intent to switch a machine on again: only where the site wants it, only what this fencing switched off, never before
// the store holds its end, not what an operator wants off, not what comes and goes, and not for ever.
func (a *audit) switchedOn(truth *ha.Snapshot, n ha.NodeName, old, f ha.FenceRecord) {
	if len(f.SwitchedOn) <= len(old.SwitchedOn) || a.restored() {
		return
	}
	was, rec := a.nodes[n], truth.Nodes[n].Rec // as it was before this write, and is
	ended := was.State == ha.NodeFenced && slices.ContainsFunc(was.Proofs, func(p ha.Proof) bool { return p.Kind() != ha.StorageRevoked && p.Incarnation() == f.Incarnation })
	for _, d := range f.SwitchedOn[len(old.SwitchedOn):] {
		times := 0
		for _, o := range f.SwitchedOn {
			if o == d {
				times++
			}
		}
		why := ""
		switch {
		case !ended:
			a.j.violate("R4", "%s (boot %s) is switched on with %s before its end is stored; it was %s", n, f.Incarnation, d, was.State)
		case a.w.spec.Plans[n].After != ladder.SwitchOn:
			why = "is to stay off"
		case !slices.Contains(f.Commanded, d):
			why = "was found off"
		case f.Operator != "":
			why = "was fenced by an operator"
		case was.Drain && rec.Drain:
			why = "is drained"
		case a.flaps(n):
			why = "was fenced too often"
		case times > mostOns:
			why = "did not come on often enough"
		}
		if why != "" {
			a.j.violate("fence", "%s is switched on with %s (time %d) although it %s", n, d, times, why)
		}
	}
}

// toComeOn says whether a machine that was switched off is to be switched on again and nobody has told a device so.
func (a *audit) toComeOn(h *Host, rec ha.NodeRecord, f ha.FenceRecord) bool {
	n, truth := rec.Node, a.w.store.Truth()
	_, held := truth.Leases[n]
	wanted := a.w.spec.Plans[n].After == ladder.SwitchOn && f.Incarnation == rec.Incarnation && f.Operator == "" && !rec.Drain && len(rec.Fences) < flapsAfter
	switched := slices.ContainsFunc(a.plan(n, ha.PowerDevice), func(d string) bool { return slices.Contains(f.Commanded, d) && shown(rec, d, true) })
	lead := truth.Leader
	return wanted && switched && !held && len(f.SwitchedOn) == 0 && !h.On() && h.mains && lead != nil && !a.w.gossip.View(string(lead.Node))[n].Alive
}
