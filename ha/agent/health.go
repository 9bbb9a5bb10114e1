package agent

import (
	"context"
	"time"

	"bascule/ha"
	"bascule/ha/leader"
)

const healthEvery = 2 * time.Second

// healthLoop watches the store: it says when it is away and, on the leader, keeps etcd's raft leader off this node, whose death
// would otherwise refresh every lease just when they should run out.
func (a *Agent) healthLoop(ctx context.Context) error {
	for {
		c, cancel := context.WithTimeout(ctx, healthEvery)
		h := a.cfg.Store.Health(c)
		cancel()
		if ctx.Err() == nil {
			a.noteHealth(h)
		}
		if h.Available && h.RaftLeader == a.cfg.Node.Self && len(h.Answering) > 1 && a.calm() && a.Lease().Leads(a.cfg.Now()) {
			c, cancel := context.WithTimeout(ctx, healthEvery)
			moved, to, err := a.cfg.Store.MoveRaftLeaderOff(c, a.cfg.Node.Self)
			cancel()
			if moved {
				a.log.WithField("reason", "this node leads Bascule").Infof("etcd's raft leader moved to %s", to)
			} else if err != nil {
				a.log.WithField("reason", err.Error()).Debug("etcd's raft leader stays here")
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(healthEvery):
		}
	}
}

// calm says whether nothing is going on that a change of raft's leader would hold up: it costs writes a moment, and refreshes every lease.
func (a *Agent) calm() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, n := range a.view.Nodes {
		if n.Rec.State == ha.NodeSuspect || n.Rec.State == ha.NodeFencing {
			return false
		}
		if _, lease := a.view.Leases[n.Rec.Node]; !lease && n.Rec.State == ha.NodeOnline || !a.cfg.Gossip.View()[n.Rec.Node].Alive && n.Rec.State == ha.NodeOnline {
			return false // it may be dying right now
		}
	}
	for _, g := range a.view.Guests {
		if g.Rec.State == ha.GuestRecovery || g.Rec.State == ha.GuestStarting || g.Rec.State == ha.GuestFence || g.Rec.Move != nil {
			return false
		}
	}
	return true
}

// noteHealth logs and alerts when the store goes away or returns.
func (a *Agent) noteHealth(h ha.StoreHealth) {
	a.mu.Lock()
	was, first := a.health, a.healthAt.IsZero()
	a.health = h
	if h.Available && !h.External {
		a.etcd = leader.EtcdView{At: a.cfg.Now(), Voters: h.Voters, Answering: h.Answering, Changing: h.Changing}
	}
	if first || was.Available != h.Available {
		a.healthAt = time.Now()
	}
	a.mu.Unlock()
	if was.OwnDown != h.OwnDown {
		a.reports.wake()
	}
	if first && h.Available || !first && was.Available == h.Available {
		return
	}
	a.changed()
	t := ha.Transition{Subject: "store", From: "available", To: "away", Reason: h.Reason}
	if h.Available {
		t.From, t.To, t.Reason = t.To, t.From, "etcd has its quorum again"
	}
	a.tell(t, a.Lease().Term)
}
