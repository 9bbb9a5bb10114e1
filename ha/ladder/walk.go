package ladder

import (
	"maps"
	"slices"
	"time"

	"bascule/ha"
)

// Facts is what the leader read from the store about the node to be fenced. They are read before the devices.
type Facts struct {
	Node        ha.NodeName
	Incarnation ha.Incarnation
	Checks      []ha.DeviceCheck
	SystemUUID  string         // the incarnation published it
	Clients     []string       // the addresses from which it writes to shared storages, as it published them
	Armed       bool           // its record says that an armed watchdog ends it
	Watches     []string       // poison devices whose messages end it, as its record says
	Timing      ha.Timing      // the timing that it runs with
	LeaseGone   bool           // its lease is not there
	GoneSince   ha.Instant     // when this leader first saw that
	GossipAlive bool           // it still talks: no power reading may be true then
	Back        bool           // it is back in order and may stay: nothing more is sent to a device
	Registered  ha.Incarnation // incarnation registered now, "" when none
	RegUUID     string         // its system UUID
	Confirmed   *ha.Request    // an operator's confirm-off for this incarnation
	Held        string         // why no device may be told anything yet, for people; empty: nothing holds it. Looking goes on
}

// DeviceMemory is what this leader's walk remembers of one device. It is lost with the leadership, safely: the next
// leader reads again and sends again.
type DeviceMemory struct {
	InFlight    ha.DeviceAction // command without an answer yet, "" when none
	Since       ha.Instant      // when that command was handed out
	Sent        ha.Instant      // when the last off, revoke, poison or reset was handed out; 0 when none
	Accepted    ha.Instant      // when our command was asked that the device accepted; 0 when none
	LastAnswer  ha.Instant      // when the device answered last, well or badly
	LastRead    ha.Instant      // when the last read with a good answer was asked
	NextRead    ha.Instant
	NextCommand ha.Instant
	Failures    int
	Problem     string

	FirstOff  ha.Instant // power: when the first of an unbroken row of "off" readings was asked; 0 when none
	Confirmed bool       // power: enough "off" readings for a proof
	LastPower ha.Power   // power

	Revoked []string // storage: read as revoked, and not read otherwise since
	Open    []string // storage: the last reading found them open

	ResetDue ha.Instant // reset: not told again before; 0: this leader has neither told it nor seen that it was told
	ResetNo  int        // reset: what the record counts with our last intent

	PillSince ha.Instant // poison: when the first of an unbroken row of read-backs on a majority was asked; 0 when none
	PillRead  ha.Instant // poison: when the last of them was asked
}

// Memory is a walk's volatile part, bound to one incarnation.
type Memory struct {
	Incarnation ha.Incarnation
	Devices     map[string]DeviceMemory
	LevelSince  ha.Instant // when this leader began the present level; 0 before
}

// Handed is what a passive walk on this machine leaves to a leader that begins on it now: which power devices have just read off. The walk
// told devices nothing (R4), and the answers that it still waits for come to nobody. What is not fresh breaks the row of readings.
func (m Memory) Handed(now ha.Instant, t ha.Timing) Memory {
	out := Memory{Incarnation: m.Incarnation, Devices: map[string]DeviceMemory{}}
	for _, name := range slices.Sorted(maps.Keys(m.Devices)) {
		if d := m.Devices[name]; d.FirstOff != 0 && fresh(now, d, t) {
			out.Devices[name] = DeviceMemory{LastAnswer: d.LastAnswer, LastRead: d.LastRead, FirstOff: d.FirstOff, Confirmed: d.Confirmed, LastPower: d.LastPower}
		}
	}
	return out
}

// fresh says whether a device answered just now: readings of an earlier suspicion prove nothing.
func fresh(now ha.Instant, d DeviceMemory, t ha.Timing) bool {
	return now.Sub(d.LastAnswer) <= t.DeviceTimeout+5*t.OffReadGap
}

// Input is everything that one step looks at.
type Input struct {
	Now      ha.Instant
	Wall     time.Time
	Term     ha.Term
	Deadline ha.Instant // the leader's own
	Timing   ha.Timing
	Plan     Plan
	Facts    Facts
	Memory   Memory
	Record   *ha.FenceRecord // nil: passive, reading only
	Readings []ha.DeviceReading
}

