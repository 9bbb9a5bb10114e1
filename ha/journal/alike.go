package journal

import (
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

const (
	// sameAgain is how often what only repeats itself is written all the same: it shows that the daemon was at work.
	sameAgain = ha.Instant(time.Minute)
	// maxSeen bounds what the thinner remembers.
	maxSeen = 512
)

// thinner leaves out what only repeats itself: an idle cluster renews its leases all day, and a store that is away is tried ten times
// a second, while what came before should be kept. Clocks and counters make no difference (printer).
type thinner struct {
	round   uint64 // print of the last round written
	roundAt ha.Instant
	seen    map[uint64]ha.Instant // prints of steps, and when they were last written
	printer printer
}

// worth: a round that decided nothing, like the last one, waits for its minute.
func (r *round) worth(t *thinner) bool {
	p := t.printer.of(r.options, r.state, r.observation, r.decision)
	if p == t.round && t.roundAt != 0 && len(r.decision.Commits) == 0 && len(r.decision.Reads) == 0 && r.now-t.roundAt < sameAgain {
		return false
	}
	t.round, t.roundAt = p, r.now
	return true
}

// worth: a tick that did nothing is none; another step is written again after a minute when it is like one before.
func (s *step) worth(t *thinner) bool {
	if _, tick := s.event.(node.Tick); tick && len(s.effects) == 0 && t.printer.of(s.before) == t.printer.of(s.after) {
		return false
	}
	p := t.printer.of(s.config, s.before, s.event, s.after, s.effects)
	if at, ok := t.seen[p]; ok && s.now-at < sameAgain {
		return false
	}
	t.keep(p, s.now)
	return true
}

func (t *thinner) keep(p uint64, now ha.Instant) {
	if t.seen == nil || len(t.seen) >= maxSeen {
		t.seen = map[uint64]ha.Instant{} // costs a few entries that say nothing new
	}
	t.seen[p] = now
}
