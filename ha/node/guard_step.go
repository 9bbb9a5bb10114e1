package node

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"bascule/ha"
)

const (
	// guardKillPause lies between a scan that found something and the next round of kills: a killed process needs some
	// milliseconds to go, QEMU with much memory longer.
	guardKillPause = 100 * time.Millisecond
	// guardCleanScan lies between two scans once clean.
	guardCleanScan = time.Second
	// guardEmptyScans is how many scans in a row must find nothing. One is not enough: a process that is born behind the
	// reader of /proc while its parent, still ahead of it, dies, is missed once.
	guardEmptyScans = 2
)

// NewGuard returns the guard's state at its start. inc is this boot, empty if not known. What an earlier guard
// of the same boot saved counts: its deadline, its guests, its watchdog, and that it was failing. What another boot saved
// counts for nothing, because nothing of that boot lives and its clock is another. slots are the poison devices whose slots it watches.
func NewGuard(t ha.Timing, inc ha.Incarnation, saved GuardSaved, slots ...string) GuardState {
	if inc != "" && saved.Incarnation != "" && saved.Incarnation != inc {
		saved = GuardSaved{}
	}
	s := GuardState{Timing: t, Incarnation: cmp.Or(inc, saved.Incarnation), Phase: GuardIdle, Slots: slotsOf(saved, slots), Released: saved.Released}
	s.Deadline, s.Guests = saved.Deadline, sortedGuests(saved.Guests)
	s.Want, s.Held = saved.Want, saved.Held
	switch {
	case saved.Failing:
		s.Phase = GuardFailing
	case saved.Disarmed:
		s.Phase, s.Disarming = GuardDisarmed, saved.Held // the crash came before the watchdog's answer: once more
	case saved.Permitted || len(saved.Guests) > 0:
		s.Phase = GuardPermitted // if the deadline has passed, the first step goes on from there
	}
	return s
}

// GuardStep is the guard: what it becomes and what is to be done when e happens at now. It is pure and total.
//
// What it holds to, for an armed watchdog and a permit ending at D:
//
//   - No kill before D + permit_grace; the first step at or after it begins the kills, whatever its event is. A permit that
//     arrives later than that does not stop them: another node may count on them.
//   - A kill once begun goes on until two scans in a row found nothing; meanwhile no permit is accepted.
//   - Not clean at D + permit_grace + kill_time: from there on the watchdog is not fed, even by a guard that was stopped or
//     restarted meanwhile; not clean kill_time after its first kill: failing, for the rest of this boot.
//   - So the node is clean or ended at D + permit_grace + kill_time + watchdog_timeout, which with a margin is W,
//     ha.Timing.SelfFence, and the leader may build SelfFenceElapsed on it (R3).
//   - Clean: it feeds, and scans every second; a process that appears is killed, and the same clock runs for it.
//   - A message in one of the node's slots ends it at once. While leaders may count on that (Obeys) the watchdog is fed only as long as
//     enough disks have been seen: a message that lies on a majority of them was read, or the last feeding was earlier than the disks' own
//     watchdog time after it was written. Both times fit into msgwait, and the leader may build PoisonPill on it (R3).
func GuardStep(now ha.Instant, s GuardState, e GuardEvent) (GuardState, []GuardEffect) {
	m := guardStep{now: now, s: s}
	m.advance()
	m.handle(e)
	m.advance()
	m.lookOut()
	m.hunt()
	m.feed()
	m.wake()
	return m.s, m.out
}

type guardStep struct {
	now ha.Instant
	s   GuardState
	out []GuardEffect
}

func (m *guardStep) emit(e GuardEffect) { m.out = append(m.out, e) }

func (m *guardStep) refuse(format string, a ...any) {
	m.emit(GuardRefuse{Reason: fmt.Sprintf(format, a...)})
}

func (m *guardStep) to(p GuardPhase, format string, a ...any) {
	m.emit(GuardLog{ha.Transition{Subject: "guard", From: string(m.s.Phase), To: string(p), Reason: fmt.Sprintf(format, a...)}})
	m.s.Phase = p
}

func (m *guardStep) killStart() ha.Instant { return m.s.Deadline.Add(m.s.Timing.PermitGrace) }

