package node

import (
	"slices"
	"time"

	"bascule/ha"
)

// Lease is the node's lease, its permit and its leadership.
type Lease struct {
	ID         ha.LeaseID
	Phase      LeasePhase
	Deadline   ha.Instant // end of the permit; in the past or 0: none
	Leased     ha.Instant // up to here the permit is the lease's; what lies beyond came from the peers and begins nothing
	Sent       ha.Instant // sending of the last good grant or renewal
	NextTry    ha.Instant
	Quiet      ha.Instant // neither campaigns nor starts guests before
	Term       ha.Term    // 0: not leading
	Campaign   bool       // in flight
	NoLeader   bool       // the store's view has no leader
	OldTerm    ha.Term    // a term that we do not act under, but whose leader key may still carry our lease: given back until it is gone
	ResignAt   ha.Instant // when it is given back next
	GuardClean bool
	Leaving    bool
	Unbroken   bool  // a new lease is being taken under a permit that has not ended: its guests run on
	Registered int64 // revision at which the lease key was written; 0: by the process before this one
}

// LeasePhase is how far the lease is.
type LeasePhase string

// The phases of a lease.
const (
	LeaseNone        LeasePhase = "none"
	LeaseGranting    LeasePhase = "granting"
	LeaseRegistering LeasePhase = "registering"
	LeaseHeld        LeasePhase = "held"
	LeaseRenewing    LeasePhase = "renewing" // held, a renewal is in flight
	LeaseEnding      LeasePhase = "ending"   // lost: a new one only when the guard says that nothing runs
)

// retryPause is between two tries of a store call that failed at once.
const retryPause = 100 * time.Millisecond

// Valid says whether the permit holds now.
func (l Lease) Valid(now ha.Instant) bool { return now < l.Deadline }

// Acts says whether the node may begin anything now: its permit is the lease's own, not one of the peers'.
func (l Lease) Acts(now ha.Instant) bool { return l.Valid(now) && now < l.Leased }

// Leads says whether the node may act as the leader now.
func (l Lease) Leads(now ha.Instant) bool { return l.Term != 0 && l.Acts(now) }

// stepLease handles the events of the lease. A permit begins when the node is registered and ends on its own deadline, or at once
// when the store says that the lease is gone.
func (m *machine) stepLease(e Event) {
	l := &m.s.Lease
	switch e := e.(type) {
	case Granted:
		m.granted(e)
	case Registered:
		if l.Phase != LeaseRegistering || e.ID != l.ID {
			return
		}
		if e.Dead {
			m.lose()
			l.NextTry = m.now.Add(m.c.Timing.LeaseTTL)
			return
		}
		m.s.Peers.Failing = !e.OK
		if !e.OK {
			l.Phase, l.NextTry = LeaseEnding, m.now.Add(retryPause)
			return
		}
		l.Phase, l.Registered, l.Unbroken = LeaseHeld, e.Rev, false
		m.sayAgain()
		m.leased(l.Sent)
	case Renewed:
		m.renewed(e)
	case GuardSeen:
		l.GuardClean = e.Connected && e.Clean
	case LeaderSeen:
		if held := l.Phase == LeaseHeld || l.Phase == LeaseRenewing; held && e.Rev >= l.Registered && e.Own != l.ID && !l.Leaving {
			m.gone() // the others see no lease of ours, or another one: renewing this one proves nothing to them
			return
		}
		if l.Term != 0 && e.Rev < int64(l.Term) {
			return
		}
		l.NoLeader = e.Term == 0
		switch {
		case !e.Mine || e.Term == l.Term:
			l.OldTerm = 0
		case !l.Campaign && l.OldTerm != e.Term:
			l.OldTerm, l.ResignAt = e.Term, m.now
		}
		if l.Term != 0 && e.Term != l.Term && !l.Campaign {
			l.Term = 0
		}
	case Campaigned:
		l.Campaign = false
		l.NextTry = m.now.Add(retryPause)
		if e.Term != 0 && l.Acts(m.now) && !l.Leaving {
			l.Term, l.OldTerm, l.NoLeader = e.Term, 0, false
		}
	case Leave:
		l.Leaving = true
		m.resign()
	}
}

func (m *machine) granted(e Granted) {
	l := &m.s.Lease
	if l.Phase != LeaseGranting {
		return
	}
	m.s.Peers.Failing = !e.OK
	if !e.OK || l.Leaving {
		l.Phase, l.NextTry = LeaseEnding, m.now.Add(retryPause)
		return
	}
	l.ID, l.Sent, l.Phase = e.ID, e.Sent, LeaseRegistering
	m.out = append(m.out, Register{ID: e.ID})
}

func (m *machine) renewed(e Renewed) {
	l := &m.s.Lease
	if l.Phase != LeaseRenewing || e.ID != l.ID {
		return
	}
	l.Phase = LeaseHeld
	m.s.Peers.Failing = !e.OK && !e.Gone
	switch {
	case e.Gone:
		m.gone()
	case e.OK:
		l.Sent = e.Sent
		m.leased(e.Sent)
	default:
		l.NextTry = m.now.Add(retryPause)
	}
}

