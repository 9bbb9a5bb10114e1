package node

import (
	"bascule/ha"
)

// GuardPhase is what the guard is doing.
type GuardPhase string

// The guard's phases. The arrows:
//
//	idle ─permit→ permitted ─deadline→ grace ─permit_grace→ killing ─two empty scans→ clean ─permit→ permitted
//	                 ↑──────permit───────┘                     │  ↑────a process appears────┘
//	                                                           └─kill_time, watchdog held→ failing (until the node's end)
//	idle, permitted, clean ─disarm→ disarmed ─permit→ permitted
//	any ─a message in the node's own slot→ failing
const (
	GuardIdle      GuardPhase = "idle"      // no permit was ever received in this boot: nothing to kill
	GuardPermitted GuardPhase = "permitted" // the permit's deadline lies ahead
	GuardGrace     GuardPhase = "grace"     // the permit has ended; a renewal that was late may still come
	GuardKilling   GuardPhase = "killing"   // workers and guests are being killed, round after round
	GuardClean     GuardPhase = "clean"     // verified: nothing is left; the watchdog is fed, the scan goes on
	GuardFailing   GuardPhase = "failing"   // not clean in time, or a message said so: the watchdog is fed no more and ends the node
	GuardDisarmed  GuardPhase = "disarmed"  // the agent stopped in order, after committing so: nothing is killed
)

// GuestRef names a guest to the guard.
type GuestRef = ha.GuestRef

// GuardRemnant is a process of a protected guest that a scan found alive.
type GuardRemnant struct {
	Guest ha.VMID `json:"guest"`
	PID   int     `json:"pid"`
	What  string  `json:"what"` // worker, guest, monitor, other
}

// GuardSaved is what the guard keeps across its own restarts within one boot (R2). It holds no permission that the
// agent did not give: a restarted guard goes on with the deadline found here.
type GuardSaved struct {
	Incarnation ha.Incarnation `json:"incarnation"`
	Deadline    ha.Instant     `json:"deadline"`
	Guests      []GuestRef     `json:"guests"`
	Permitted   bool           `json:"permitted"` // a permit was received in this boot
	Want        bool           `json:"want"`      // the agent asked for an armed watchdog
	Held        bool           `json:"held"`      // it was armed and has not been disarmed since
	Disarmed    bool           `json:"disarmed"`
	Failing     bool           `json:"failing"`
	Slots       []string       `json:"slots,omitempty"`    // poison devices whose slots were watched in this boot
	Released    bool           `json:"released,omitempty"` // the agent's last word: the store says that nobody counts on them
}

// GuardState is everything the guard's machine knows. Make it with NewGuard; only GuardStep changes it.
type GuardState struct {
	Timing      ha.Timing
	Incarnation ha.Incarnation // of this boot; empty: not known yet
	Phase       GuardPhase
	Deadline    ha.Instant // of the permit; of the last one once it has ended
	Sent        ha.Instant // when the agent sent the permit in force: orders permits that overtook each other
	Guests      []GuestRef // the protected guests, ascending; replaced only by a permit

	// Want, Held and Healthy describe the watchdog: asked for; armed at some time and not disarmed since, so that it
	// may fire; open and taking our feedings now.
	Want, Held, Healthy bool
	Opening             bool       // an open is under way
	Disarming           bool       // a disarm is under way or failed and is to be repeated
	Fault               string     // the watchdog's last problem, empty when healthy
	NextFeed            ha.Instant // next feeding, opening or disarming

	KillFrom  ha.Instant // the moment that kill_time counts from: deadline + permit_grace
	FirstKill ha.Instant // when this guard really began; later than KillFrom if it was stopped meanwhile
	Overdue   bool       // kill_time has passed without a watchdog to end the node: said once
	Scanning  bool       // a scan is under way
	ScanSeq   uint64     // of the last scan asked for; results of older ones count for nothing
	ScanSince ha.Instant // when it was asked for
	NextScan  ha.Instant
	Empty     int            // consecutive scans that found nothing
	Remaining []GuardRemnant // of the last scan
	Problem   string         // why the last scan was no verification

	Slots    []GuardSlot // the node's own slots on shared disks, by device
	Released bool        // the store says that nobody counts on messages to this node: it may be fed without seeing its slots
	ObeySent ha.Instant  // when the agent sent its last word about that: orders words that overtook each other
	Sighted  bool        // the slots were in sight at the last step
	Ending   string      // the message that ends the node; empty: none was seen
}

// Armed says whether the guard holds a watchdog that will end the node if the guard stops: what the agent publishes
// and what SelfFenceElapsed may be built on.
func (s GuardState) Armed() bool {
	return s.Held && s.Healthy && s.Phase != GuardFailing
}

// Free says whether the guard may end now, and another begin, at no cost: it counts no deadline, has nothing to kill, and holds no watchdog
// that would end the node.
func (s GuardState) Free() bool {
	return !s.Held && !s.Want && !s.Opening && !s.Disarming && (s.Phase == GuardIdle || s.Phase == GuardDisarmed)
}

