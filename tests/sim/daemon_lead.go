package sim

import (
	"errors"
	"time"

	"bascule/ha"
	"bascule/ha/leader"
)

const (
	leadEvery   = time.Second
	commitPause = 20 * time.Millisecond
)

// leading is the leader's loop of one daemon, as ha/agent/lead.go has it.
type leading struct {
	state     leader.State
	term      ha.Term
	epoch     ha.Epoch
	committed int64
	readings  []ha.DeviceReading
	busy      bool  // a round is under way
	view      int64 // revision that its decisions rest on
	again     bool  // woken meanwhile
	posted    bool
	timer     *Event
}

// wakeLeader asks for a round soon.
func (d *Daemon) wakeLeader() {
	l := &d.lead
	if l.busy {
		l.again = true
		return
	}
	if l.posted || d.rep.d == nil {
		return
	}
	l.posted = true
	d.p.Post(func() {
		l.posted = false
		d.leadRound()
	})
}

func (d *Daemon) leadAfter(wait time.Duration) {
	d.lead.timer.Cancel()
	d.lead.timer = d.p.After(wait, func() { d.lead.timer = nil; d.wakeLeader() })
}

// leadRound is one turn of the loop: decide while this node leads, from a view that has all that this leader committed.
func (d *Daemon) leadRound() {
	l := &d.lead
	if l.busy {
		l.again = true
		return
	}
	lease := d.state.Lease
	if !lease.Leads(d.now()) || d.leaving {
		l.state, l.term = leader.State{}, 0
		l.timer.Cancel()
		if lease.Term != 0 {
			d.leadAfter(leadEvery)
		}
		return
	}
	if e := d.state.Epoch.Known; lease.Term != l.term || e != l.epoch {
		l.state, l.term, l.epoch, l.committed, l.readings = leader.Begin(d.now(), d.cfg.Timing, d.state.Off), lease.Term, e, 0, nil
	}
	snap := d.snapshot()
	if !d.state.Synced || snap.Revision < max(l.committed, int64(l.term)) {
		d.leadAfter(5 * time.Millisecond)
		return
	}
	if snap.Term != l.term {
		d.leadAfter(leadEvery)
		return
	}
	o := leader.Observation{Wall: d.p.clock.Wall(), Self: d.self, Term: l.term, Deadline: lease.Leased, Timing: d.cfg.Timing,
		Store: *snap, Gossip: d.w.gossip.View(d.h.Name), Corosync: d.coro, Readings: l.readings, Promises: d.state.Promises, Etcd: d.etcd}
	l.readings = nil
	now := d.now()
	l.view = snap.Revision
	dec := d.leader.Decide(now, l.state, o)
	d.w.rounds++
	d.w.judge.decided(d, o, dec)
	l.state = dec.State
	for _, c := range dec.Reads {
		d.device(c)
	}
	if dec.Replace != nil {
		d.replaceVoter(*dec.Replace)
	}
	l.busy = true
	d.commitAll(dec.Commits, l.term, lease.Leased, false, func(failed bool) {
		l.busy = false
		wait := leadEvery
		if dec.Wake != 0 {
			wait = min(wait, max(time.Millisecond, dec.Wake.Sub(d.now())))
		}
		switch {
		case failed:
			wait = commitPause
		case l.again:
			wait = 0
		}
		l.again = false
		d.leadAfter(wait)
	})
}

// commitAll makes a round's decisions true, one after the other; each one's commands follow when, and only when, it is stored.
func (d *Daemon) commitAll(commits []leader.Commit, term ha.Term, deadline ha.Instant, failed bool, done func(failed bool)) {
	if len(commits) == 0 {
		d.p.Post(func() { done(failed) })
		return
	}
	c, rest := commits[0], commits[1:]
	next := func(rev int64, err error) {
		d.lead.committed = max(d.lead.committed, rev)
		if err != nil {
			d.notSent(c, err)
		} else {
			d.follows(c, term)
		}
		d.commitAll(rest, term, deadline, failed || err != nil, done)
	}
	if len(c.Txn.Puts)+len(c.Txn.Dels) == 0 {
		next(0, nil)
		return
	}
	left := min(deadline.Sub(d.now()), d.cfg.Timing.RenewTimeout)
	d.store.Commit(c.Txn, max(time.Millisecond, left), next)
}

// notSent tells the ladder that commands whose intent was not stored were not sent.
func (d *Daemon) notSent(c leader.Commit, err error) {
	d.w.judge.audit.notSent(c)
	for _, cmd := range c.Commands {
		d.answer(ha.DeviceReading{Device: cmd.Device, Node: cmd.Node, Incarnation: cmd.Incarnation, Action: cmd.Action,
			Asked: d.now(), Answered: d.now(), Power: ha.PowerUnknown, Problem: "not sent: its intent could not be stored: " + err.Error()})
	}
}

// follows does what follows from a stored decision.
func (d *Daemon) follows(c leader.Commit, term ha.Term) {
	for _, t := range c.Transitions {
		d.w.told(d, t)
	}
	for _, cmd := range c.Commands {
		d.device(cmd)
	}
	for _, id := range c.Revoke {
		d.w.judge.revokes(d, id, c)
		d.store.Revoke(id, d.cfg.Timing.LeaseTTL, func(error) {})
	}
}

// device sends one command; one that switches only while our own deadline minus its time-out lies ahead (R4).
func (d *Daemon) device(c ha.DeviceCommand) {
	if c.Action != ha.DeviceRead {
		if d.now().Add(c.Timeout) >= c.Deadline {
			d.answer(ha.DeviceReading{Device: c.Device, Node: c.Node, Incarnation: c.Incarnation, Action: c.Action, Asked: d.now(), Answered: d.now(),
				Power: ha.PowerUnknown, Problem: errTooLate.Error()})
			return
		}
		d.w.judge.commands(d, c)
	}
	term := d.lead.term
	d.w.machine.Do(d.p, d.h.Name, c, func(r ha.DeviceReading) {
		d.w.judge.resetAnswered(r)
		if d.lead.term == term {
			d.answer(r)
		}
	})
}

var errTooLate = errors.New("not sent: too little of this leadership is certain")

func (d *Daemon) answer(r ha.DeviceReading) {
	d.w.judge.audit.heard(r)
	d.lead.readings = append(d.lead.readings, r)
	d.wakeLeader()
}
