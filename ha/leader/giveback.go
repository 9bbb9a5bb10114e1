package leader

import (
	"slices"

	"bascule/ha"
	"bascule/ha/ladder"
)

// giveBack has storages let a machine's new boot write again, before the node is let in: what shuts out its address would otherwise shut out
// every boot to come. Only when the end of the boot that was shut out is on record and certain (endedForGood); left is what people hear of when
// a device would not. done is true when the node may be let in.
func (r *round) giveBack(rec *ha.NodeRecord, rep ha.NodeReport, mem *NodeMemory) (left string, done bool) {
	f := r.fences[rec.Node]
	if len(r.told(rec, ha.StorageDevice)) == 0 {
		return "", true
	}
	if !r.endedForGood(rec, rep) {
		return "; another machine had this name before, and only time or a person says that it has ended: see that it is off, then give back by hand what was taken away from it", true
	}
	out, back, left, done := ladder.GiveBack(r.input(rec, mem, f), mem.Back)
	mem.Back = back
	r.asks(rec, out)
	if left != "" {
		left = "; " + left
	}
	return left, done
}

// endedForGood says whether the store holds that the recorded boot of this very machine is over: its power was read as off, or the machine
// itself registered anew. Another machine under its name says nothing about it.
func (r *round) endedForGood(rec *ha.NodeRecord, rep ha.NodeReport) bool {
	same := rec.SystemUUID != "" && ha.SameUUID(rec.SystemUUID, rep.SystemUUID)
	stored := r.Store.Nodes[rec.Node].Rec
	return stored.State == ha.NodeFenced && stored.Incarnation == rec.Incarnation && slices.ContainsFunc(stored.Proofs, func(p ha.Proof) bool {
		return p.Incarnation() == rec.Incarnation && (p.Kind() == ha.PowerOffConfirmed || p.Kind() == ha.NewBoot || p.Complete() && same)
	})
}
