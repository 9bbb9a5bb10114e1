package ladder

import (
	"fmt"
	"slices"
	"time"

	"bascule/ha"
)

// readPoison judges on how many disks the message was read back. The wait begins with the first read-back on a majority that this leader
// asked for: clocks of an earlier leader say nothing here.
func (w *walk) readPoison(d Device, m *DeviceMemory, r ha.DeviceReading) {
	m.Failures, m.LastRead, m.Problem = 0, r.Asked, ""
	m.NextRead = w.Now.Add(w.Timing.OffReadGap)
	result := fmt.Sprintf("message on %d of %d disks", r.Pills, r.Disks)
	if !commanded(w.out.Record, d) {
		return // somebody else's message: not ours to count on
	}
	if r.Disks > 0 && r.Pills <= r.Disks && 2*r.Pills > r.Disks {
		if m.PillSince == 0 {
			m.PillSince = r.Asked
		}
		m.PillRead = r.Asked
		if due := m.PillSince.Add(d.MsgWait); r.Asked < due { // the last look is due exactly when the wait is over
			m.NextRead = max(w.Now, min(due, w.Now.Add(5*w.Timing.OffReadGap)))
		}
	} else {
		m.PillSince, m.PillRead = 0, 0
		switch {
		case slices.Contains(w.out.Record.Delivered, d.Name):
			m.Problem = fmt.Sprintf("the message of %s is gone (%s): %s cleared it when it booted again, or somebody did; it is not written again, for it would end the next boot", d.Name, result, w.Facts.Node)
		case m.Accepted != 0:
			m.Problem = fmt.Sprintf("%s said it wrote the message, but it is read back on %d of %d disks only", d.Name, r.Pills, r.Disks)
		}
	}
	w.step(d.Name, "read", result)
}

// wantsPill: until the message was read back on a majority once. A leader that took over looks first.
func (w *walk) wantsPill(d Device, m DeviceMemory) bool {
	if m.PillSince != 0 || slices.Contains(w.out.Record.Delivered, d.Name) {
		return false
	}
	return !commanded(w.out.Record, d) || m.LastAnswer != 0
}

// pillGone says whether a delivered message was read as gone: the device has nothing more to give.
func (w *walk) pillGone(d Device, m DeviceMemory) bool {
	r := w.out.Record
	return d.Kind == ha.PoisonDevice && r != nil && slices.Contains(r.Delivered, d.Name) && m.LastRead != 0 && m.PillSince == 0
}

// deliver notes in the record whose message was read back: in every step, because a commit may be lost.
func (w *walk) deliver() {
	for _, level := range w.Plan.Levels {
		for _, d := range level {
			if r := w.out.Record; r != nil && w.out.Memory.Devices[d.Name].PillSince != 0 && !slices.Contains(r.Delivered, d.Name) {
				r.Delivered = append(r.Delivered, d.Name)
			}
		}
	}
}

// levelPoisoned says whether all poison devices of a level have proven the incarnation's end: usable for it, and our
// message read back on a majority of disks when msgwait had passed since that was first seen.
func (w *walk) levelPoisoned(level []Device) (evidence string, ok bool) {
	for _, d := range level {
		if d.Kind != ha.PoisonDevice {
			continue
		}
		m := w.out.Memory.Devices[d.Name]
		if d.Unusable(w.Facts) != "" || m.PillSince == 0 || m.PillRead < m.PillSince.Add(d.MsgWait) {
			return "", false
		}
		if evidence != "" {
			evidence += ", "
		}
		evidence += fmt.Sprintf("the message of %s has been on a majority of its disks for %v (msgwait %v)", d.Name, m.PillRead.Sub(m.PillSince).Round(time.Millisecond), d.MsgWait)
	}
	return evidence, evidence != ""
}
