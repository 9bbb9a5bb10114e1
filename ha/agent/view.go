package agent

import (
	"context"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

// ViewChanged tells the agent that the store's watched copy changed. It never blocks.
func (a *Agent) ViewChanged() { poke(a.viewC()) }

func (a *Agent) viewC() chan struct{} { return a.reports.viewC }

// viewLoop decodes the store's copy when it changes, and hands it to the machine, the leader's loop and the subscribers.
func (a *Agent) viewLoop(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var last int64 = -1
	var decoder ha.Decoder
	for {
		rev, kvs, ok := a.cfg.Store.Latest()
		if ok {
			snap := a.decoded(&decoder, rev, kvs, last)
			last = rev
			a.send(ctx, node.LeaderSeen{Term: snap.Term, Mine: a.mine(snap), Rev: rev, Own: snap.Leases[a.cfg.Node.Self].Rec.Lease})
		}
		select {
		case <-ctx.Done():
			return nil
		case <-a.viewC():
		case <-tick.C:
		}
	}
}

func (a *Agent) mine(s ha.Snapshot) bool {
	return s.Leader != nil && s.Leader.Node == a.cfg.Node.Self && s.Leader.Incarnation == a.cfg.Node.Incarnation
}

// decoded decodes a new revision once and passes it on.
func (a *Agent) decoded(decoder *ha.Decoder, rev int64, kvs []ha.KV, last int64) ha.Snapshot {
	if rev == last {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.viewAt = time.Now()
		return a.view
	}
	snap, errs := decoder.Decode(rev, kvs)
	for _, err := range errs {
		a.log.WithField("reason", err.Error()).Warn("a record in the store cannot be read; it is left out")
	}
	a.mu.Lock()
	back := a.viewOK && ha.WentBack(&a.view, &snap)
	a.view, a.viewAt, a.viewOK = snap, time.Now(), true
	a.mu.Unlock()
	a.noteArrivals(snap)
	a.send(a.runCtx, a.guestView(snap, back))
	poke(a.sync)
	a.WakeLeader()
	a.changed()
	return snap
}

// guestView is what the node's machine needs of the store.
func (a *Agent) guestView(s ha.Snapshot, back bool) node.View {
	v := node.View{Rev: s.Revision, Back: back, Newer: s.NewerSchema != "", Cluster: s.Cluster.Rec, Leader: s.Leader, Nodes: map[ha.NodeName]ha.NodeRecord{}, Records: map[ha.VMID]ha.GuestRecord{}, Onboot: map[ha.VMID]bool{}, Reports: map[ha.VMID]ha.GuestReport{}}
	for n, rec := range s.Nodes {
		v.Nodes[n] = rec.Rec
	}
	for id, g := range s.Guests {
		v.Records[id] = g.Rec
	}
	for id, o := range s.Onboot {
		v.Onboot[id] = o.Rec.Old
	}
	for id, r := range s.GuestReports[a.cfg.Node.Self] {
		v.Reports[id] = r.Rec
	}
	return v
}

// Subscribe returns a channel that ticks after changes of the view, and its cancel function.
func (a *Agent) Subscribe() (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	a.mu.Lock()
	a.subs[c] = struct{}{}
	a.mu.Unlock()
	return c, func() {
		a.mu.Lock()
		delete(a.subs, c)
		a.mu.Unlock()
	}
}

func (a *Agent) changed() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for c := range a.subs {
		poke(c)
	}
}
