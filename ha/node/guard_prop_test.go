package node

import (
	"slices"
	"testing"
	"time"

	"bascule/ha"

	"pgregory.net/rapid"
)

// guardOracle watches a guard from outside: it knows what was sent and what came out, and nothing of the state.
type guardOracle struct {
	t         *rapid.T
	tm        ha.Timing
	permitted bool       // a permit was accepted and no disarming since
	deadline  ha.Instant // of the last accepted permit
	guests    []GuestRef
	empty     int // empty results in a row since the kills began
	killing   bool
	clean     bool
	mustBy    ha.Instant // feeding ends here unless clean
	held      bool
	stopped   bool
	askedScan uint64
	scanOut   bool
	scanAt    ha.Instant
	firstKill ha.Instant
}

// due says whether a step at now must begin the kills, whatever its event is.
func (o *guardOracle) due(now ha.Instant) bool {
	return o.permitted && !o.killing && !o.clean && len(o.guests) > 0 && now >= o.deadline.Add(o.tm.PermitGrace)
}

func (o *guardOracle) check(now ha.Instant, before GuardState, e GuardEvent, s GuardState, out []GuardEffect) {
	refused, kills := false, 0
	due := o.due(now)
	for _, x := range out {
		if _, ok := x.(GuardRefuse); ok {
			refused = true
		}
	}
	if due {
		o.killing, o.empty, o.scanOut = true, 0, false
		o.mustBy, o.firstKill = o.deadline.Add(o.tm.PermitGrace+o.tm.KillTime), now
	}
	if o.clean && o.scanOut && now >= o.scanAt.Add(o.tm.KillTime) { // nothing has verified it for that long
		o.clean, o.killing, o.empty, o.scanOut = false, true, 0, false
		o.firstKill, o.mustBy = now, now.Add(o.tm.KillTime)
	}
	held := o.held // an answer of the watchdog comes between what was due before it and what is due after it
	o.event(now, e, refused, due)
	for _, x := range out {
		switch x := x.(type) {
		case GuardKillWorkers, GuardKillGuests:
			kills++
			if !o.permitted || now < o.deadline.Add(o.tm.PermitGrace) {
				o.t.Fatalf("kills at %d, before deadline %d + grace", now, o.deadline)
			}
			if k, ok := x.(GuardKillGuests); ok && !slices.Equal(k.Guests, o.guests) {
				o.t.Fatalf("kills %v, the last accepted permit names %v", k.Guests, o.guests)
			}
		case GuardFeed:
			o.fed(now, x.NotAfter)
		case GuardArmWatchdog:
			o.fed(now, x.NotAfter)
		case GuardStopFeeding:
			if o.stopped || o.clean || !held && !o.held || now < o.firstKill.Add(o.tm.KillTime) {
				o.t.Fatalf("stops feeding at %d: clean %v, held %v, first kill %d", now, o.clean, held, o.firstKill)
			}
			o.stopped = true
		case GuardScan:
			o.askedScan, o.scanOut, o.scanAt = x.Seq, true, now
		}
	}
	if due && kills != 2 {
		o.t.Fatalf("the grace ended before %d and no kill begins: %v", now, out)
	}
	if o.killing && !o.clean && o.held && !o.stopped && now >= o.firstKill.Add(o.tm.KillTime) {
		o.t.Fatalf("not clean since %d and not failing at %d", o.firstKill, now)
	}
	if s.Deadline > now.Add(o.tm.LeaseTTL) {
		o.t.Fatalf("deadline %d lies more than a lease ahead of %d", s.Deadline, now)
	}
	if refused && len(before.Guests) == len(s.Guests) && !slices.Equal(before.Guests, s.Guests) {
		o.t.Fatalf("a refused event changed the guests")
	}
}

func (o *guardOracle) fed(now, notAfter ha.Instant) {
	if o.stopped {
		o.t.Fatalf("feeds at %d after it stopped feeding", now)
	}
	if o.killing && !o.clean && (now >= o.mustBy || notAfter > o.mustBy) {
		o.t.Fatalf("may feed at %d until %d, not clean since %d", now, notAfter, o.mustBy)
	}
	if o.permitted && len(o.guests) > 0 && !o.clean && notAfter > o.deadline.Add(o.tm.PermitGrace+o.tm.KillTime) && !o.killing {
		o.t.Fatalf("a feeding may be carried out at %d, beyond the kill_time of deadline %d", notAfter, o.deadline)
	}
}

