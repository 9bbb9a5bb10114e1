package ladder

import (
	"fmt"
	"slices"

	"bascule/ha"
)

// After says what becomes of a node's machine when its end is proven.
type After string

// What may follow a proof. Empty is StayOff.
const (
	StayOff  After = "stay-off" // a person switches it on
	SwitchOn After = "on"       // what this fencing switched off is switched on again
)

// onTries is how often a device is told "on" for one fencing; the pause after a try without effect begins with ten read gaps and doubles.
const onTries = 4

// OnDevice is what this leader remembers of a power device that is to switch its machine on again.
type OnDevice struct {
	InFlight ha.DeviceAction // command without an answer yet, "" when none
	Since    ha.Instant      // when that command was handed out
	Next     ha.Instant      // when it is read next
	Told     ha.Instant      // when it was last told "on"; 0: never
	Off      bool            // it reads off, and was not told anything since
	WasOff   bool            // it has read off since the end was recorded
	On       bool            // it reads on, after it was off
	Problem  string          // of the last answer
}

// OnMemory is the volatile part of switching one incarnation's machine on again.
type OnMemory struct {
	Incarnation ha.Incarnation
	Devices     map[string]OnDevice
}

// SwitchedOff are the power devices that this fencing told to switch off, and that still may be used: nothing else is ever switched on. A
// machine that was found off was switched off by somebody who has his reasons.
func SwitchedOff(p Plan, f Facts, r *ha.FenceRecord) []Device {
	var out []Device
	for _, level := range p.Levels {
		for _, d := range level {
			same := func(o Device) bool { return o.Name == d.Name }
			if d.Kind == ha.PowerDevice && commanded(r, d) && d.Unusable(f) == "" && !slices.ContainsFunc(out, same) {
				out = append(out, d)
			}
		}
	}
	return out
}

// SwitchOnAgain takes one step towards a machine that runs again. The caller has seen to it that its end is recorded: a step never looks for
// proofs. Each device is read first, told "on" only when it literally reads off for the right machine, and read back; the record counts how
// often, so that the tries are bounded across leaders. The Record must be committed before Commands are sent.
func SwitchOnAgain(in Input, mem OnMemory) (Output, OnMemory) {
	w := newWalk(in)
	next := OnMemory{Incarnation: in.Facts.Incarnation, Devices: map[string]OnDevice{}}
	given, all := "", true
	for _, d := range SwitchedOff(in.Plan, in.Facts, in.Record) {
		m := OnDevice{}
		if mem.Incarnation == in.Facts.Incarnation {
			m = mem.Devices[d.Name]
		}
		for _, r := range in.Readings {
			if r.Device == d.Name && r.Node == in.Facts.Node && r.Incarnation == in.Facts.Incarnation && r.Action == m.InFlight && r.Asked >= m.Since {
				w.heardOn(d, &m, r)
			}
		}
		if !m.On && !w.driveOn(d, &m) {
			given = fmt.Sprintf("%s was told to switch %s on %d times, and it still reads off", d.Name, in.Facts.Node, onTries)
			if m.Problem != "" {
				given += ": " + m.Problem
			}
		}
		all = all && m.On
		next.Devices[d.Name] = m
	}
	w.out.Record.Problem = given
	if all && len(next.Devices) > 0 {
		w.out.Record.RunsAgain = true
		w.step("", string(ha.DeviceOn), "the machine is on")
	}
	return w.out, next
}

// heardOn takes the answer that was waited for.
func (w *walk) heardOn(d Device, m *OnDevice, r ha.DeviceReading) {
	m.InFlight, m.Off, m.Problem = "", false, r.Problem
	m.Next = w.Now.Add(2 * w.Timing.OffReadGap)
	told := r.SystemUUID != "" || w.Facts.check(d).UUIDMatched
	switch {
	case r.Problem != "":
		m.Next = w.Now.Add(5 * w.Timing.OffReadGap)
	case r.Action == ha.DeviceOn:
		m.Next = w.Now.Add(w.Timing.OffReadGap)
		w.step(d.Name, string(r.Action), "accepted by the device; reading back")
		return
	case told && !ha.SameUUID(r.SystemUUID, w.Facts.SystemUUID):
		m.Problem = fmt.Sprintf("%s answers for another machine (system UUID %q, %s has %q): correct its address", d.Name, r.SystemUUID, w.Facts.Node, w.Facts.SystemUUID)
		m.Next = w.Now.Add(5 * w.Timing.OffReadGap)
	default:
		m.Off = r.Power == ha.PowerOff
		m.WasOff = m.WasOff || m.Off
		m.On = r.Power == ha.PowerOn && (m.WasOff || slices.Contains(w.out.Record.SwitchedOn, d.Name)) // else our "off" has yet to take effect
		w.step(d.Name, string(r.Action), string(r.Power))
		return
	}
	w.step(d.Name, string(r.Action), m.Problem)
}

// driveOn asks a device for what is due; false: it was told often enough.
func (w *walk) driveOn(d Device, m *OnDevice) bool {
	if m.InFlight != "" {
		if lost := AnswerLost(w.Timing, m.Since); w.Now < lost {
			w.wakeAt(lost)
			return true
		}
		m.InFlight = ""
	}
	tries := 0
	for _, name := range w.out.Record.SwitchedOn {
		if name == d.Name {
			tries++
		}
	}
	due := ha.Instant(0)
	if tries > 0 {
		if m.Told == 0 { // by an earlier leader
			m.Told = w.Now
		}
		due = m.Told.Add(10 * w.Timing.OffReadGap << (tries - 1))
	}
	switch {
	case m.Off && tries >= onTries:
		return w.Now < due
	case m.Off && w.Now >= due:
		w.sendOn(d, m)
	case w.Now >= m.Next:
		m.InFlight, m.Since = ha.DeviceRead, w.Now
		w.out.Reads = append(w.out.Reads, w.command(d, ha.DeviceRead))
	default:
		w.wakeAt(m.Next)
	}
	return true
}

// sendOn commits the intent and sends the command, unless too little of our own leadership is certain (R4).
func (w *walk) sendOn(d Device, m *OnDevice) {
	if w.Now.Add(w.Timing.DeviceTimeout) >= w.Deadline {
		w.wakeAt(w.Now.Add(w.Timing.RenewEvery / 2))
		return
	}
	w.out.Record.SwitchedOn = append(w.out.Record.SwitchedOn, d.Name)
	w.step(d.Name, string(ha.DeviceOn), "intended")
	m.InFlight, m.Since, m.Told, m.Off = ha.DeviceOn, w.Now, w.Now, false
	w.out.Commands = append(w.out.Commands, w.command(d, ha.DeviceOn))
}
