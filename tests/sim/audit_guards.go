package sim

import (
	"slices"
	"strings"
	"time"

	"bascule/ha"
)

// restsOn is R4: a decision is stored only if what it rests on is still as the leader read it. It looks at a transaction's guards alone: a
// decision that lacks one is right most of the time, and wrong when somebody writes in between.
func restsOn(x Applied, key string) bool {
	return x.Txn == nil || slices.ContainsFunc(x.Txn.Guards, func(g ha.Guard) bool { return g.Key == key })
}

// ownRevisions is R4: what a leader writes or removes rests on the revision of the record itself.
func (a *audit) ownRevisions(x Applied) {
	for _, p := range x.Txn.Puts {
		if leaderOwned(p.Key) && !restsOn(x, p.Key) {
			a.j.violate("R4", "%s wrote %s without a guard on its revision", x.By, p.Key)
			return
		}
		if n, ok := strings.CutPrefix(p.Key, ha.PrefixNode); ok {
			a.wrote[ha.NodeName(n)] = wroteNode{x.Proc, x.At}
		}
	}
	for _, k := range x.Txn.Dels {
		if leaderOwned(k) && !restsOn(x, k) {
			a.j.violate("R4", "%s removed %s without a guard on its revision", x.By, k)
			return
		}
	}
}

// wroteNode is who wrote a node's record last, and when.
type wroteNode struct {
	by *Proc
	at time.Duration
}

// justWrote says whether the writer itself changed the node's record a moment ago, in the same round: then it cannot name its revision.
func (a *audit) justWrote(x Applied, n ha.NodeName) bool {
	w := a.wrote[n]
	return w.by == x.Proc && x.At-w.at < a.w.spec.Timing.LeaseTTL
}

// restsOnNode: a proof, the beginning of a fencing and a letting in are about the lease and the report as they were read.
func (a *audit) restsOnNode(x Applied, n ha.NodeName, what string) {
	for _, key := range []string{ha.KeyNode(n), ha.KeyLease(n), ha.KeyReport(n)} {
		if !restsOn(x, key) {
			a.j.violate("R4", "%s stores of %s that %s without a guard on %s", x.By, n, what, key)
			return
		}
	}
}

// restsOnHolders: who takes part in a guest's life is changed only on what each holder that loses it says, and for a newcomer that is still
// the boot on record.
func (a *audit) restsOnHolders(x Applied, old, rec ha.GuestRecord) {
	for _, h := range old.Holders {
		if leaves(h, old, rec) && !restsOn(x, ha.KeyGuestReport(h.Node, rec.ID)) {
			a.j.violate("R4", "guest %d goes from %s to %s (%s) without a guard on what holder %s says of it", rec.ID, held(old), held(rec), rec.State, h.Node)
			return
		}
	}
	for _, h := range rec.Holders {
		if !holds(old, h) && !restsOn(x, ha.KeyNode(h.Node)) && !a.justWrote(x, h.Node) {
			a.j.violate("R4", "guest %d goes from %s to %s (%s) without a guard on the record of %s", rec.ID, held(old), held(rec), rec.State, h.Node)
			return
		}
	}
}

// leaves says whether what a holder says matters for a change: it is dropped, the guest goes to another place, or its move ends. A move that
// begins takes nothing from anybody.
func leaves(h ha.Holder, old, rec ha.GuestRecord) bool {
	return !holds(rec, h) || rec.Node != old.Node || rec.Incarnation != old.Incarnation || rec.Move == nil && old.Move != nil
}

func holds(rec ha.GuestRecord, h ha.Holder) bool {
	return slices.ContainsFunc(rec.Holders, func(o ha.Holder) bool { return o.Node == h.Node && o.Incarnation == h.Incarnation })
}

// held is who has a guest, for people.
func held(rec ha.GuestRecord) string {
	names := []string{string(rec.Node)}
	for _, h := range rec.Holders {
		if h.Node != rec.Node {
			names = append(names, string(h.Node))
		}
	}
	return strings.Join(names, "+")
}
