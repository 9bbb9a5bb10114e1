package agent

import (
	"context"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

// machineLoop owns the node's state: one goroutine, one event at a time, effects carried out elsewhere. Nothing in it waits for
// the store, Proxmox or a log.
func (a *Agent) machineLoop(ctx context.Context, kept node.Kept) error {
	m := a.cfg.Node
	s := node.Start(a.cfg.Now(), m, kept)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var e node.Event = node.Tick{}
		select {
		case <-ctx.Done():
			return nil
		case e = <-a.events:
		case <-timer.C:
		}
		var effects []node.Effect
		var next ha.Instant
		now, before := a.cfg.Now(), s
		s, effects, next = m.Step(now, s, e)
		if a.cfg.Recorder != nil {
			a.cfg.Recorder.Step(now, m, before, e, s, effects, next)
		}
		a.publish(s)
		for _, f := range effects {
			a.carryOut(ctx, f)
		}
		a.cfg.Alive()
		wait := time.Second
		if next != 0 {
			wait = min(wait, max(time.Millisecond, next.Sub(a.cfg.Now())))
		}
		timer.Reset(wait)
	}
}

// publish makes the lease's state visible to the other loops.
func (a *Agent) publish(s node.State) {
	l, standing := s.Lease, standingOf(s, a.cfg.Node.Timing.LeaseTTL)
	a.mu.Lock()
	old, was := a.lease, a.standing
	a.lease, a.standing = l, standing
	a.mu.Unlock()
	a.notePeers(s)
	a.onboot.follow(s)
	if !was.seen().equal(standing.seen()) {
		a.keepSeen(standing)
	}
	if !was.equal(standing) {
		a.reports.wake()
		a.WakeLeader()
	}
	if old.ID != l.ID {
		a.keepLease(l.ID)
		if l.ID == 0 && !l.Unbroken {
			a.reports.forget()
		}
		if l.ID == 0 && !l.Leaving && !l.Unbroken {
			a.log.WithField("reason", "its lease ended").Error("this node lost its permit: its protected guests are stopped here, so that they may run elsewhere; they start again when the store answers")
		}
	}
	if old.Term != l.Term {
		a.log.WithField("term", int64(l.Term)).WithField("reason", "leader key").Info(map[bool]string{true: "this node leads now", false: "this node leads no more"}[l.Term != 0])
		a.WakeLeader()
	}
	if old.ID != l.ID || old.Term != l.Term || (old.Deadline == 0) != (l.Deadline == 0) {
		a.reports.wake()
		a.changed()
	}
}

// Lease returns the machine's lease state as last published.
func (a *Agent) Lease() node.Lease {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lease
}

// carryOut starts an effect; whatever takes time runs in its own goroutine and answers with an event.
func (a *Agent) carryOut(ctx context.Context, f node.Effect) {
	switch f := f.(type) {
	case node.Grant:
		go a.grant(ctx)
	case node.Register:
		go a.register(ctx, f.ID)
	case node.Renew:
		go a.renew(ctx, f.ID)
	case node.Campaign:
		go a.campaign(ctx, f.ID)
	case node.Resign:
		go a.resign(ctx, f.Term)
	case node.Permit:
		poke(a.sync)
	case node.EndPermit:
		go a.endPermit(ctx)
	case node.AskPeers:
		a.askPeers(f)
	case node.AnswerPeer:
		a.answerPeer(f)
	case node.ReadPower:
		go func() { a.send(ctx, node.PowerRead{Reading: a.cfg.Executor.Do(ctx, f.Command)}) }()
	case node.RevokeLease:
		go a.deputize(ctx, f)
	case node.Report:
		a.reports.guest(f.Report)
	case node.Look:
		a.LookNow()
	case node.Do:
		go a.do(ctx, f)
	}
}
