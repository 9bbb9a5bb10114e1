package fencingtest

import (
	"context"
	"strings"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/ha"
)

// Faults of a single disk, beside Healthy, Unreachable, Hangs, Rubbish, Refuses and Lies (takes the message and writes nothing).
const (
	NoSlot     Fault = "no-slot"     // the node has no slot on it
	OtherTimes Fault = "other-times" // works, but orders a longer wait than the settings count on
)

// PoisonDisks is how many disks a harness brings.
const PoisonDisks = 3

// Slots are a simulated node and its simulated disks.
type Slots interface {
	Pills() [PoisonDisks]bool // the truth: on which disks the node's own slot holds a message that ends it
	Strangers() bool          // the truth: a slot of another node on any of the disks holds one
	Boot()                    // the node has booted and cleared its slot on all disks
	Break(disk int, f Fault)  // in place of the fault the disk had
}

// PoisonHarness is what a method brings to RunPoison.
type PoisonHarness struct {
	Method fencing.Method
	// New makes a node with an empty slot on PoisonDisks healthy disks that hold another node's slot too, and the settings for it.
	New func(t *testing.T) (Slots, map[string]string)
	// MsgWait is what these settings say.
	MsgWait time.Duration
	// Switch carries out the executor's orders: a fencing.Child that re-executes the test binary, or InProcess.
	Switch fencing.Switcher
	// Secrets must turn up in no error, reading or sentence.
	Secrets []string
}

// RunPoison puts the method through every case twice: its device called directly, and through the executor.
func RunPoison(t *testing.T, h PoisonHarness) {
	if h.Method.Poison == nil {
		t.Fatalf("method %s writes no messages: the suite is for methods that do", h.Method.Name)
	}
	for _, c := range poisonCases {
		t.Run("direct/"+c.name, func(t *testing.T) {
			s, settings := h.New(t)
			d, err := h.Method.Poison(settings)
			if err != nil {
				t.Fatalf("the harness's own settings: %v", err)
			}
			if d.MsgWait() != h.MsgWait {
				t.Errorf("msgwait %v, want %v as in the settings", d.MsgWait(), h.MsgWait)
			}
			c.run(poisonRig{t, s, h, poisonDirect{d}})
		})
		t.Run("executor/"+c.name, func(t *testing.T) {
			s, settings := h.New(t)
			spec := fencing.Spec{Name: "disks-of-node2", Node: "node2", Method: h.Method.Name, Settings: settings}
			e, err := fencing.NewExecutor([]fencing.Spec{spec}, fencing.Methods{h.Method}, h.Switch, fencing.BootNow)
			if err != nil {
				t.Fatalf("the harness's own settings: %v", err)
			}
			c.run(poisonRig{t, s, h, poisonExecutor{e}})
		})
	}
	t.Run("settings", func(t *testing.T) {
		_, good := h.New(t)
		strictSettings(t, h.Method, good)
	})
}

// poisonOutcome is what came of one command: text is empty if it succeeded.
type poisonOutcome struct {
	pills, disks int
	text         string
	kind         error // known only to the direct driver
}

type poisonDriver interface {
	do(a ha.DeviceAction, timeout time.Duration) poisonOutcome
}

type poisonDirect struct{ d fencing.PoisonDevice }

func (x poisonDirect) do(a ha.DeviceAction, timeout time.Duration) poisonOutcome {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var o poisonOutcome
	var err error
	if a == ha.DeviceRead {
		o.pills, o.disks, err = x.d.Read(ctx)
	} else {
		err = x.d.Poison(ctx)
	}
	if err != nil {
		o.text, o.kind = "failed: "+err.Error(), fencing.Classify(err)
	}
	return o
}

type poisonExecutor struct{ e *fencing.Executor }

func (x poisonExecutor) do(a ha.DeviceAction, timeout time.Duration) poisonOutcome {
	cmd := ha.DeviceCommand{Device: "disks-of-node2", Node: "node2", Incarnation: "boot-7", Action: a, Term: 3, Timeout: timeout}
	if a != ha.DeviceRead {
		cmd.Deadline = fencing.BootNow().Add(timeout + patience)
	}
	r := x.e.Do(context.Background(), cmd)
	if r.Device != cmd.Device || r.Node != cmd.Node || r.Incarnation != cmd.Incarnation || r.Action != cmd.Action || r.Answered.Before(r.Asked) {
		return poisonOutcome{text: "the reading does not belong to its command"}
	}
	if r.Power != ha.PowerUnknown || len(r.Storages) > 0 {
		return poisonOutcome{text: "the reading says things that disks cannot say"}
	}
	if r.Problem != "" && (!strings.Contains(r.Problem, "disks-of-node2") || !strings.Contains(r.Problem, "of node2") || !strings.Contains(r.Problem, "Next: ")) {
		return poisonOutcome{text: "the problem names no device, node or next step: " + r.Problem}
	}
	return poisonOutcome{pills: r.Pills, disks: r.Disks, text: r.Problem}
}

// poisonRig is one case's equipment.
type poisonRig struct {
	*testing.T
	s Slots
	h PoisonHarness
	poisonDriver
}

// poisons sends the message, which has to be accepted, and demands that this says nothing about what lies on the disks.
func (r poisonRig) poisons() {
	r.Helper()
	o := r.try(ha.DevicePoison, patience)
	if o.text != "" {
		r.Fatalf("poison: %s", o.text)
	}
}

// reads demands a number of disks with a message, of all disks there are.
func (r poisonRig) reads(want int) {
	r.Helper()
	o := r.try(ha.DeviceRead, patience)
	if o.text != "" {
		r.Fatalf("read: %s", o.text)
	}
	if o.pills != want || o.disks != PoisonDisks {
		r.Fatalf("reads a message on %d of %d disks, want %d of %d", o.pills, o.disks, want, PoisonDisks)
	}
}

// fails sends a command that has to fail in one of these ways, within its time, and learn nothing.
func (r poisonRig) fails(a ha.DeviceAction, timeout time.Duration, kinds ...error) {
	r.Helper()
	began := time.Now()
	o := r.try(a, timeout)
	if took := time.Since(began); took > timeout+5*time.Second {
		r.Errorf("%s: took %v with a time-out of %v", a, took, timeout)
	}
	if o.text == "" {
		r.Fatalf("%s: succeeded, %d of %d disks; want %v", a, o.pills, o.disks, kinds)
	}
	for _, k := range kinds {
		if strings.Contains(o.text, k.Error()) && (o.kind == nil || o.kind == k) {
			return
		}
	}
	r.Errorf("%s: %q, want one of %v", a, o.text, kinds)
}

// try sends a command and checks what holds for each.
func (r poisonRig) try(a ha.DeviceAction, timeout time.Duration) poisonOutcome {
	r.Helper()
	o := r.do(a, timeout)
	if (a != ha.DeviceRead || o.text != "") && (o.pills != 0 || o.disks != 0) {
		r.Errorf("%s: %d of %d disks: only a good read says so (%s)", a, o.pills, o.disks, o.text)
	}
	if r.s.Strangers() {
		r.Errorf("%s: another node's slot holds a message", a)
	}
	for _, s := range r.h.Secrets {
		if strings.Contains(o.text, s) {
			r.Errorf("a secret shows in %q", o.text)
		}
	}
	return o
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
