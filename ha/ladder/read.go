package ladder

import (
	"fmt"

	"bascule/ha"
)

// take judges one answer of the executor. Answers about another incarnation are dropped: they were asked
// before this one was known.
func (w *walk) take(r ha.DeviceReading) {
	d, planned := w.Plan.Device(r.Device)
	if r.Node != w.Facts.Node || r.Incarnation != w.Facts.Incarnation || !planned {
		return
	}
	m := w.out.Memory.Devices[r.Device]
	if m.InFlight == r.Action {
		m.InFlight = ""
	}
	m.LastAnswer = r.Answered
	switch {
	case r.Problem != "":
		w.failed(&m, r)
		if r.Action == ha.DeviceReset && d.Kind == ha.ResetDevice {
			w.failedReset(d, &m, r)
		}
	case r.Action == ha.DeviceReset && d.Kind == ha.ResetDevice:
		w.tookReset(d, &m, r)
	case r.Action == d.Kind.Action():
		m.Accepted, m.Problem = r.Asked, ""
		m.NextRead = w.Now
		w.step(r.Device, string(r.Action), "accepted by the device; reading back")
	case r.Action != ha.DeviceRead:
	case d.Kind == ha.PowerDevice:
		w.readPower(d, &m, r)
	case d.Kind == ha.StorageDevice:
		w.readStorage(d, &m, r)
	case d.Kind == ha.PoisonDevice:
		w.readPoison(d, &m, r)
	}
	w.out.Memory.Devices[r.Device] = m
}

// failed notes a command without a good answer and when to try again: 1, 2, 4, 8, then every 10 s. It breaks the row of
// "off" readings; a revocation or a message that was read back stands until a reading says otherwise.
func (w *walk) failed(m *DeviceMemory, r ha.DeviceReading) {
	m.Failures++
	m.Problem = r.Problem
	wait := min(w.Timing.OffReadGap<<min(m.Failures-1, 4), 10*w.Timing.OffReadGap)
	if r.Action == ha.DeviceRead {
		m.FirstOff, m.Confirmed = 0, false
		m.LastPower = ha.PowerUnknown
		m.NextRead = w.Now.Add(wait)
	} else {
		m.NextCommand = w.Now.Add(wait)
	}
	w.step(r.Device, string(r.Action), r.Problem)
}

// readPower judges a power reading. Only a literal "off" of the right machine counts; after an "off" of ours that the device
// accepted one read-back is enough, else two at least OffReadGap apart.
func (w *walk) readPower(d Device, m *DeviceMemory, r ha.DeviceReading) {
	m.Failures, m.LastRead = 0, r.Asked
	m.LastPower = r.Power
	// A person's test vouches for a device that tells no UUID, never for one that tells another's or stopped telling.
	if told := r.SystemUUID != "" || w.Facts.check(d).UUIDMatched; told && !ha.SameUUID(r.SystemUUID, w.Facts.SystemUUID) {
		m.FirstOff, m.Confirmed = 0, false
		m.NextRead = w.Now.Add(w.Timing.OffReadGap)
		m.Problem = fmt.Sprintf("%s answers for another machine (system UUID %q, %s has %q): correct its address", r.Device, r.SystemUUID, w.Facts.Node, w.Facts.SystemUUID)
		w.step(r.Device, "read", m.Problem)
		return
	}
	m.Problem = ""
	if r.Power != ha.PowerOff {
		m.FirstOff, m.Confirmed = 0, false
		pause := w.Timing.OffReadGap
		if m.Accepted != 0 {
			pause = w.Timing.DevicePoll
			if r.Power != ha.PowerPoweringOff {
				m.Problem = fmt.Sprintf("%s said it switched %s off, but reads %q: the machine runs on", r.Device, w.Facts.Node, r.Power)
			}
		}
		m.NextRead = w.Now.Add(pause)
		w.step(r.Device, "read", string(r.Power))
		return
	}
	if m.FirstOff == 0 {
		m.FirstOff = r.Asked
	}
	ours := m.Accepted != 0 && r.Asked >= m.Accepted
	m.Confirmed = ours || r.Asked.Sub(m.FirstOff) >= w.Timing.OffReadGap
	m.NextRead = w.Now.Add(w.Timing.OffReadGap)
	if !m.Confirmed { // the second read is due OffReadGap after the first was asked, not after it was answered
		m.NextRead = max(w.Now, m.FirstOff.Add(w.Timing.OffReadGap))
	}
	w.step(r.Device, "read", "off")
}
