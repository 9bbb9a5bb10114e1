package leader

import (
	"fmt"
	"slices"

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
			r.requestConfirmOff(rec, q, id)
		case ha.RequestConfirmTest:
			r.requestConfirmTest(rec, q, id)
		default:
			r.note(rec, string(q.Kind)+" refused", "this version does not know the request")
			r.answer(rec.Node, id)
		}
	}
}

func (r *round) requestFence(rec *ha.NodeRecord, mem *NodeMemory, q ha.Request, id string) {
	if f := r.fences[rec.Node]; rec.State == ha.NodeFencing && r.held(rec) && (q.Incarnation == "" || q.Incarnation == rec.Incarnation) {
		f.Operator = q.By
		r.note(rec, "fence", q.By+" asked for it: its fencing waits for nothing any more")
		r.answer(rec.Node, id)
		return
	}
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

// requestConfirmOff refuses what cannot be; the rest stays until the ladder has made it a proof.
func (r *round) requestConfirmOff(rec *ha.NodeRecord, q ha.Request, id string) {
	if life := r.life(rec); life != "" {
		r.note(rec, "confirm-off refused", fmt.Sprintf("asked for by %s, but the node shows life (%s); look again, and if it is off ask again in %v", q.By, life, 2*r.Timing.LeaseTTL))
		r.answer(rec.Node, id)
	} else if q.Incarnation != rec.Incarnation || (rec.State == ha.NodeFenced && !r.awaited(rec)) {
		r.note(rec, "confirm-off refused", fmt.Sprintf("asked for by %s about boot %s, but the node is %s with boot %s", q.By, q.Incarnation, rec.State, rec.Incarnation))
		r.answer(rec.Node, id)
	}
}

// life says which sign of life a node gives, "" when none. Of a daemon that was stopped in order neither lease nor gossip can be expected:
// there corosync tells whether the machine is up.
func (r *round) life(rec *ha.NodeRecord) string {
	lease, held := r.Store.Leases[rec.Node]
	rep := r.Store.Reports[rec.Node].Rec
	switch {
	case held && lease.Rec.Incarnation == rec.Incarnation || !held && r.Gossip[rec.Node].Alive:
		return "lease or gossip"
	case !held && rep.Leaving && rep.Incarnation == rec.Incarnation && r.listed(rec.Node):
		return "corosync lists it"
	}
	return ""
}

func (r *round) listed(n ha.NodeName) bool {
	return r.Corosync.Known && slices.Contains(r.Corosync.Online, n)
}

// confirmed says whether an operator's confirmation about the recorded boot waits to be made a proof.
func (r *round) confirmed(rec *ha.NodeRecord) bool {
	for _, id := range sorted(r.Store.Requests) {
		q := r.Store.Requests[id].Rec
		if q.Kind == ha.RequestConfirmOff && q.Node == rec.Node && q.Incarnation == rec.Incarnation && !slices.Contains(r.requests[rec.Node], ha.KeyRequest(id)) {
			return true
		}
	}
	return false
}

// requestConfirmTest notes that an operator has tested a power device that does not tell which machine it switches. It is bound to the
// machine, not to its boot; the device must still read "on" in every boot before it may prove anything about that (R3).
func (r *round) requestConfirmTest(rec *ha.NodeRecord, q ha.Request, id string) {
	defer r.answer(rec.Node, id)
	rep, up := r.registered(rec.Node)
	d, planned := r.Plans[rec.Node].Device(q.Device)
	refused := ""
	switch {
	case !planned || d.Kind != ha.PowerDevice:
		refused = fmt.Sprintf("no power device %q is configured for it: name one of its power devices", q.Device)
	case !up || rep.Incarnation != rec.Incarnation || q.Incarnation != "" && q.Incarnation != rec.Incarnation:
		refused = "the machine that was meant is not up: start it, see that it is the one that was tested, then ask again"
	case rep.SystemUUID == "":
		refused = "it publishes no system UUID, so the test could not be bound to this machine; use a device that tells its machine, or the watchdog"
	}
	if refused != "" {
		r.note(rec, "device test refused", "asked for by "+q.By+": "+refused)
		return
	}
	c := previous(rec, q.Device)
	c.Device, c.Kind = q.Device, ""
	c.Confirmed, c.ConfirmedUUID = fmt.Sprintf("%s at %s", q.By, q.At.UTC().Format("2006-01-02 15:04 MST")), rep.SystemUUID
	setCheck(rec, c)
	r.note(rec, "device test confirmed", fmt.Sprintf("%s has tested that %s switches this machine (system UUID %s)", q.By, q.Device, rep.SystemUUID))
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
