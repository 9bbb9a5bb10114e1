package fencingtest

import (
	"context"
	"strings"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/ha"
)

// Machine is a simulated machine behind a simulated device of the method under test.
type Machine interface {
	Power() ha.Power          // the machine's true state
	SetPower(ha.Power)        // without any command
	Break(Fault)              // in place of the fault it had
	Heard() []ha.DeviceAction // switching commands that reached the device, refused ones too
}

// Harness is what a method brings to the suite.
type Harness struct {
	Method fencing.Method
	// New makes a machine that is on, is healthy and has the system UUID of this package, and the settings to reach it. With
	// the fault OtherMachine it shows OtherUUID.
	New func(t *testing.T) (Machine, map[string]string)
	// Switch carries out the executor's orders: a fencing.Child that re-executes the test binary, or InProcess.
	Switch fencing.Switcher
	// Secrets must turn up in no error, reading or sentence.
	Secrets []string
}

// Time limits of the suite. Hanging is cut short to keep it quick; everything else gets time for a loaded machine.
const (
	patience  = 10 * time.Second
	hangLimit = 300 * time.Millisecond
)

// Run puts the method through every case twice: its device called directly, and through the executor.
func Run(t *testing.T, h Harness) {
	if h.Method.Power == nil {
		t.Fatalf("method %s does not switch: the suite is for methods that do", h.Method.Name)
	}
	for _, c := range cases {
		t.Run("direct/"+c.name, func(t *testing.T) {
			m, settings := h.New(t)
			d, err := h.Method.Power(settings)
			if err != nil {
				t.Fatalf("the harness's own settings: %v", err)
			}
			c.run(rig{t, m, h, direct{d}})
		})
		t.Run("executor/"+c.name, func(t *testing.T) {
			m, settings := h.New(t)
			spec := fencing.Spec{Name: "bmc-of-node2", Node: "node2", Method: h.Method.Name, Settings: settings}
			e, err := fencing.NewExecutor([]fencing.Spec{spec}, fencing.Methods{h.Method}, h.Switch, fencing.BootNow)
			if err != nil {
				t.Fatalf("the harness's own settings: %v", err)
			}
			c.run(rig{t, m, h, executor{e}})
		})
	}
	t.Run("settings", func(t *testing.T) {
		_, good := h.New(t)
		strictSettings(t, h.Method, good)
	})
}

// outcome is what came of one command: text is empty if it succeeded.
type outcome struct {
	power ha.Power
	uuid  string
	text  string
	kind  error // known only to the direct driver
}

// driver sends one command, directly or through the executor.
type driver interface {
	do(a ha.DeviceAction, timeout time.Duration) outcome
}

type direct struct{ d fencing.PowerDevice }

func (x direct) do(a ha.DeviceAction, timeout time.Duration) outcome {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	o := outcome{power: ha.PowerUnknown}
	var err error
	switch a {
	case ha.DeviceRead:
		var r fencing.Reading
		r, err = x.d.Read(ctx)
		o.power, o.uuid = r.Power, r.SystemUUID
	case ha.DeviceOff:
		err = x.d.Off(ctx)
	case ha.DeviceOn:
		err = x.d.On(ctx)
	}
	if err != nil {
		o.text, o.kind = "failed: "+err.Error(), fencing.Classify(err)
	}
	return o
}

type executor struct{ e *fencing.Executor }

func (x executor) do(a ha.DeviceAction, timeout time.Duration) outcome {
	cmd := ha.DeviceCommand{Device: "bmc-of-node2", Node: "node2", Incarnation: "boot-7", Action: a, Term: 3, Timeout: timeout}
	if a != ha.DeviceRead {
		cmd.Deadline = fencing.BootNow().Add(timeout + patience)
	}
	r := x.e.Do(context.Background(), cmd)
	if r.Device != cmd.Device || r.Node != cmd.Node || r.Incarnation != cmd.Incarnation || r.Action != cmd.Action || r.Answered.Before(r.Asked) {
		return outcome{text: "the reading does not belong to its command"}
	}
	if r.Problem != "" && (!strings.Contains(r.Problem, "bmc-of-node2") || !strings.Contains(r.Problem, "of node2") || !strings.Contains(r.Problem, "Next: ")) {
		return outcome{text: "the problem names no device, node or next step: " + r.Problem}
	}
	return outcome{power: r.Power, uuid: r.SystemUUID, text: r.Problem}
}

// rig is one case's equipment.
type rig struct {
	*testing.T
	m Machine
	h Harness
	driver
}

// must sends a command that has to succeed.
func (r rig) must(a ha.DeviceAction) outcome {
	r.Helper()
	o := r.do(a, patience)
	r.clean(o)
	if o.text != "" {
		r.Fatalf("%s: %s", a, o.text)
	}
	if a != ha.DeviceRead && o.power != ha.PowerUnknown {
		r.Fatalf("%s: reports power %q: an accepted command is no reading", a, o.power)
	}
	return o
}

// fails sends a command that has to fail in one of these ways, within its time, and learn nothing about the power.
func (r rig) fails(a ha.DeviceAction, timeout time.Duration, kinds ...error) {
	r.Helper()
	began := time.Now()
	o := r.do(a, timeout)
	r.clean(o)
	if took := time.Since(began); took > timeout+5*time.Second {
		r.Errorf("%s: took %v with a time-out of %v", a, took, timeout)
	}
	if o.text == "" {
		r.Fatalf("%s: succeeded, power %q; want %v", a, o.power, kinds)
	}
	if o.power != ha.PowerUnknown {
		r.Errorf("%s: failed, yet says power %q", a, o.power)
	}
	for _, k := range kinds {
		if strings.Contains(o.text, k.Error()) && (o.kind == nil || o.kind == k) {
			return
		}
	}
	r.Errorf("%s: %q, want one of %v", a, o.text, kinds)
}

// power reads and compares.
func (r rig) reads(want ha.Power) outcome {
	r.Helper()
	o := r.must(ha.DeviceRead)
	if o.power != want {
		r.Fatalf("reads %q, want %q", o.power, want)
	}
	return o
}

// heard compares the commands that reached the device.
func (r rig) heard(want ...ha.DeviceAction) {
	r.Helper()
	got := r.m.Heard()
	if len(got) != len(want) {
		r.Fatalf("the device heard %v, want %v", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			r.Fatalf("the device heard %v, want %v", got, want)
		}
	}
}

func (r rig) clean(o outcome) {
	r.Helper()
	for _, s := range r.h.Secrets {
		if strings.Contains(o.text, s) || strings.Contains(o.uuid, s) {
			r.Errorf("a secret shows in %q %q", o.text, o.uuid)
		}
	}
}
