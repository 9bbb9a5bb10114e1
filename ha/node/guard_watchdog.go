package node

import (
	"bascule/ha"
)

// arm takes the agent's wish for an armed watchdog. An armed guard vouches for the guests, so it must know of them
// under a permit, or there must be none.
func (m *guardStep) arm() {
	s := &m.s
	switch {
	case s.Phase != GuardFailing && m.blind():
		m.refuse("%s: arm again when it is, or when the agent has said in the store that nobody may count on messages to this node", m.slotsProblem())
	case s.Phase == GuardFailing || !m.mayFeed():
		m.refuse("guests are being killed: arm again once clean")
	case s.Phase == GuardDisarmed && len(s.Guests) > 0:
		m.refuse("disarmed with %d guests and no permit: send a permit first", len(s.Guests))
	case s.Disarming && s.Fault == "":
		m.refuse("the watchdog is being disarmed: arm again when that is done")
	default:
		if s.Phase == GuardDisarmed {
			m.to(GuardIdle, "the agent is back")
		}
		s.Want, s.Disarming = true, false
		s.NextFeed = min(s.NextFeed, m.now)
	}
}

// disarm takes the agent's orderly stop. After the permit's end it comes too late: the kill goes first, and its end
// (clean) is soon enough.
func (m *guardStep) disarm(e GuardDisarm) {
	s := &m.s
	switch s.Phase {
	case GuardGrace, GuardKilling, GuardFailing:
		m.refuse("the permit has ended: the guests are killed before anything is disarmed")
	default:
		if s.Phase != GuardDisarmed {
			m.to(GuardDisarmed, "the agent stopped in order; %d guests are left as they are", len(s.Guests))
		}
		s.Sent = max(s.Sent, min(e.Sent, m.now))
		s.Want, s.Healthy, s.Opening = false, false, false
		s.Disarming, s.Scanning, s.Fault = true, false, ""
		s.NextFeed = m.now
	}
}

func (m *guardStep) watchdogOK(e GuardWatchdogOK) {
	s := &m.s
	switch {
	case s.Phase == GuardFailing:
	case e.Op == WatchdogOpen:
		s.Held, s.Opening = true, false
		s.Healthy, s.Fault = s.Want, ""
		s.NextFeed = m.now.Add(s.Timing.WatchdogFeed)
	case e.Op == WatchdogDisarm && s.Disarming:
		s.Held, s.Healthy, s.Disarming, s.Fault = false, false, false, ""
	}
}

// watchdogFault: a watchdog that does not answer is not armed for the leader, but may still fire: Held stays. A broken
// feeding is answered by opening anew at once, everything else is repeated at the feeding pace.
func (m *guardStep) watchdogFault(e GuardWatchdogFault) {
	s := &m.s
	if s.Phase == GuardFailing {
		return
	}
	if s.Fault != e.Problem {
		m.to(s.Phase, "watchdog %s failed: %s", e.Op, e.Problem)
	}
	s.Fault, s.Healthy = e.Problem, false
	s.NextFeed = m.now.Add(s.Timing.WatchdogFeed)
	switch e.Op {
	case WatchdogOpen:
		s.Opening = false
	case WatchdogFeed:
		s.NextFeed = m.now
	}
}

// feedEnd is the last moment at which the watchdog may be fed if nothing changes: the end of kill_time, and while the node obeys
// messages the end of sight. bounded is false where neither is due.
func (m *guardStep) feedEnd() (end ha.Instant, bounded bool) {
	switch m.s.Phase {
	case GuardPermitted, GuardGrace:
		end, bounded = m.killStart().Add(m.s.Timing.KillTime), true
	case GuardKilling:
		end, bounded = m.s.KillFrom.Add(m.s.Timing.KillTime), true
	}
	if m.s.Obeys() {
		if e := m.s.slotsEnd(); !bounded || e < end {
			end, bounded = e, true
		}
	}
	return end, bounded
}

// blind says whether the node obeys messages that it could not see now.
func (m *guardStep) blind() bool { return m.s.Obeys() && !m.s.SlotsSeen(m.now) }

func (m *guardStep) mayFeed() bool {
	end, bounded := m.feedEnd()
	return m.s.Phase != GuardFailing && (!bounded || m.now < end)
}

// nextFeed is when feed has something to do.
func (m *guardStep) nextFeed() (ha.Instant, bool) {
	s := &m.s
	wanted := s.Want && m.mayFeed() && (s.Healthy || !s.Opening)
	return s.NextFeed, s.Phase != GuardFailing && (s.Disarming || wanted)
}

// feed keeps the watchdog fed, opens it when it is wanted and not open, or disarms it.
func (m *guardStep) feed() {
	s := &m.s
	if at, due := m.nextFeed(); !due || m.now < at {
		return
	}
	s.NextFeed = m.now.Add(s.Timing.WatchdogFeed)
	notAfter := s.NextFeed
	if end, bounded := m.feedEnd(); bounded {
		notAfter = min(notAfter, end)
	}
	switch {
	case s.Disarming:
		m.emit(GuardDisarmWatchdog{})
	case s.Healthy:
		m.emit(GuardFeed{notAfter})
	default:
		s.Opening = true
		m.emit(GuardArmWatchdog{notAfter})
	}
}
