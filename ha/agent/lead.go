package agent

import (
	"context"
	"errors"
	"time"

	"bascule/ha"
	"bascule/ha/leader"
)

const (
	leadEvery = time.Second // a round at least so often

	// commitPause follows a round whose commit failed: a store that refuses at once must not be asked in a circle.
	commitPause = 20 * time.Millisecond
)

// leaderLoop decides while this node leads. Each round sees everything that this leader committed before it.
func (a *Agent) leaderLoop(ctx context.Context) error {
	var st leader.State
	var term ha.Term
	var epoch ha.Epoch
	var committed int64
	var cancel context.CancelFunc = func() {}
	var termCtx context.Context
	timer := time.NewTimer(leadEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			cancel()
			return nil
		case <-a.leads:
		case <-timer.C:
		}
		l := a.Lease()
		if !l.Leads(a.cfg.Now()) || a.Leaving() {
			cancel()
			st, term = leader.State{}, 0
			timer.Reset(leadEvery)
			continue
		}
		if e := a.epoch().Known; l.Term != term || e != epoch { // a new leadership, or one in a new life of the store, remembers nothing of an old one
			cancel()
			termCtx, cancel = context.WithCancel(ctx)
			st, term, epoch, committed = leader.Begin(a.cfg.Now(), a.cfg.Node.Timing, a.readOff()), l.Term, e, 0
			a.readings.take()
		}
		wait := leadEvery
		if snap, ok := a.viewSince(max(committed, int64(term))); ok {
			var next ha.Instant
			st, committed, next = a.round(termCtx, st, snap, l.Term, l.Leased, committed)
			if next != 0 {
				wait = min(wait, max(time.Millisecond, next.Sub(a.cfg.Now())))
			}
		} else {
			wait = 5 * time.Millisecond
		}
		timer.Reset(wait)
	}
}

// viewSince returns the view when it is at least at this revision.
func (a *Agent) viewSince(rev int64) (ha.Snapshot, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.view, a.viewOK && a.view.Revision >= rev
}

// round observes, decides and carries out.
func (a *Agent) round(ctx context.Context, st leader.State, snap ha.Snapshot, term ha.Term, deadline ha.Instant, committed int64) (leader.State, int64, ha.Instant) {
	a.mu.Lock()
	coro, promises, etcd := a.corosync, a.standing.promises, a.etcd
	a.mu.Unlock()
	if snap.Term != term {
		return st, committed, 0
	}
	if snap.NewerSchema != "" {
		a.Problem("schema", "the store holds records of a newer version ("+snap.NewerSchema+"): this daemon does not lead over them; upgrade it")
	}
	o := leader.Observation{Wall: time.Now(), Self: a.cfg.Node.Self, Term: term, Deadline: deadline, Timing: a.cfg.Node.Timing,
		Store: snap, Gossip: a.cfg.Gossip.View(), Corosync: coro, Readings: a.readings.take(), Promises: promises, Etcd: etcd}
	now := a.cfg.Now()
	d := a.cfg.Leader.Decide(now, st, o)
	if a.cfg.Recorder != nil {
		a.cfg.Recorder.Round(now, a.cfg.Leader.Options, st, o, d)
	}
	for _, r := range d.Reads {
		go a.device(ctx, r)
	}
	if d.Replace != nil && a.cfg.Voters != nil && a.replacing.CompareAndSwap(false, true) {
		go a.replaceVoter(ctx, *d.Replace)
	}
	failed := false
	for _, c := range d.Commits {
		rev, ok := a.commit(ctx, c, deadline)
		committed, failed = max(committed, rev), failed || !ok
	}
	if failed {
		a.decideAgain(ctx)
	}
	return d.State, committed, d.Wake
}

// decideAgain makes the next round follow after a pause, with what has changed meanwhile.
func (a *Agent) decideAgain(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(commitPause):
	}
	a.WakeLeader()
}

// commit makes one decision true, then does what follows from it; ok says whether it is. A device command whose intent was not
// stored is not sent; the ladder hears so and asks again.
func (a *Agent) commit(ctx context.Context, c leader.Commit, deadline ha.Instant) (rev int64, ok bool) {
	// A proposal that meets an election of etcd is lost without a word: try for a moment only, then decide again.
	left := min(deadline.Sub(a.cfg.Now()), a.cfg.Node.Timing.RenewTimeout)
	cc, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	var err error
	if len(c.Txn.Puts)+len(c.Txn.Dels) > 0 {
		rev, err = a.cfg.Store.Commit(cc, c.Txn)
	}
	if err != nil {
		if !errors.Is(err, ha.ErrConflict) {
			a.log.WithField("term", int64(c.Txn.Term)).WithField("reason", err.Error()).Warnf("decision about %s was not stored; deciding again", c.Subject)
		}
		for _, cmd := range c.Commands {
			a.readings.add(ha.DeviceReading{Device: cmd.Device, Node: cmd.Node, Incarnation: cmd.Incarnation, Action: cmd.Action,
				Asked: a.cfg.Now(), Answered: a.cfg.Now(), Power: ha.PowerUnknown, Problem: "not sent: its intent could not be stored: " + err.Error()})
		}
		return 0, false
	}
	for _, cmd := range c.Commands {
		go a.device(ctx, cmd)
	}
	for _, id := range c.Revoke {
		go a.revoke(ctx, id)
	}
	for _, t := range c.Transitions {
		a.tell(t, c.Txn.Term)
	}
	return rev, true
}

func (a *Agent) revoke(ctx context.Context, id ha.LeaseID) {
	c, cancel := context.WithTimeout(ctx, a.cfg.Node.Timing.LeaseTTL)
	defer cancel()
	if err := a.cfg.Store.Revoke(c, id); err != nil && !errors.Is(err, ha.ErrLeaseGone) {
		a.log.WithField("reason", err.Error()).Warn("the dead node's lease could not be revoked; it runs out by itself")
	}
}

// tell logs a transition and passes it to people.
func (a *Agent) tell(t ha.Transition, term ha.Term) {
	log := a.log.WithField("term", int64(term)).WithField("reason", t.Reason)
	if t.Node != "" {
		log = log.WithField("node", string(t.Node))
	}
	if t.Guest != 0 {
		log = log.WithField("guest", int(t.Guest))
	}
	log.Infof("%s: %s -> %s", t.Subject, t.From, t.To)
	if a.cfg.Notifier != nil {
		a.cfg.Notifier.Notify(ha.Event{Transition: t, At: time.Now().UTC(), Term: term, By: a.cfg.Node.Self})
	}
}