// Saved returns what must outlive a crash of the guard.
func (s GuardState) Saved() GuardSaved {
	return GuardSaved{
		Incarnation: s.Incarnation, Deadline: s.Deadline, Guests: s.Guests,
		Permitted: s.Phase != GuardIdle && s.Deadline != 0,
		Want:      s.Want, Held: s.Held, Disarmed: s.Phase == GuardDisarmed, Failing: s.Phase == GuardFailing,
		Slots: s.slotNames(), Released: s.Released,
	}
}

func (s GuardState) slotNames() []string {
	var out []string
	for _, x := range s.Slots {
		out = append(out, x.Device)
	}
	return out
}

// GuardEvent is something that happened to the guard.
type GuardEvent interface{ guardEvent() }

// The guard's events.
type (
	// GuardPermit is the agent's word that the node may run these guests until Deadline. Guests must name a guest
	// before anything starts it. Sent orders permits; 0 means not known.
	GuardPermit struct {
		Deadline    ha.Instant     `json:"deadline"`
		Guests      []GuestRef     `json:"guests"`
		Incarnation ha.Incarnation `json:"incarnation"`
		Sent        ha.Instant     `json:"sent,omitempty"`
	}
	// GuardEnd says that the permit ended before its deadline: the store says that the lease is gone. Sent orders it among the permits.
	GuardEnd struct {
		Sent ha.Instant `json:"sent"`
	}
	// GuardArm asks for an armed watchdog.
	GuardArm struct{}
	// GuardDisarm is the agent's orderly stop, sent only after it committed `disarmed`. Sent orders it among the permits: one that was
	// sent before it and comes later must not make the guests subject to a deadline again. 0: of an older agent.
	GuardDisarm struct {
		Sent ha.Instant
	}
	// GuardTick says that time has passed.
	GuardTick struct{}
	// GuardScanResult answers the GuardScan with the same Seq. With a Problem it verifies nothing.
	GuardScanResult struct {
		Seq       uint64
		Remaining []GuardRemnant
		Problem   string
	}
	// GuardWatchdogOK says that the watchdog was opened (armed) or disarmed.
	GuardWatchdogOK struct{ Op WatchdogOp }
	// GuardWatchdogFault says that the watchdog refused.
	GuardWatchdogFault struct {
		Op      WatchdogOp
		Problem string
	}
)

// WatchdogOp names what was done to the watchdog.
type WatchdogOp string

// The operations on a watchdog that are reported back.
const (
	WatchdogOpen   WatchdogOp = "open"
	WatchdogFeed   WatchdogOp = "feed"
	WatchdogDisarm WatchdogOp = "disarm"
)

func (GuardPermit) guardEvent()        {}
func (GuardEnd) guardEvent()           {}
func (GuardArm) guardEvent()           {}
func (GuardDisarm) guardEvent()        {}
func (GuardTick) guardEvent()          {}
func (GuardScanResult) guardEvent()    {}
func (GuardWatchdogOK) guardEvent()    {}
func (GuardWatchdogFault) guardEvent() {}

// GuardEffect is something the guard's shell is to do, in the order given.
type GuardEffect interface{ guardEffect() }

// The guard's effects.
type (
	// GuardArmWatchdog opens the watchdog, which arms it. Not after NotAfter: opening counts as a feeding.
	GuardArmWatchdog struct{ NotAfter ha.Instant }
	// GuardFeed feeds the watchdog, unless it is later than NotAfter: a feeding that was held up must not lengthen W.
	GuardFeed struct{ NotAfter ha.Instant }
	// GuardStopFeeding closes the watchdog and leaves it armed. It is the last thing that is done to it in this boot.
	GuardStopFeeding struct{}
	// GuardDisarmWatchdog disarms the watchdog.
	GuardDisarmWatchdog struct{}
	// GuardKillWorkers kills the PVE workers of these guests and what they started.
	GuardKillWorkers struct{ Guests []GuestRef }
	// GuardKillGuests kills these guests.
	GuardKillGuests struct{ Guests []GuestRef }
	// GuardScan looks for processes of these guests; it comes after the kills of its round.
	GuardScan struct {
		Seq    uint64
		Guests []GuestRef
	}
	// GuardLog reports a transition.
	GuardLog struct{ Transition ha.Transition }
	// GuardRefuse says that the event was not accepted and why; the state is as if it had been a tick.
	GuardRefuse struct{ Reason string }
	// GuardWakeAt asks for a tick at this moment; the last effect of a step, absent when nothing is awaited.
	GuardWakeAt struct{ At ha.Instant }
)

func (GuardArmWatchdog) guardEffect()    {}
func (GuardFeed) guardEffect()           {}
func (GuardStopFeeding) guardEffect()    {}
func (GuardDisarmWatchdog) guardEffect() {}
func (GuardKillWorkers) guardEffect()    {}
func (GuardKillGuests) guardEffect()     {}
func (GuardScan) guardEffect()           {}
func (GuardLog) guardEffect()            {}
func (GuardRefuse) guardEffect()         {}
func (GuardWakeAt) guardEffect()         {}