// gone takes in that the lease does not exist any more. While the permit is the lease's own, somebody ended it: the permit ends at
// once. On a peer permit it ran out in the time without the store, and a new one continues the unbroken permit.
func (m *machine) gone() {
	l := &m.s.Lease
	if !l.OnPeers(m.now) {
		m.lose()
		return
	}
	l.ID, l.Phase, l.Term, l.OldTerm, l.Registered, l.Unbroken = 0, LeaseEnding, 0, 0, 0, true
}

// lose ends the permit and the leadership, also when its deadline lies ahead; the guard ends what runs.
func (m *machine) lose() {
	l := &m.s.Lease
	if l.Valid(m.now) {
		m.out = append(m.out, EndPermit{})
	}
	l.ID, l.Phase, l.Deadline, l.Term, l.OldTerm, l.GuardClean, l.Registered = 0, LeaseEnding, min(l.Deadline, m.now), 0, 0, false, 0
	l.Leased, l.Unbroken = min(l.Leased, m.now), false
	m.dropJobs()
}

// leased takes in a good grant or renewal, sent at this moment.
func (m *machine) leased(sent ha.Instant) {
	d := m.c.Timing.PermitDeadline(sent)
	m.s.Lease.Leased = max(m.s.Lease.Leased, d)
	m.permit(d)
}

// permit moves the deadline forward, never back.
func (m *machine) permit(deadline ha.Instant) {
	if deadline > m.s.Lease.Deadline {
		m.s.Lease.Deadline = deadline
		m.out = append(m.out, Permit{Deadline: deadline})
	}
}

// resign ends this leadership; the key is given back until the store's view shows it gone: as long as it carries a lease that is
// renewed, nobody else can lead.
func (m *machine) resign() {
	if l := &m.s.Lease; l.Term != 0 {
		l.OldTerm, l.ResignAt, l.Term = l.Term, m.now, 0
	}
}

// driveLease does what is due now.
func (m *machine) driveLease() {
	l := &m.s.Lease
	if held := l.Phase == LeaseHeld || l.Phase == LeaseRenewing; (held || l.Unbroken) && !l.Valid(m.now) { // ran out under us: the guard is at work
		m.lose()
	}
	switch {
	case l.Phase == LeaseEnding && m.mayGrant() && !l.Leaving && m.now >= l.NextTry:
		l.Phase = LeaseGranting
		m.out = append(m.out, Grant{})
	case l.Phase == LeaseHeld && m.now >= max(l.NextTry, min(l.Sent.Add(m.c.Timing.RenewEvery), l.Deadline)):
		l.Phase = LeaseRenewing
		m.out = append(m.out, Renew{ID: l.ID})
	}
	if l.OldTerm != 0 && m.now >= l.ResignAt {
		m.out = append(m.out, Resign{Term: l.OldTerm})
		l.ResignAt = m.now.Add(m.c.Timing.RenewEvery)
	}
	held := l.Phase == LeaseHeld || l.Phase == LeaseRenewing
	if held && l.NoLeader && l.Term == 0 && !l.Campaign && !l.Leaving && !m.c.Witness && l.Acts(m.now) && !m.s.Newer && !m.s.Unlisted(m.c.Self) && m.now >= max(l.Quiet, l.NextTry) {
		l.Campaign = true
		m.out = append(m.out, Campaign{ID: l.ID})
	}
}

// clean says whether nothing of the former permit can be running here. A witness runs nothing.
func (m *machine) clean() bool { return m.s.Lease.GuardClean || m.c.Witness }

// mayGrant: a new lease only when nothing of a former permit can be running here, or while the permit is unbroken.
func (m *machine) mayGrant() bool { return m.clean() || m.s.Lease.Unbroken }

// Unlisted says whether the cluster's member list is known and lacks this node. Nobody asks it for promises then, so it must not lead:
// a leader that lists it has to come first.
func (s State) Unlisted(self ha.NodeName) bool {
	return s.ListRev != 0 && !slices.Contains(s.Members, self)
}

// Quiet says whether the daemon started so short ago that it may have forgotten a promise.
func (s State) Quiet(now ha.Instant) bool { return now < s.Lease.Quiet }

// nextLease is when driveLease has something to do at the latest; 0: only after an event.
func (m *machine) nextLease() ha.Instant {
	next := m.nextTry()
	if l := m.s.Lease; l.OldTerm != 0 && (next == 0 || l.ResignAt < next) {
		return l.ResignAt
	}
	return next
}

func (m *machine) nextTry() ha.Instant {
	l := m.s.Lease
	switch {
	case l.Phase == LeaseEnding && m.mayGrant() && !l.Leaving:
		return max(l.NextTry, m.now)
	case l.Phase == LeaseHeld:
		next := max(l.NextTry, min(l.Sent.Add(m.c.Timing.RenewEvery), l.Deadline))
		if l.NoLeader && !l.Campaign && l.Term == 0 && !l.Leaving && !m.c.Witness && !m.s.Unlisted(m.c.Self) {
			next = min(next, max(l.Quiet, l.NextTry))
		}
		return next
	case l.Phase == LeaseRenewing:
		return l.Deadline
	case l.Unbroken:
		return l.Deadline
	}
	return 0
}
