package ladder

import (
	"fmt"
	"slices"

	"bascule/ha"
)

// MaxResets is how often one fencing tells a device to reset the machine, each time with boot_time in between: what has not come up after
// so many needs a person.
const MaxResets = 3

// A reset proves nothing and its device shows nothing: the proof is the next boot's registration (NewBoot), which ends the walk whatever
// the device says. Two things bound the harm that a reset can do. It is never repeated while the machine may still be booting: an intent
// counts as carried out from its commit on, for this leader and for the next ones, unless an answer rules out that it was heard. And it
// is committed only while neither lease nor report of another boot is in the store (ha/leader), so that a boot that is known is never
// hit. A boot that is a member again after all has shown that it was not reset; a fencing that follows begins afresh. What remains is a
// machine that came up by itself and has not registered yet, or registers while the command is on its way: the sender is dead by its
// leader's deadline (R4), the service behind the device may take its own seconds more. Such a boot has nothing protected, or runs it
// seconds old, and is proven ended by the boot after it.

// told notes resets that an earlier leader told a device: whatever became of them, the machine gets its whole time to boot, counted from
// this leader's first look, because clocks of an earlier leader say nothing here.
func (w *walk) told() {
	for _, level := range w.Plan.Levels {
		for _, d := range level {
			m := w.out.Memory.Devices[d.Name]
			if d.Kind == ha.ResetDevice && m.ResetDue == 0 && w.out.Record.Told(d.Name) > 0 {
				m.ResetDue = w.Now.Add(w.Timing.BootTime)
				w.out.Memory.Devices[d.Name] = m
			}
		}
	}
}

// wantsReset: not while a machine that was reset may still be booting, not for ever, and never a machine that runs another boot, whoever's.
func (w *walk) wantsReset(d Device, m DeviceMemory) bool {
	other := w.Facts.Registered != "" && w.Facts.Registered != w.Facts.Incarnation
	if other || w.exhausted(d) {
		return false
	}
	if w.Now < m.ResetDue {
		w.wakeAt(m.ResetDue)
		return false
	}
	return true
}

// exhausted says whether a reset device was told as often as it may be.
func (w *walk) exhausted(d Device) bool {
	return d.Kind == ha.ResetDevice && w.out.Record.Told(d.Name) >= MaxResets
}

// sendsReset counts the reset that is about to be sent, in the record that is committed before.
func (w *walk) sendsReset(d Device, m *DeviceMemory) {
	m.ResetNo = w.out.Record.Told(d.Name) + 1
	m.ResetDue = AnswerLost(w.Timing, w.Now).Add(w.Timing.BootTime) // the commit comes first, and no answer may ever tell when it was sent
	w.setTold(d.Name, m.ResetNo)
}

// tookReset notes that the device took our reset: the machine's time to boot begins with the answer at the latest.
func (w *walk) tookReset(d Device, m *DeviceMemory, r ha.DeviceReading) {
	m.Accepted, m.Problem, m.Failures = r.Asked, "", 0
	m.ResetDue = w.Now.Add(w.Timing.BootTime)
	w.step(d.Name, string(r.Action), "accepted by the device; only the machine's next boot proves anything")
}

// failedReset takes the count back when the answer rules out that the reset was heard: then it is sent again, a little later each time,
// because such services count their requests. If its intent was never stored there is nothing to take back.
func (w *walk) failedReset(d Device, m *DeviceMemory, r ha.DeviceReading) {
	if r.Perhaps {
		m.ResetDue = w.Now.Add(w.Timing.BootTime)
		return
	}
	if m.ResetNo > 0 && w.out.Record.Told(d.Name) == m.ResetNo {
		w.setTold(d.Name, m.ResetNo-1)
	}
	m.ResetNo = 0
	m.ResetDue = w.Now.Add(min(w.Timing.OffReadGap<<min(m.Failures-1, 6), 60*w.Timing.OffReadGap))
}

func (w *walk) setTold(device string, times int) {
	r := w.out.Record
	if r == nil {
		return
	}
	r.Resets = slices.DeleteFunc(slices.Clone(r.Resets), func(x ha.Resets) bool { return x.Device == device })
	if times > 0 {
		r.Resets = append(r.Resets, ha.Resets{Device: device, Times: times})
	}
}

// aboutReset says what is waited for after a reset.
func (w *walk) aboutReset(d Device, m DeviceMemory) string {
	told := w.out.Record.Told(d.Name)
	switch {
	case told == 0:
		return m.Problem
	case told >= MaxResets && w.Now >= m.ResetDue:
		return fmt.Sprintf("%s was told %d times to reset %s, which has not registered again: look at the machine; if it is really off: hactl confirm-off %s", d.Name, told, w.Facts.Node, w.Facts.Node)
	case m.Problem != "":
		return m.Problem
	}
	return fmt.Sprintf("%s was told to reset %s, which is proven ended when it has booted and registers again (within boot_time %v)", d.Name, w.Facts.Node, w.Timing.BootTime)
}