// advance makes the transitions that time alone causes.
func (m *guardStep) advance() {
	if m.s.Phase == GuardPermitted && m.now >= m.s.Deadline {
		m.to(GuardGrace, "the permit ended and was not renewed")
	}
	if m.s.Phase == GuardGrace && m.now >= m.killStart() {
		if len(m.s.Guests) == 0 {
			m.to(GuardClean, "no permit, and no protected guests here")
		} else {
			m.startKilling(m.killStart(), "no permit came in permit_grace %v: killing %d protected guests", m.s.Timing.PermitGrace, len(m.s.Guests))
		}
	}
	if m.s.Phase == GuardClean && m.s.Scanning && m.now >= m.s.ScanSince.Add(m.s.Timing.KillTime) {
		m.startKilling(m.now, "a scan has not answered for %v: nothing is verified any more", m.now.Sub(m.s.ScanSince))
	}
	if m.s.Phase == GuardKilling && m.now >= m.failAt() {
		m.notCleanInTime()
	}
}

// startKilling begins a kill whose clock counts from `from`. A scan that is under way belongs to the past.
func (m *guardStep) startKilling(from ha.Instant, format string, a ...any) {
	m.to(GuardKilling, format, a...)
	m.s.KillFrom, m.s.FirstKill, m.s.Overdue = from, m.now, false
	m.s.Scanning, m.s.Empty, m.s.NextScan = false, 0, m.now
}

// failAt is when a kill counts as failed. Counted from the first kill, so that a guard that was itself stopped gets its
// chance; the feeding has ended before, at feedEnd.
func (m *guardStep) failAt() ha.Instant {
	return max(m.s.KillFrom, m.s.FirstKill).Add(m.s.Timing.KillTime)
}

func (m *guardStep) notCleanInTime() {
	left := m.remains()
	switch {
	case m.s.Held:
		m.to(GuardFailing, "not clean after kill_time %v: %s; feeding stops, the watchdog ends the node", m.s.Timing.KillTime, left)
		m.stopFeeding()
	case !m.s.Overdue:
		m.s.Overdue = true
		m.to(GuardKilling, "not clean after kill_time %v: %s; no watchdog is armed, so nothing ends this node but its operator: power it off", m.s.Timing.KillTime, left)
	}
}

// stopFeeding is the last that is done to the watchdog in this boot.
func (m *guardStep) stopFeeding() {
	m.s.Want, m.s.Healthy, m.s.Opening, m.s.Disarming = false, false, false, false
	m.emit(GuardStopFeeding{})
}

func (m *guardStep) remains() string {
	switch {
	case m.s.Problem != "":
		return "cannot verify: " + m.s.Problem
	case len(m.s.Remaining) > 0:
		r := m.s.Remaining[0]
		return fmt.Sprintf("%d processes left, the first is PID %d (%s of guest %d)", len(m.s.Remaining), r.PID, r.What, r.Guest)
	}
	return "no scan has verified it"
}

func (m *guardStep) handle(e GuardEvent) {
	switch e := e.(type) {
	case GuardPermit:
		m.permit(e)
	case GuardEnd:
		m.end(e)
	case GuardArm:
		m.arm()
	case GuardDisarm:
		m.disarm(e)
	case GuardScanResult:
		m.scanned(e)
	case GuardWatchdogOK:
		m.watchdogOK(e)
	case GuardWatchdogFault:
		m.watchdogFault(e)
	case GuardSight:
		m.sight(e)
	case GuardObey:
		m.obey(e)
	case GuardTick:
	}
}

