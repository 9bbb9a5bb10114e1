package fencingtest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/ha"
)

// Faults of a single disk. Lies takes the message and writes nothing.
const (
	NoSlot     Fault = "no-slot"     // the node has no slot on it
	OtherTimes Fault = "other-times" // works, but orders a longer wait than the settings count on
)

// PoisonDisks is how many disks a harness brings.
const PoisonDisks = 3

// Slots are a simulated node and its simulated disks. New ones are PoisonDisks healthy disks on which the node has an empty slot; another
// node may have one too.
type Slots interface {
	Pills() [PoisonDisks]bool // the truth: on which disks the node's own slot holds a message that ends it
	Strangers() bool          // the truth: a slot of another node on any of the disks holds one
	Boot()                    // the node has booted and cleared its slot on all disks
	Break(disk int, f Fault)  // in place of the fault the disk had
}

// RunPoison is the suite of methods that write messages on disks. msgWait is what the harness's settings say.
func RunPoison(t *testing.T, h Harness[Slots], msgWait time.Duration) {
	suite[Slots, poisonRig]{
		Harness: h, kind: ha.PoisonDevice, cases: poisonCases,
		open: func(settings map[string]string) (caller, error) {
			d, err := h.Method.Poison(settings)
			if err == nil && d.MsgWait() != msgWait {
				err = fmt.Errorf("msgwait %v, want %v as in the settings", d.MsgWait(), msgWait)
			}
			return poisonCaller(d), err
		},
		rig: func(r rig, s Slots) poisonRig { return poisonRig{r, s} },
		after: func(r poisonRig) {
			if r.s.Strangers() {
				r.Errorf("another node's slot holds a message")
			}
		},
	}.run(t)
}

func poisonCaller(d fencing.PoisonDevice) caller {
	return func(ctx context.Context, a ha.DeviceAction, _ []string, says *ha.DeviceReading) (err error) {
		if a == ha.DevicePoison {
			return d.Poison(ctx)
		}
		says.Pills, says.Disks, err = d.Read(ctx)
		return err
	}
}

// poisonRig is one case's equipment.
type poisonRig struct {
	rig
	s Slots
}

// poisons sends the message, which has to be accepted in time. It says nothing about what lies on the disks.
func (r poisonRig) poisons(timeout time.Duration) {
	r.Helper()
	if o := r.try(ha.DevicePoison, nil, timeout); o.Problem != "" {
		r.Fatalf("poison: %s", o.Problem)
	}
}

// reads demands in time a number of disks with a message, of all disks there are.
func (r poisonRig) reads(want int, timeout time.Duration) {
	r.Helper()
	if o := r.try(ha.DeviceRead, nil, timeout); o.Problem != "" || o.Pills != want || o.Disks != PoisonDisks {
		r.Fatalf("reads a message on %d of %d disks (%s), want %d of %d", o.Pills, o.Disks, o.Problem, want, PoisonDisks)
	}
}

// holds compares the truth.
func (r poisonRig) holds(want ...bool) {
	r.Helper()
	if got := r.s.Pills(); got != [PoisonDisks]bool(want) {
		r.Fatalf("the node's slots hold messages: %v, want %v", got, want)
	}
}

// breaks gives several disks the same fault.
func (r poisonRig) breaks(f Fault, disks ...int) {
	for _, d := range disks {
		r.s.Break(d, f)
	}
}