func (o *guardOracle) event(now ha.Instant, e GuardEvent, refused, due bool) {
	switch e := e.(type) {
	case GuardPermit:
		inForce := o.killing && !o.clean || e.Deadline <= now || e.Deadline < o.deadline
		if inForce && !refused && !o.stopped {
			o.t.Fatalf("accepted %v at %d", e, now)
		}
		if !refused {
			o.permitted, o.killing, o.clean, o.scanOut = true, false, false, false
			o.deadline, o.guests = min(e.Deadline, now.Add(o.tm.LeaseTTL)), sortedGuests(e.Guests)
		}
	case GuardDisarm:
		if !refused {
			if o.permitted && len(o.guests) > 0 && !o.clean && now >= o.deadline {
				o.t.Fatalf("disarmed at %d with guests and a permit that ended at %d", now, o.deadline)
			}
			o.permitted, o.killing, o.clean, o.scanOut = false, false, false, false
		}
	case GuardWatchdogOK:
		if !o.stopped {
			o.held = e.Op == WatchdogOpen
		}
	case GuardScanResult:
		if e.Seq != o.askedScan || !o.scanOut || due {
			return
		}
		o.scanOut = false
		if len(e.Remaining) > 0 || e.Problem != "" {
			if o.clean {
				o.killing, o.firstKill, o.mustBy = true, now, now.Add(o.tm.KillTime)
			}
			o.empty, o.clean = 0, false
			return
		}
		tooLate := o.held && now >= o.firstKill.Add(o.tm.KillTime)
		if o.empty++; o.empty >= 2 && o.killing && !o.stopped && !tooLate {
			o.clean = true
		}
	}
}

func TestGuardProperties(t *testing.T) {
	tm := guardTestTiming(t)
	rapid.Check(t, func(t *rapid.T) {
		o := &guardOracle{t: t, tm: tm}
		now, s := guardTestStart, NewGuard(tm, "boot1", GuardSaved{})
		wake := ha.Instant(0)
		var opening, disarming bool
		for range rapid.IntRange(1, 120).Draw(t, "steps") {
			pause := time.Duration(rapid.IntRange(0, 1200).Draw(t, "ms")) * time.Millisecond
			if next := now.Add(pause); wake == 0 || next < wake || rapid.IntRange(0, 9).Draw(t, "stall") == 0 {
				now = next // a stalled guard is woken late, one in ten times
			} else {
				now = max(now, wake)
			}
			e := drawGuardEvent(t, now, s, opening, disarming)
			before := s
			var out []GuardEffect
			s, out = GuardStep(now, s, e)
			o.check(now, before, e, s, out)
			wake = 0
			opening, disarming = opening && !guardIsOp(e, WatchdogOpen), disarming && !guardIsOp(e, WatchdogDisarm)
			for _, x := range out {
				switch x := x.(type) {
				case GuardWakeAt:
					wake = x.At
					if wake < now {
						t.Fatalf("asks at %d to be woken at %d", now, wake)
					}
				case GuardArmWatchdog:
					opening = true
				case GuardDisarmWatchdog:
					disarming = true
				}
			}
		}
	})
}

func guardIsOp(e GuardEvent, op WatchdogOp) bool {
	return e == GuardEvent(GuardWatchdogOK{op})
}

func drawGuardEvent(t *rapid.T, now ha.Instant, s GuardState, opening, disarming bool) GuardEvent {
	switch rapid.IntRange(0, 13).Draw(t, "event") {
	case 0, 1, 2:
		return GuardPermit{
			Deadline: now.Add(time.Duration(rapid.IntRange(-1000, 7000).Draw(t, "length")) * time.Millisecond),
			Guests:   guardRefs(rapid.SliceOfN(rapid.Map(rapid.IntRange(101, 104), func(i int) ha.VMID { return ha.VMID(i) }), 0, 3).Draw(t, "guests")...),
		}
	case 3:
		return GuardArm{}
	case 4:
		if rapid.IntRange(0, 3).Draw(t, "really") == 0 {
			return GuardDisarm{}
		}
	case 5, 6:
		if opening {
			return GuardWatchdogOK{WatchdogOpen}
		}
		if disarming {
			return GuardWatchdogOK{WatchdogDisarm}
		}
	case 7, 8, 9, 10:
		return GuardScanResult{Seq: s.ScanSeq}
	case 11:
		return GuardScanResult{Seq: s.ScanSeq - uint64(rapid.IntRange(0, 1).Draw(t, "stale")), Remaining: []GuardRemnant{guardLeft}}
	case 12:
		return GuardScanResult{Seq: s.ScanSeq, Problem: "cannot read"}
	}
	return GuardTick{}
}

// TestGuardIsPure: the same state and event give the same answer, and the state that went in stays as it was.
func TestGuardIsPure(t *testing.T) {
	tm := guardTestTiming(t)
	rapid.Check(t, func(t *rapid.T) {
		now, s := guardTestStart, NewGuard(tm, "boot1", GuardSaved{})
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 1500).Draw(t, "ms")) * time.Millisecond)
			e := drawGuardEvent(t, now, s, s.Opening, s.Disarming)
			before := slices.Clone(s.Guests)
			s1, out1 := GuardStep(now, s, e)
			s2, out2 := GuardStep(now, s, e)
			if len(out1) != len(out2) || s1.Phase != s2.Phase || !slices.Equal(before, s.Guests) {
				t.Fatalf("not pure: %v / %v", out1, out2)
			}
			s = s1
		}
	})
}