// permit accepts a permit that continues or begins one. None outlives the lease TTL from now on, whatever the agent says.
func (m *guardStep) permit(e GuardPermit) {
	s := &m.s
	switch {
	case s.Incarnation != "" && e.Incarnation != "" && s.Incarnation != e.Incarnation:
		m.refuse("the permit is for boot %s, this is boot %s", e.Incarnation, s.Incarnation)
	case s.Phase == GuardKilling:
		m.refuse("the last permit ended and its guests are being killed: send again once clean")
	case s.Phase == GuardFailing && s.Ending != "":
		m.refuse("%s: this boot gets no permit any more, restart the node", s.Ending)
	case s.Phase == GuardFailing:
		m.refuse("the guests could not be killed in time: this boot gets no permit any more, restart the node")
	case e.Deadline <= m.now:
		m.refuse("the permit ended %v ago", m.now.Sub(e.Deadline))
	case e.Deadline < s.Deadline, e.Sent != 0 && e.Sent < s.Sent:
		m.refuse("a newer permit is in force")
	default:
		if s.Phase != GuardPermitted {
			m.to(GuardPermitted, "permit for %d guests", len(e.Guests))
		}
		s.Deadline, s.Sent = min(e.Deadline, m.now.Add(s.Timing.LeaseTTL)), max(s.Sent, min(e.Sent, m.now))
		s.Guests, s.Incarnation = sortedGuests(e.Guests), cmp.Or(s.Incarnation, e.Incarnation)
		s.Remaining, s.Problem, s.Scanning = nil, "", false
	}
}

// end lets a permit end before its deadline. The grace and the kill follow as at any end.
func (m *guardStep) end(e GuardEnd) {
	s := &m.s
	if s.Phase != GuardPermitted || e.Sent < s.Sent {
		return
	}
	s.Sent = max(s.Sent, min(e.Sent, m.now))
	s.Deadline = min(s.Deadline, m.now)
}

func sortedGuests(in []GuestRef) []GuestRef {
	out := slices.Clone(in)
	slices.SortFunc(out, func(a, b GuestRef) int { return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Kind, b.Kind)) })
	return slices.Compact(out)
}

func (m *guardStep) scanned(e GuardScanResult) {
	s := &m.s
	if !s.Scanning || e.Seq != s.ScanSeq {
		return
	}
	s.Scanning, s.Remaining, s.Problem = false, e.Remaining, e.Problem
	empty := len(e.Remaining) == 0 && e.Problem == ""
	if !empty {
		s.Empty, s.NextScan = 0, m.now.Add(guardKillPause)
		if s.Phase == GuardClean {
			m.startKilling(m.now, "without a permit: %s", m.remains())
		}
		return
	}
	s.Empty = min(s.Empty+1, guardEmptyScans)
	if s.Empty < guardEmptyScans {
		s.NextScan = m.now
		return
	}
	s.NextScan = m.now.Add(guardCleanScan)
	if s.Phase == GuardKilling {
		m.to(GuardClean, "verified: no worker and no process of the protected guests is left")
		s.NextFeed = min(s.NextFeed, m.now)
	}
}

// hunt kills and scans: one round at a time, each round's scan being its end.
func (m *guardStep) hunt() {
	s := &m.s
	if !m.hunting() || s.Scanning || m.now < s.NextScan {
		return
	}
	if s.Phase != GuardClean && s.Empty == 0 {
		m.emit(GuardKillWorkers{s.Guests})
		m.emit(GuardKillGuests{s.Guests})
	}
	s.Scanning, s.ScanSince, s.ScanSeq = true, m.now, s.ScanSeq+1
	m.emit(GuardScan{s.ScanSeq, s.Guests})
}

func (m *guardStep) hunting() bool {
	return len(m.s.Guests) > 0 && (m.s.Phase == GuardKilling || m.s.Phase == GuardClean || m.s.Phase == GuardFailing)
}

// wake asks for the next tick.
func (m *guardStep) wake() {
	s, at := &m.s, ha.Instant(0)
	by := func(t ha.Instant) {
		if at == 0 || t < at {
			at = t
		}
	}
	switch s.Phase {
	case GuardPermitted:
		by(s.Deadline)
	case GuardGrace:
		by(m.killStart())
	case GuardKilling:
		if s.Held || !s.Overdue {
			by(m.failAt())
		}
	case GuardClean:
		if s.Scanning {
			by(s.ScanSince.Add(s.Timing.KillTime))
		}
	}
	if m.hunting() && !s.Scanning {
		by(s.NextScan)
	}
	if s.Sighted {
		by(s.slotsEnd())
	}
	if t, ok := m.nextFeed(); ok {
		by(t)
	}
	if at != 0 {
		m.emit(GuardWakeAt{at})
	}
}