// Output is what a step wants. Record (active walks) must be committed before Commands are sent; Reads may be sent at
// once. Proofs are new in this step; a StorageRevoked replaces the one before, and where the Record holds none any more, it is
// taken back.
type Output struct {
	Memory   Memory
	Record   *ha.FenceRecord
	Reads    []ha.DeviceCommand
	Commands []ha.DeviceCommand
	Proofs   []ha.Proof
	Wants    bool       // a device is to be told something, now or when it has answered; Facts.Held may keep it from that
	Wake     ha.Instant // step again then at the latest; 0: nothing to wait for
}

// Step takes the walk one step further. Equal inputs give equal outputs.
func Step(in Input) Output {
	w := newWalk(in)
	w.clients()
	for _, r := range in.Readings {
		w.take(r)
	}
	w.told()
	w.storageProof()
	w.completeProof()
	if !w.done {
		w.climb()
	}
	w.describe()
	return w.out
}

// Recheck goes on looking at the storages that were taken away from a node that is fenced for another reason: nothing else says that
// they stay revoked (R3). It takes back and sends again what Step would. After power-off or a new boot there is nothing to look at.
func Recheck(in Input) Output {
	w := newWalk(in)
	w.clients()
	for _, r := range in.Readings {
		w.take(r)
	}
	w.storageProof()
	for _, level := range in.Plan.Levels {
		for _, d := range level {
			if d.Kind == ha.StorageDevice && commanded(w.out.Record, d) {
				w.device(d, true)
			}
		}
	}
	return w.out
}

// walk is the working state of one Step.
type walk struct {
	Input
	out  Output
	done bool // a complete proof was found in this step
}

func newWalk(in Input) *walk {
	w := &walk{Input: in}
	w.out.Memory = Memory{Incarnation: in.Facts.Incarnation, Devices: map[string]DeviceMemory{}, LevelSince: in.Memory.LevelSince}
	if in.Memory.Incarnation == in.Facts.Incarnation {
		for _, level := range in.Plan.Levels {
			for _, d := range level {
				if m, ok := in.Memory.Devices[d.Name]; ok {
					w.out.Memory.Devices[d.Name] = m
				}
			}
		}
	} else {
		w.out.Memory.LevelSince = 0
	}
	if in.Record != nil {
		r := *in.Record
		r.Commanded = append([]string(nil), r.Commanded...)
		r.Steps = append([]ha.FenceStep(nil), r.Steps...)
		r.Proofs = append([]ha.Proof(nil), r.Proofs...)
		r.Delivered = append([]string(nil), r.Delivered...)
		r.Restored = append([]string(nil), r.Restored...)
		r.SwitchedOn = append([]string(nil), r.SwitchedOn...)
		r.GivenBack = append([]string(nil), r.GivenBack...)
		r.Resets = append([]ha.Resets(nil), r.Resets...)
		r.Term = in.Term
		w.out.Record = &r
	}
	return w
}

// step notes something for people and for the next leader; equal neighbours are kept once.
func (w *walk) step(device, action, result string) {
	r := w.out.Record
	if r == nil {
		return
	}
	for i := len(r.Steps) - 1; i >= 0; i-- {
		if s := r.Steps[i]; s.Device == device && s.Action == action {
			if s.Result == result && s.Term == w.Term {
				return
			}
			break
		}
	}
	r.Steps = append(r.Steps, ha.FenceStep{Device: device, Action: action, Result: result, Term: w.Term, At: w.Wall.UTC()})
	if n := len(r.Steps) - ha.MaxFenceSteps; n > 0 {
		r.Steps = r.Steps[n:]
	}
}

func (w *walk) wakeAt(at ha.Instant) {
	if w.out.Wake == 0 || at < w.out.Wake {
		w.out.Wake = at
	}
}

// prove makes a proof about the whole incarnation; storages only for StorageRevoked.
func (w *walk) prove(kind ha.ProofKind, storages []string, evidence string) {
	p := ha.NewProof(kind, w.Facts.Node, w.Facts.Incarnation, storages, evidence, w.Wall)
	w.done = w.done || p.Complete()
	w.out.Proofs = append(w.out.Proofs, p)
	if w.out.Record != nil {
		w.out.Record.Proofs = append(w.out.Record.Proofs, p)
	}
	w.step("", "proof", string(kind)+": "+evidence)
}
