package ladder

import (
	"fmt"
	"slices"

	"bascule/ha"
)

// backTries is how often one leader asks a storage device to give access back; the pause after a refusal begins with five read gaps and
// doubles. After that the node is let in without it, and people hear of it.
const backTries = 4

// BackDevice is what this leader remembers of a storage device that is to give access back.
type BackDevice struct {
	InFlight bool
	Since    ha.Instant // when the command was handed out
	Next     ha.Instant // when it may be told again
	Tries    int
	Problem  string // of the last answer
}

// BackMemory is the volatile part of giving one incarnation's access back.
type BackMemory struct {
	Incarnation ha.Incarnation
	Devices     map[string]BackDevice
}

// GiveBack takes one step towards storages that let the machine's next boot in: a device that shut out a whole address, for as long as it
// takes, keeps shutting it out. It is about the clients that were revoked, and only those. The caller has seen to it that the end of their boot
// is recorded and that the machine has booted anew; a step never looks for proofs. done: nothing is left to do, or nothing more is tried;
// left says what was not given back. The Record must be committed before Commands are sent.
func GiveBack(in Input, mem BackMemory) (out Output, next BackMemory, left string, done bool) {
	w := newWalk(in)
	next = BackMemory{Incarnation: in.Facts.Incarnation, Devices: map[string]BackDevice{}}
	done = true
	for _, d := range taken(in) {
		m := BackDevice{}
		if mem.Incarnation == in.Facts.Incarnation {
			m = mem.Devices[d.Name]
		}
		for _, r := range in.Readings {
			if m.InFlight && r.Device == d.Name && r.Node == in.Facts.Node && r.Incarnation == in.Facts.Incarnation && r.Action == ha.DeviceRestore && r.Asked >= m.Since {
				w.heardBack(d, &m, r)
			}
		}
		if !w.driveBack(d, &m) {
			done = false
		} else if !w.gaveBack(d) {
			left = fmt.Sprintf("%s did not give the access of %s to its storages back (%s): give it back by hand", d.Name, in.Facts.Node, m.Problem)
		}
		next.Devices[d.Name] = m
	}
	return w.out, next, left, done
}

// taken are the storage devices that were told to take something away.
func taken(in Input) []Device {
	var out []Device
	for _, level := range in.Plan.Levels {
		for _, d := range level {
			same := func(o Device) bool { return o.Name == d.Name }
			if d.Kind == ha.StorageDevice && commanded(in.Record, d) && !slices.ContainsFunc(out, same) {
				out = append(out, d)
			}
		}
	}
	return out
}

func (w *walk) gaveBack(d Device) bool { return slices.Contains(w.out.Record.GivenBack, d.Name) }

// heardBack takes the answer that was waited for.
func (w *walk) heardBack(d Device, m *BackDevice, r ha.DeviceReading) {
	m.InFlight, m.Problem = false, r.Problem
	if r.Problem != "" {
		m.Next = w.Now.Add(5 * w.Timing.OffReadGap << min(m.Tries, backTries))
		w.step(d.Name, string(r.Action), r.Problem)
		return
	}
	w.out.Record.GivenBack = append(w.out.Record.GivenBack, d.Name)
	w.step(d.Name, string(r.Action), "accepted by the device")
}

// driveBack asks the device for what is due; true: there is nothing left to ask.
func (w *walk) driveBack(d Device, m *BackDevice) bool {
	switch {
	case w.gaveBack(d):
		return true
	case m.InFlight && w.Now < AnswerLost(w.Timing, m.Since):
		w.wakeAt(AnswerLost(w.Timing, m.Since))
	case m.Tries >= backTries:
		return true
	case w.Now < m.Next:
		w.wakeAt(m.Next)
	case w.Now.Add(w.Timing.DeviceTimeout) >= w.Deadline: // R4
		w.wakeAt(w.Now.Add(w.Timing.RenewEvery / 2))
	default:
		m.InFlight, m.Since, m.Tries, m.Problem = true, w.Now, m.Tries+1, "it did not answer"
		w.step(d.Name, string(ha.DeviceRestore), "intended")
		c := w.command(d, ha.DeviceRestore)
		c.Clients = slices.Clone(w.out.Record.Clients)
		w.out.Commands = append(w.out.Commands, c)
		w.wakeAt(AnswerLost(w.Timing, m.Since))
	}
	return false
}
