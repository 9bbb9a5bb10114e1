package node

import (
	"fmt"
	"slices"

	"bascule/ha"
)

// NodeEnd is how a node ends itself: the words are those of the message.
type NodeEnd string

// The ends that a message can ask for.
const (
	EndReset NodeEnd = "reset"
	EndOff   NodeEnd = "off"
	EndCrash NodeEnd = "crashdump"
)

// GuardSlot is the node's own slot on the disks of one poison device.
type GuardSlot struct {
	Device  string
	Until   ha.Instant // enough of its disks have been seen to count until then; 0: not seen by this guard
	Problem string     // of the last look, for people
	Watched bool       // this guard looks at it; false: an earlier guard of this boot did, its configuration was another
	Known   bool       // an earlier guard of this boot has watched it: what lies in it came in this boot
}

// The events and the effect of the slots.
type (
	// GuardSight is what the watch of a slot sees. Only a Message of this boot may be in it.
	GuardSight struct {
		Device  string
		Until   ha.Instant
		Problem string
		Message NodeEnd // empty: none that ends the node
		From    string  // who wrote it
	}
	// GuardObey is the agent's word. Obey: it is about to publish that messages end this node. Not: the store holds a report of this
	// boot that says they do not, so that no leader counts on it. Sent orders the words.
	GuardObey struct {
		Obey bool       `json:"obey"`
		Sent ha.Instant `json:"sent"`
	}
	// GuardEndNode ends the node at once.
	GuardEndNode struct{ How NodeEnd }
)

func (GuardSight) guardEvent()    {}
func (GuardObey) guardEvent()     {}
func (GuardEndNode) guardEffect() {}

// Obeys says whether a leader may count on it that a message ends this node. It is so from the guard's start on: only the
// agent's word ends it.
func (s GuardState) Obeys() bool { return len(s.Slots) > 0 && !s.Released }

// SlotsSeen says whether enough disks of every slot have been seen lately, so that no message can have been missed.
func (s GuardState) SlotsSeen(now ha.Instant) bool {
	return len(s.Slots) > 0 && now < s.slotsEnd()
}

// slotsEnd is when the watchdog may be fed no more while the node obeys: whoever reads a message back later than this finds a node that has
// not been fed since. The margin is for the clocks, and for what lies between a look at the clock and a feeding.
func (s GuardState) slotsEnd() ha.Instant {
	var end ha.Instant
	for i, slot := range s.Slots {
		if i == 0 || slot.Until < end {
			end = slot.Until
		}
	}
	return end.Add(-s.Timing.DriftMargin)
}

// slotsOf lists the slots of a guard that starts: those that it watches, and those that an earlier one of this boot watched, because
// a leader may still count on them.
func slotsOf(saved GuardSaved, watched []string) []GuardSlot {
	names := slices.Concat(watched, saved.Slots)
	slices.Sort(names)
	var out []GuardSlot
	for _, d := range slices.Compact(names) {
		slot := GuardSlot{Device: d, Watched: slices.Contains(watched, d), Known: slices.Contains(saved.Slots, d), Problem: "no look at the disks has ended yet"}
		if !slot.Watched {
			slot.Problem = "it stands in the configuration no more, and an earlier guard of this boot watched it"
		}
		out = append(out, slot)
	}
	return out
}

// sight takes what the watch of a slot sees.
func (m *guardStep) sight(e GuardSight) {
	s := &m.s
	i := slices.IndexFunc(s.Slots, func(x GuardSlot) bool { return x.Device == e.Device })
	if i < 0 {
		return
	}
	s.Slots = slices.Clone(s.Slots)
	s.Slots[i].Until, s.Slots[i].Problem = max(s.Slots[i].Until, e.Until), e.Problem
	if e.Message != "" && s.Ending == "" {
		s.Ending = fmt.Sprintf("message %s from %q in its slot of %s", e.Message, e.From, e.Device)
		m.poisoned(e.Message)
	}
}

// poisoned ends the node, whatever its phase, permit or word: somebody wrote the message to end it, and may count on it. A reset that
// does not work leaves the watchdog, which is not fed any more, and the kill.
func (m *guardStep) poisoned(how NodeEnd) {
	s := &m.s
	m.emit(GuardEndNode{how})
	if s.Phase == GuardFailing {
		return
	}
	m.to(GuardFailing, "%s: this node ends itself", s.Ending)
	m.stopFeeding()
	s.Scanning, s.Empty, s.NextScan = false, 0, m.now
}

// obey takes the agent's word.
func (m *guardStep) obey(e GuardObey) {
	s := &m.s
	switch {
	case len(s.Slots) == 0:
		m.refuse("no slot of this node is watched here")
	case e.Sent < s.ObeySent:
		m.refuse("a newer word about the slots is in force")
	case s.Phase == GuardFailing:
		m.refuse("this node is being ended")
	case e.Obey && !s.SlotsSeen(m.now):
		m.refuse("%s: messages would not be seen", m.slotsProblem())
	default:
		s.ObeySent = max(s.ObeySent, min(e.Sent, m.now))
		if s.Released == e.Obey {
			m.to(s.Phase, "%s", map[bool]string{true: "messages in the slots end this node from now on, and so does losing sight of them",
				false: "the store says that nobody counts on messages to this node: it lives on without seeing its slots"}[e.Obey])
		}
		if s.Released = !e.Obey; s.Released {
			s.Slots = slices.DeleteFunc(slices.Clone(s.Slots), func(x GuardSlot) bool { return !x.Watched })
		}
	}
}

// lookOut notes when the slots come into sight and when they are lost.
func (m *guardStep) lookOut() {
	s := &m.s
	seen := s.SlotsSeen(m.now)
	if seen == s.Sighted {
		return
	}
	s.Sighted = seen
	switch {
	case seen:
		m.to(s.Phase, "the slots of this node are seen on enough disks")
	case s.Obeys():
		m.to(s.Phase, "%s; the watchdog is fed again when it is seen, or when the agent has said in the store that nobody may count on messages to this node", m.slotsProblem())
	default:
		m.to(s.Phase, "%s; nobody counts on messages to this node", m.slotsProblem())
	}
}

func (m *guardStep) slotsProblem() string { return m.s.SlotsProblem(m.now) }

// SlotsProblem says for people why the slots are not seen; empty when they are, and where there are none.
func (s GuardState) SlotsProblem(now ha.Instant) string {
	if len(s.Slots) == 0 || s.SlotsSeen(now) {
		return ""
	}
	slot := slices.MinFunc(s.Slots, func(a, b GuardSlot) int { return int(a.Until - b.Until) })
	text := fmt.Sprintf("this node's slot of %s is not seen on enough disks", slot.Device)
	if slot.Problem != "" {
		text += " (" + slot.Problem + ")"
	}
	return text
}
