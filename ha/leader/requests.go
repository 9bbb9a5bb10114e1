package leader

import (
	"fmt"

	"bascule/ha"
)

// takeRequests takes up an operator's wishes about a node. confirm-off stays until the ladder has made it a proof.
func (r *round) takeRequests(rec *ha.NodeRecord, mem *NodeMemory) {
	for _, id := range sorted(r.Store.Requests) {
		q := r.Store.Requests[id].Rec
		if q.Node != rec.Node {
			continue
		}
		switch q.Kind {
		case ha.RequestDrain, ha.RequestUndrain:
			rec.Drain = q.Kind == ha.RequestDrain
			if q.Kind == ha.RequestUndrain { // its operator has looked at it
				rec.Fences = nil
			}
			r.note(rec, string(q.Kind), "asked for by "+q.By)
			r.answer(rec.Node, id)
		case ha.RequestFence:
			r.requestFence(rec, mem, q, id)
		case ha.RequestConfirmOff:
			lease, held := r.Store.Leases[rec.Node]
			if held && lease.Rec.Incarnation == rec.Incarnation || !held && r.Gossip[rec.Node].Alive {
				r.note(rec, "confirm-off refused", fmt.Sprintf("asked for by %s, but the node shows life (lease or gossip); look again, and if it is off ask again in %v", q.By, 2*r.Timing.LeaseTTL))
				r.answer(rec.Node, id)
			} else if q.Incarnation != rec.Incarnation || (rec.State != ha.NodeFencing && rec.State != ha.NodeSuspect) {
				r.note(rec, "confirm-off refused", fmt.Sprintf("asked for by %s about boot %s, but the node is %s with boot %s", q.By, q.Incarnation, rec.State, rec.Incarnation))
				r.answer(rec.Node, id)
			}
		default:
			r.note(rec, string(q.Kind)+" refused", "this version does not know the request")
			r.answer(rec.Node, id)
		}
	}
}

func (r *round) requestFence(rec *ha.NodeRecord, mem *NodeMemory, q ha.Request, id string) {
	if rec.State == ha.NodeFencing || rec.State == ha.NodeFenced || (q.Incarnation != "" && q.Incarnation != rec.Incarnation) {
		r.note(rec, "fence refused", fmt.Sprintf("asked for by %s, but the node is %s with boot %s", q.By, rec.State, rec.Incarnation))
		r.answer(rec.Node, id)
		return
	}
	if rec.Node == r.Self {
		r.note(rec, "fence refused", "it leads the cluster and cannot prove its own end; stop basculed there first, then ask again")
		r.answer(rec.Node, id)
		return
	}
	if why := r.unfenceable(rec, mem); why != "" {
		r.note(rec, "fence refused", "asked for by "+q.By+": "+why)
		r.answer(rec.Node, id)
		return
	}
	r.beginFence(rec, mem, q.By+" asked for it")
	r.fences[rec.Node].Operator = q.By
	r.answer(rec.Node, id)
}

// answer removes a request together with the node's commit.
func (r *round) answer(n ha.NodeName, id string) {
	k := ha.KeyRequest(id)
	for _, have := range r.requests[n] {
		if have == k {
			return
		}
	}
	r.requests[n] = append(r.requests[n], k)
}

// note is an event about a node that changes no state.
func (r *round) note(rec *ha.NodeRecord, what, reason string) {
	k := ha.KeyNode(rec.Node)
	r.trans[k] = append(r.trans[k], ha.Transition{Subject: "node " + string(rec.Node), Node: rec.Node, From: string(rec.State), To: string(rec.State), Reason: what + ": " + reason})
}
