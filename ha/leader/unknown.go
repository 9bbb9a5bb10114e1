package leader

import (
	"fmt"

	"bascule/ha"
)

// unknown answers requests about a member that has no record: it never registered, or registered after the copy was made that the store
// was restored from. A rebuild waits for it, so a person may confirm that it is off; there is nothing else to be done with it.
func (r *round) unknown(n ha.NodeName, mem *NodeMemory) {
	for _, id := range sorted(r.Store.Requests) {
		q := r.Store.Requests[id].Rec
		if q.Node != n {
			continue
		}
		_, held := r.Store.Leases[n]
		refused := ""
		switch {
		case q.Kind != ha.RequestConfirmOff:
			refused = "it has never registered: start basculed there first"
		case held || r.Gossip[n].Alive || r.listed(n):
			refused = "it shows life (lease, gossip or corosync): look again, and if it is off ask again"
		case q.Incarnation != "" && q.Incarnation != ha.NeverRegistered:
			refused = fmt.Sprintf("the store knows no boot %s of it; if it is off, ask again", q.Incarnation)
		case !r.rebuilding():
			refused = "it has never registered, and nothing waits for its end"
		}
		if refused == "" {
			r.confirmUnknown(n, mem, q)
			return
		}
		k := ha.KeyNode(n)
		r.trans[k] = append(r.trans[k], ha.Transition{Subject: "node " + string(n), Node: n, From: "unknown", To: "unknown", Reason: fmt.Sprintf("%s refused: asked for by %s: %s", q.Kind, q.By, refused)})
		r.answer(n, id)
	}
}

// confirmUnknown makes the record that the proof belongs to. Whatever boot registers later is another one, and is let in as such.
func (r *round) confirmUnknown(n ha.NodeName, mem *NodeMemory, q ha.Request) {
	rec := &ha.NodeRecord{Schema: ha.Schema, Node: n, Incarnation: ha.NeverRegistered, Epoch: r.epoch()}
	r.nodes[n] = rec
	in := r.input(rec, mem, nil)
	q.Incarnation = ha.NeverRegistered
	in.Facts.Confirmed = &q
	r.looked(rec, mem, in, "it has never registered, and the rebuild waited for it")
}
