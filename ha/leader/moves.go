package leader

import (
	"fmt"
	"slices"
	"time"

	"bascule/ha"
)

// moveGuests plans moves away from draining nodes, a bounded number at once per node.
func (r *round) moveGuests() {
	for _, n := range sorted(r.nodes) {
		rec := r.nodes[n]
		if !rec.Drain || rec.State != ha.NodeDraining && rec.State != ha.NodeOnline {
			continue
		}
		under := r.leaving(n)
		for _, id := range sorted(r.guests) {
			g := r.guests[id]
			if under >= r.ParallelMoves {
				break
			}
			if g.Node == n && g.State == ha.GuestStarted && g.Move == nil && len(g.Holders) == 1 && r.living(n, g.Incarnation) && len(r.lostUnder(g)) == 0 && r.planMove(g) {
				under++
			}
		}
	}
}

// moveAgain is how long a guest must have been at rest before nodes to which its move failed are tried again.
const moveAgain = time.Minute

// planMove commits the target as a holder before anybody moves anything.
func (r *round) planMove(g *ha.GuestRecord) bool {
	nodes := slices.DeleteFunc(r.candidates(), func(c ha.Candidate) bool { return c.Node == g.Node })
	if g.Pinned != "" {
		g.Reason = "cannot be moved: " + g.Pinned
		return false
	}
	p := r.Placer.Place(g, nodes)
	if p.Node == "" && r.Wall.Sub(g.Since) > moveAgain { // what failed once need not fail for ever
		g.Excluded = nil
	}
	if p.Node == "" {
		g.Reason = "cannot be moved: " + rejections(p.Rejected)
		return false
	}
	i := slices.IndexFunc(nodes, func(c ha.Candidate) bool { return c.Node == p.Node })
	to, how := ha.GuestRelocating, "by restart"
	if g.Kind == ha.QEMU {
		to, how = ha.GuestMigrating, "live"
	}
	r.beginMove(g, ha.Move{From: g.Node, Target: p.Node, Inc: nodes[i].Incarnation, Live: g.Kind == ha.QEMU})
	r.setGuest(g, to, fmt.Sprintf("moves %s from %s to %s: the node is drained", how, g.Node, p.Node))
	return true
}

// beginMove makes the target a holder, in a new generation.
func (r *round) beginMove(g *ha.GuestRecord, m ha.Move) {
	r.rest(g.ID, ha.KeyNode(m.Target), r.Store.Nodes[m.Target].Rev)
	g.Generation++
	g.Move = &m
	g.Holders = []ha.Holder{
		{Node: g.Node, Incarnation: g.Incarnation, Generation: g.Generation},
		{Node: m.Target, Incarnation: m.Inc, Generation: g.Generation},
	}
}

// leaving counts the guests that are on their way from a node.
func (r *round) leaving(n ha.NodeName) int {
	under := 0
	for _, g := range r.guests { //arch:unordered a count
		if g.Move != nil && g.Move.From == n {
			under++
		}
	}
	return under
}

// followMove ends a move by what source and target committed. Whoever loses the guest stays a holder until it released.
func (r *round) followMove(g *ha.GuestRecord) {
	m := *g.Move
	src := r.Store.GuestReports[m.From][g.ID]
	dst := r.Store.GuestReports[m.Target][g.ID]
	r.rest(g.ID, ha.KeyGuestReport(m.From, g.ID), src.Rev)
	r.rest(g.ID, ha.KeyGuestReport(m.Target, g.ID), dst.Rev)
	current := func(rep ha.GuestReport, inc ha.Incarnation) bool {
		return rep.Generation == g.Generation && rep.Incarnation == inc
	}
	switch {
	case current(dst.Rec, m.Inc) && dst.Rec.Phase == ha.PhaseRunning:
		r.endMove(g, m.Target, m.Inc, fmt.Sprintf("moved from %s to %s", m.From, m.Target))
	case current(src.Rec, g.Incarnation) && src.Rec.Phase.Gone():
		r.endMove(g, m.Target, m.Inc, fmt.Sprintf("left %s, to be started on %s", m.From, m.Target))
	case current(src.Rec, g.Incarnation) && (src.Rec.Phase == ha.PhaseRunning || src.Rec.Phase == ha.PhaseStopped) && src.Rec.Message != "":
		g.Excluded = append(g.Excluded, m.Target)
		r.endMove(g, m.From, g.Incarnation, fmt.Sprintf("move to %s failed: %s", m.Target, src.Rec.Message))
	case !r.living(m.Target, m.Inc) && src.Rec.Phase != ha.PhaseMigrating:
		r.endMove(g, m.From, g.Incarnation, fmt.Sprintf("move to %s given up: that node is gone", m.Target))
	case m.Stop && current(src.Rec, g.Incarnation) && src.Rec.Message != "":
		g.Reason = fmt.Sprintf("leaves %s for %s: %s", m.From, m.Target, src.Rec.Message)
	}
}

// endMove assigns the guest to one side in a new generation; the other side stays a holder until proven or released.
func (r *round) endMove(g *ha.GuestRecord, n ha.NodeName, inc ha.Incarnation, reason string) {
	excluded := g.Excluded
	g.Move = nil
	r.assign(g, n, inc, reason)
	g.Excluded = excluded
}

func sameRecord(a *ha.NodeRecord, b ha.NodeRecord) bool {
	return a != nil && string(ha.Encode(a)) == string(ha.Encode(b))
}
