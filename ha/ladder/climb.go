package ladder

import (
	"fmt"
	"slices"
	"strings"

	"bascule/ha"
)

// climb asks for what is due: reads in every walk; in an active one also "off" at the present level and the ones below,
// and the next level when the present one had its time.
func (w *walk) climb() {
	level := 0
	if r := w.out.Record; r != nil {
		w.nextLevel(r)
		level = r.Level
	}
	for i, l := range w.Plan.Levels {
		if i > level {
			break
		}
		for _, d := range l {
			if d.Switches {
				w.device(d)
			}
		}
	}
}

// nextLevel moves on when the level has had LevelTimeout, or at once when none of its devices can do anything.
func (w *walk) nextLevel(r *ha.FenceRecord) {
	if w.out.Memory.LevelSince == 0 {
		w.out.Memory.LevelSince = w.Now
	}
	for r.Level < len(w.Plan.Levels)-1 {
		due := w.out.Memory.LevelSince.Add(w.Timing.LevelTimeout)
		if w.Now < due && w.hopeful(w.Plan.Levels[r.Level]) {
			w.wakeAt(due)
			return
		}
		w.step("", "wait", fmt.Sprintf("level %d gave no proof; trying level %d beside it", r.Level+1, r.Level+2))
		r.Level++
		w.out.Memory.LevelSince = w.Now
	}
}

// hopeful says whether a level can still give a proof: all its devices switch, are identified and have not failed three
// times in a row.
func (w *walk) hopeful(level []Device) bool {
	for _, d := range level {
		if !d.Switches || !w.check(d.Name).Identified(w.Facts.Incarnation) || w.out.Memory.Devices[d.Name].Failures >= 3 {
			return false
		}
	}
	return len(level) > 0
}

// device asks one device for what is due; one command at a time.
func (w *walk) device(d Device) {
	m := w.out.Memory.Devices[d.Name]
	if m.InFlight != "" {
		// The executor always answers in time; an answer that was lost all the same must not block the device for ever.
		if lost := m.Since.Add(2*w.Timing.DeviceTimeout + 2*w.Timing.OffReadGap); w.Now < lost {
			w.wakeAt(lost)
			return
		}
		m.InFlight = ""
	}
	switch {
	case w.wantsOff(d, m):
		w.off(d, &m)
	case w.Now >= m.NextRead:
		m.InFlight, m.Since = ha.DeviceRead, w.Now
		w.out.Reads = append(w.out.Reads, w.command(d, ha.DeviceRead))
	default:
		w.wakeAt(m.NextRead)
	}
	w.out.Memory.Devices[d.Name] = m
}

// wantsOff: only in an active walk, for an identified device, when a row of "off" readings has not begun, and again
// when a command failed or was accepted without effect.
func (w *walk) wantsOff(d Device, m DeviceMemory) bool {
	if w.out.Record == nil || m.FirstOff != 0 || !w.check(d.Name).Identified(w.Facts.Incarnation) {
		return false
	}
	if w.Now < m.NextOff {
		w.wakeAt(m.NextOff)
		return false
	}
	return true
}

// off commits the intent and sends the command, unless too little of our own leadership is certain (R4).
func (w *walk) off(d Device, m *DeviceMemory) {
	if w.Now.Add(w.Timing.DeviceTimeout) >= w.Deadline {
		w.wakeAt(w.Now.Add(w.Timing.RenewEvery / 2))
		return
	}
	r := w.out.Record
	if !slices.Contains(r.Commanded, d.Name) {
		r.Commanded = append(r.Commanded, d.Name)
	}
	w.step(d.Name, "off", "intended")
	m.InFlight, m.Since = ha.DeviceOff, w.Now
	m.OffAccept = 0
	m.NextOff = w.Now.Add(10 * w.Timing.OffReadGap) // a machine that reads "on" after so long is told again
	w.out.Commands = append(w.out.Commands, w.command(d, ha.DeviceOff))
}

func (w *walk) command(d Device, a ha.DeviceAction) ha.DeviceCommand {
	c := ha.DeviceCommand{Device: d.Name, Node: w.Facts.Node, Incarnation: w.Facts.Incarnation, Action: a, Term: w.Term, Timeout: w.Timing.DeviceTimeout}
	if a != ha.DeviceRead {
		c.Deadline = w.Deadline
	}
	return c
}

// describe says in the record why there is no proof yet and what the operator can do.
func (w *walk) describe() {
	r := w.out.Record
	if r == nil {
		return
	}
	r.Problem = ""
	if len(r.Proofs) > 0 {
		return
	}
	var parts []string
	for i, l := range w.Plan.Levels {
		for _, d := range l {
			if c := w.check(d.Name); d.Switches && !c.Identified(w.Facts.Incarnation) {
				why := c.Problem
				if why == "" {
					why = "it never read \"on\" with the right system UUID while the node was alive"
				}
				parts = append(parts, fmt.Sprintf("%s may not be used: %s", d.Name, why))
			} else if m := w.out.Memory.Devices[d.Name]; m.Problem != "" {
				parts = append(parts, m.Problem)
			} else if !d.Switches && i <= r.Level {
				parts = append(parts, fmt.Sprintf("look at the machine; if %s is really off: hactl confirm-off %s", w.Facts.Node, w.Facts.Node))
			}
		}
	}
	if len(parts) == 0 && len(w.Plan.Levels) == 0 {
		parts = append(parts, fmt.Sprintf("no fencing device is configured for %s; look at the machine; if it is really off: hactl confirm-off %s", w.Facts.Node, w.Facts.Node))
	}
	if w.Facts.Armed && w.Facts.LeaseGone {
		parts = append(parts, fmt.Sprintf("its own watchdog proves it %v after its lease ended", w.Facts.Timing.SelfFence()))
	}
	r.Problem = strings.Join(parts, "; ")
}
