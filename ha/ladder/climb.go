package ladder

import (
	"fmt"
	"slices"

	"bascule/ha"
)

// climb asks for what is due: reads of power, of every level, in every walk, because "off" is a proof whoever finds it; in an active one
// also the commands of the present level and the ones below, and the next level when the present one had its time. Storage devices race
// with the others: their proof is not complete.
func (w *walk) climb() {
	level := 0
	if r := w.out.Record; r != nil {
		w.nextLevel(r)
		level = r.Level
	}
	for i, l := range w.Plan.Levels {
		for _, d := range l {
			reached := i <= level && d.Kind.Acts() || commanded(w.out.Record, d) && d.Kind == ha.StorageDevice
			if reached || d.Kind == ha.PowerDevice {
				w.device(d, reached)
			}
		}
	}
}

// nextLevel moves on when the level has had LevelTimeout, or at once when none of its devices can do anything.
func (w *walk) nextLevel(r *ha.FenceRecord) {
	if w.Facts.Held != "" { // a level's time begins when its devices may be told something
		w.out.Memory.LevelSince = 0
		return
	}
	if w.out.Memory.LevelSince == 0 {
		w.out.Memory.LevelSince = w.Now
	}
	for r.Level < len(w.Plan.Levels)-1 {
		due := w.out.Memory.LevelSince.Add(w.Timing.LevelTimeout)
		if w.Now < due && w.hopeful(w.Plan.Levels[r.Level]) {
			w.wakeAt(due)
			return
		}
		w.step("", "wait", fmt.Sprintf("level %d gave no complete proof; trying level %d beside it", r.Level+1, r.Level+2))
		r.Level++
		w.out.Memory.LevelSince = w.Now
	}
}

// hopeful says whether waiting for a level can still bring something: all its devices that could prove everything are usable
// and have not failed three times in a row. A level of storage devices alone is worth a wait until it has proven what it can.
func (w *walk) hopeful(level []Device) bool {
	complete, storages := false, false
	for _, d := range level {
		m := w.out.Memory.Devices[d.Name]
		works := d.Unusable(w.Facts) == "" && m.Failures < 3 && !w.pillGone(d, m) && !w.exhausted(d)
		switch {
		case d.Kind == ha.StorageDevice:
			storages = storages || works && !within(d.Storages, m.Revoked)
		case !d.Kind.Acts() || !works:
			return false
		default:
			complete = true
		}
	}
	return complete || storages
}

// AnswerLost is when an answer counts as lost that was asked for at `since`: the executor always answers in time, but one that is lost all
// the same must not block its device for ever.
func AnswerLost(t ha.Timing, since ha.Instant) ha.Instant {
	return since.Add(2*t.DeviceTimeout + 2*t.OffReadGap)
}

// device asks one device for what is due; one command at a time, and commands only when its level is reached.
func (w *walk) device(d Device, reached bool) {
	m := w.out.Memory.Devices[d.Name]
	wants := reached && w.wantsCommand(d, m)
	w.out.Wants = w.out.Wants || wants
	if m.InFlight != "" {
		if lost := AnswerLost(w.Timing, m.Since); w.Now < lost {
			w.wakeAt(lost)
			return
		}
		m.InFlight = ""
	}
	switch {
	case wants && w.Facts.Held == "":
		w.send(d, &m)
	case !w.wantsRead(d):
	case w.Now >= m.NextRead:
		m.InFlight, m.Since = ha.DeviceRead, w.Now
		w.out.Reads = append(w.out.Reads, w.command(d, ha.DeviceRead))
	default:
		w.wakeAt(m.NextRead)
	}
	w.out.Memory.Devices[d.Name] = m
}

// wantsRead: power is read in every walk. What a storage or poison device shows means something only once we have told it; a reset device
// shows nothing.
func (w *walk) wantsRead(d Device) bool {
	if d.Kind == ha.ResetDevice {
		return false
	}
	return d.Kind == ha.PowerDevice || commanded(w.out.Record, d) && d.Unfit(w.Facts) == ""
}

// wantsCommand: only in an active walk about a node that is not back in order, for a usable device, when what the device should do is
// not done yet, and again when a command failed or was accepted without effect.
func (w *walk) wantsCommand(d Device, m DeviceMemory) bool {
	if w.out.Record == nil || w.Facts.Back || d.Unusable(w.Facts) != "" {
		return false
	}
	wants := false
	switch d.Kind {
	case ha.PowerDevice:
		wants = m.FirstOff == 0
	case ha.StorageDevice:
		wants = w.wantsRevoke(d, m)
	case ha.PoisonDevice:
		wants = w.wantsPill(d, m)
	case ha.ResetDevice:
		return w.wantsReset(d, m)
	}
	if wants && w.Now < m.NextCommand {
		w.wakeAt(m.NextCommand)
		return false
	}
	return wants
}

// send commits the intent and sends the command, unless too little of our own leadership is certain (R4).
func (w *walk) send(d Device, m *DeviceMemory) {
	if w.Now.Add(w.Timing.DeviceTimeout) >= w.Deadline {
		w.wakeAt(w.Now.Add(w.Timing.RenewEvery / 2))
		return
	}
	action := d.Kind.Action()
	if r := w.out.Record; !slices.Contains(r.Commanded, d.Name) {
		r.Commanded = append(r.Commanded, d.Name)
	}
	w.step(d.Name, string(action), "intended")
	m.InFlight, m.Since, m.Sent = action, w.Now, w.Now
	m.Accepted = 0
	if d.Kind == ha.ResetDevice {
		w.sendsReset(d, m)
	}
	m.NextCommand = w.Now.Add(10 * w.Timing.OffReadGap) // a device without effect for so long is told again
	w.out.Commands = append(w.out.Commands, w.command(d, action))
}

func (w *walk) command(d Device, a ha.DeviceAction) ha.DeviceCommand {
	c := ha.DeviceCommand{Device: d.Name, Node: w.Facts.Node, Incarnation: w.Facts.Incarnation, Action: a, Term: w.Term, Timeout: w.Timing.DeviceTimeout}
	if d.Kind == ha.StorageDevice {
		c.Clients = slices.Clone(w.Facts.Clients)
	}
	if a != ha.DeviceRead {
		c.Deadline = w.Deadline
	}
	return c
}

// within says whether each of part is in whole.
func within(part, whole []string) bool {
	return !slices.ContainsFunc(part, func(s string) bool { return !slices.Contains(whole, s) })
}
