package leader

import (
	"fmt"
	"slices"
	"strings"

	"bascule/ha"
	"bascule/ha/ladder"
)

// switchOn brings a machine back that this fencing switched off, where the node's plan says "after: on": never before its end is recorded (R4),
// because a machine that is switched on before that could be taken for the one that must end. When it has booted it registers and is let in like
// any other; its guests are where they were recovered.
func (r *round) switchOn(rec *ha.NodeRecord, mem *NodeMemory) {
	f := r.fences[rec.Node]
	if r.Plans[rec.Node].After != ladder.SwitchOn || f == nil || f.Incarnation != rec.Incarnation || f.RunsAgain || !r.recordedEnd(rec) {
		return
	}
	in := r.input(rec, mem, f)
	if len(ladder.SwitchedOff(in.Plan, in.Facts, f)) == 0 || mem.LeaseGone == 0 || mem.GossipGone == 0 {
		return
	}
	if why := r.staysOff(rec, f); why != "" {
		r.fencedAnd(rec, why)
		return
	}
	out, on := ladder.SwitchOnAgain(in, mem.On)
	mem.On = on
	r.asks(rec, out)
	switch {
	case out.Record.Problem != "":
		r.fencedAnd(rec, out.Record.Problem+"; switch it on by hand")
	case out.Record.RunsAgain:
		r.fencedAnd(rec, "it was switched on again; it joins by itself when it has booted")
	case len(out.Record.SwitchedOn) == 0:
		r.fencedAnd(rec, "it is switched on again when it reads off")
	default:
		r.fencedAnd(rec, "it is being switched on again")
	}
}

// recordedEnd says whether the store holds that the recorded boot has ended; what is decided in this round is not there yet.
func (r *round) recordedEnd(rec *ha.NodeRecord) bool {
	stored := r.Store.Nodes[rec.Node].Rec
	return stored.State == ha.NodeFenced && stored.Incarnation == rec.Incarnation &&
		slices.ContainsFunc(stored.Proofs, func(p ha.Proof) bool { return p.Complete() && p.Incarnation() == rec.Incarnation })
}

// staysOff says for people why a machine is left off although its plan says otherwise; empty when nothing is against it.
func (r *round) staysOff(rec *ha.NodeRecord, f *ha.FenceRecord) string {
	switch {
	case f.Operator != "":
		return "it stays off because " + f.Operator + " had it fenced: switch it on by hand"
	case rec.Drain:
		return "it stays off because it is drained: switch it on by hand, or hactl undrain " + string(rec.Node)
	case r.flapping(rec):
		return fmt.Sprintf("it stays off because it was fenced %d times within %v: find out why, then hactl undrain %s", len(r.recentFences(rec)), quarantineSpan, rec.Node)
	case r.rebuilding():
		return "it stays off until the store's guests are assigned anew"
	}
	return ""
}

// fencedAnd says what becomes of a fenced node beside the proof. An alarm stays what people see.
func (r *round) fencedAnd(rec *ha.NodeRecord, what string) {
	for _, p := range rec.Proofs {
		if p.Complete() && p.Incarnation() == rec.Incarnation && !strings.HasPrefix(rec.Reason, ha.Alarm) {
			rec.Reason = fmt.Sprintf("%s: %s; %s", p.Kind(), p.Evidence(), what)
			return
		}
	}
}
