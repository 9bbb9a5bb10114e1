package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"bascule/ha"
	"bascule/ha/node"
)

// verify is R5's test: a linearizable read says that the guest is ours in this generation and incarnation, the permit is valid now, and
// the guard knows that it has to end this guest when the permit ends. A move starts the guest elsewhere, so it is verified like a start.
func (a *Agent) verify(ctx context.Context, d node.Do) (node.Outcome, string) {
	c, cancel := context.WithTimeout(ctx, a.cfg.Node.Timing.LeaseTTL)
	defer cancel()
	var rec ha.GuestRecord
	rev, err := a.read(c, ha.KeyGuest(d.Guest), &rec)
	if err != nil {
		return node.Transient, err.Error()
	}
	n := a.cfg.Node
	if rec.Node != n.Self || rec.Incarnation != n.Incarnation || rec.Generation != d.Record.Generation || !sameMove(rec.Move, d.Record.Move) {
		return node.NotMine, fmt.Sprintf("assigned to %s in generation %d", rec.Node, rec.Generation)
	}
	switch rec.State {
	case ha.GuestRecovery, ha.GuestFence, ha.GuestFrozen, ha.GuestError:
		return node.NotMine, fmt.Sprintf("its state is %s: %s", rec.State, rec.Reason)
	}
	if err := a.syncGuard(ctx, &ha.GuestRef{ID: d.Guest, Kind: d.Kind}); err != nil {
		return node.Transient, "the guard does not answer: " + err.Error()
	}
	if !a.Lease().Valid(a.cfg.Now()) {
		return node.Transient, "the permit ended"
	}
	switch {
	case rec.Move != nil:
		return a.expected(c, rec)
	case d.Step == node.StepRecheck:
		return a.announce(c, rec, rev)
	}
	return node.Done, ""
}

// expected says whether a move's target is still in the boot that the move names, and has told its guard of the guest; before that
// nothing of it may run there (R2).
func (a *Agent) expected(ctx context.Context, rec ha.GuestRecord) (node.Outcome, string) {
	var lease ha.LeaseRecord
	if _, err := a.read(ctx, ha.KeyLease(rec.Move.Target), &lease); err != nil {
		return node.Transient, err.Error()
	}
	var rep ha.GuestReport
	if _, err := a.read(ctx, ha.KeyGuestReport(rec.Move.Target, rec.ID), &rep); err != nil {
		return node.Transient, err.Error()
	}
	if lease.Incarnation != rec.Move.Inc || rep.Generation != rec.Generation || rep.Incarnation != rec.Move.Inc || rep.Phase != ha.PhaseExpecting {
		return node.Transient, "waiting for " + string(rec.Move.Target) + " to expect it"
	}
	return node.Done, ""
}

// announce commits "starting" in one transaction with what the start rests on: the record is unchanged, and this node is not being
// fenced nor proven dead. From then on the leader knows of a holder that did not let go (persist before acting).
func (a *Agent) announce(ctx context.Context, rec ha.GuestRecord, rev int64) (node.Outcome, string) {
	self := a.cfg.Node.Self
	var own ha.NodeRecord
	ownRev, err := a.read(ctx, ha.KeyNode(self), &own)
	if err != nil {
		return node.Transient, err.Error()
	}
	dead := slices.ContainsFunc(own.Proofs, func(p ha.Proof) bool { return p.Incarnation() == a.cfg.Node.Incarnation })
	if dead || own.State == ha.NodeFencing || own.State == ha.NodeFenced || own.Incarnation != a.cfg.Node.Incarnation {
		return node.NotMine, fmt.Sprintf("this node is %s: %s", own.State, own.Reason)
	}
	rep := ha.GuestReport{Guest: rec.ID, Node: self, Incarnation: a.cfg.Node.Incarnation, Generation: rec.Generation, Phase: ha.PhaseStarting}
	t := ha.Txn{Guards: []ha.Guard{{Key: ha.KeyGuest(rec.ID), Rev: rev}, {Key: ha.KeyNode(self), Rev: ownRev}},
		Puts: []ha.Put{{Key: ha.KeyGuestReport(self, rec.ID), Value: ha.Encode(rep)}}}
	newer, err := a.cfg.Store.Commit(ctx, t)
	a.reports.settled(t, newer, err)
	if err != nil {
		return node.Transient, err.Error()
	}
	return node.Done, ""
}

// read is a linearizable read of a record and its revision; one that is gone or unreadable leaves the record zero, which allows nothing.
func (a *Agent) read(ctx context.Context, key string, rec any) (rev int64, err error) {
	kv, _, err := a.cfg.Store.Get(ctx, key)
	if err != nil || kv == nil {
		return 0, err
	}
	_ = json.Unmarshal(kv.Value, rec)
	return kv.ModRev, nil
}

func sameMove(a, b *ha.Move) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}
