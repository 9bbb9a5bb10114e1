package agent

import (
	"context"
	"encoding/json"

	"bascule/ha"
	"bascule/ha/node"
)

// verify is R5's test: a linearizable read says that the guest is ours in this generation and incarnation, the permit is valid now, and
// the guard knows that it has to end this guest when the permit ends. A move starts the guest elsewhere, so it is verified like a start.
func (a *Agent) verify(ctx context.Context, d node.Do) (node.Outcome, string) {
	c, cancel := context.WithTimeout(ctx, a.cfg.Node.Timing.LeaseTTL)
	defer cancel()
	var rec ha.GuestRecord
	rev, at, err := a.readAt(c, ha.KeyGuest(d.Guest), &rec)
	if err != nil {
		return node.Transient, err.Error()
	}
	if out, msg := a.cfg.Node.MayStart(d, rec, at, a.epoch()); out != node.Done {
		return out, msg
	}
	if err := a.syncGuard(ctx, ha.GuestRef{ID: d.Guest, Kind: d.Kind}); err != nil {
		return node.Transient, "the guard does not answer: " + err.Error()
	}
	if !a.Lease().Acts(a.cfg.Now()) {
		return node.Transient, "the permit ended"
	}
	switch {
	case rec.Move != nil:
		if out, msg := a.expected(c, rec); out != node.Done {
			return out, msg
		}
		return a.announce(c, rec, rev)
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
	var cluster ha.ClusterRecord
	if _, err := a.read(ctx, ha.KeyCluster, &cluster); err != nil {
		return node.Transient, err.Error()
	}
	a.mu.Lock()
	target := a.view.Nodes[rec.Move.Target].Rec
	a.mu.Unlock()
	return node.Expected(rec, lease, rep, target, cluster)
}

// announce commits "starting" or "migrating" in one transaction with what the start rests on: the record is unchanged, and this node is not being
// fenced nor proven dead. From then on the leader knows of a holder that did not let go (persist before acting).
func (a *Agent) announce(ctx context.Context, rec ha.GuestRecord, rev int64) (node.Outcome, string) {
	self := a.cfg.Node.Self
	var own ha.NodeRecord
	ownRev, err := a.read(ctx, ha.KeyNode(self), &own)
	if err != nil {
		return node.Transient, err.Error()
	}
	if out, msg := a.cfg.Node.MayLive(own); out != node.Done {
		return out, msg
	}
	a.mu.Lock()
	cluster, epoch := a.view.Cluster, a.standing.epoch
	a.mu.Unlock()
	if cluster.Rec.Epoch != epoch.Known { // the view is ahead of the machine, which has not taken the epoch in
		return node.Transient, "the store's epoch has just changed"
	}
	t := a.cfg.Node.Announcement(a.cfg.Now(), rec, rev, ownRev, cluster.Rev)
	newer, err := a.cfg.Store.Commit(ctx, t)
	a.reports.settled(t, newer, err)
	if err != nil {
		return node.Transient, err.Error()
	}
	return node.Done, ""
}

// read is a linearizable read of a record and its revision; one that is gone or unreadable leaves the record zero, which allows nothing.
func (a *Agent) read(ctx context.Context, key string, rec any) (rev int64, err error) {
	rev, _, err = a.readAt(ctx, key, rec)
	return rev, err
}

// readAt is read, and tells at which revision the store was.
func (a *Agent) readAt(ctx context.Context, key string, rec any) (rev, at int64, err error) {
	kv, at, err := a.cfg.Store.Get(ctx, key)
	if err != nil || kv == nil {
		return 0, at, err
	}
	_ = json.Unmarshal(kv.Value, rec)
	return kv.ModRev, at, nil
}
