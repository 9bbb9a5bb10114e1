package fencingtest

import (
	"context"
	"strings"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/ha"
)

// Faults of a reset service, beside Healthy, Unreachable, Hangs, Lies (takes the reset and does nothing), Rubbish, OtherMachine, WrongPassword
// and Refuses (says no to the reset alone).
const (
	DiesHalfWay  Fault = "dies-half-way"  // resets the machine and dies before it answers
	HangsHalfWay Fault = "hangs-half-way" // resets the machine and never answers
	NotOffered   Fault = "not-offered"    // it has no such reset for the machine
)

// Resettable is a simulated machine behind a simulated reset service.
type Resettable interface {
	Resets() int      // the truth: how often the machine was reset
	Strangers() int   // the truth: how often another machine of the service was
	WrongLogins() int // log-ins that the service did not accept
	Break(Fault)      // in place of the fault it had
}

// ResetHarness is what a method brings to RunReset.
type ResetHarness struct {
	Method fencing.Method
	// New makes a healthy service with this machine and another one, and the settings for this one. With the fault OtherMachine the
	// settings' machine turns out to be the other one.
	New func(t *testing.T) (Resettable, map[string]string)
	// Switch carries out the executor's orders: a fencing.Child that re-executes the test binary, or InProcess.
	Switch fencing.Switcher
	// Secrets must turn up in no error, reading or sentence.
	Secrets []string
}

// RunReset puts the method through every case twice: its device called directly, and through the executor.
func RunReset(t *testing.T, h ResetHarness) {
	if h.Method.Reset == nil {
		t.Fatalf("method %s resets nothing: the suite is for methods that do", h.Method.Name)
	}
	for _, c := range resetCases {
		t.Run("direct/"+c.name, func(t *testing.T) {
			m, settings := h.New(t)
			d, err := h.Method.Reset(settings)
			if err != nil {
				t.Fatalf("the harness's own settings: %v", err)
			}
			c.run(resetRig{t, m, h, resetDirect{d}})
		})
		t.Run("executor/"+c.name, func(t *testing.T) {
			m, settings := h.New(t)
			spec := fencing.Spec{Name: "reset-of-node2", Node: "node2", Method: h.Method.Name, Settings: settings}
			e, err := fencing.NewExecutor([]fencing.Spec{spec}, fencing.Methods{h.Method}, h.Switch, fencing.BootNow)
			if err != nil {
				t.Fatalf("the harness's own settings: %v", err)
			}
			c.run(resetRig{t, m, h, resetExecutor{e}})
		})
	}
	t.Run("settings", func(t *testing.T) {
		_, good := h.New(t)
		strictSettings(t, h.Method, good)
	})
}

// resetOutcome is what came of one command: text is empty if it succeeded.
type resetOutcome struct {
	text    string
	perhaps bool
	kind    error // known only to the direct driver
}

type resetDriver interface {
	do(a ha.DeviceAction, timeout time.Duration) resetOutcome
}

type resetDirect struct{ d fencing.ResetDevice }

func (x resetDirect) do(a ha.DeviceAction, timeout time.Duration) resetOutcome {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	call := x.d.Read
	if a == ha.DeviceReset {
		call = x.d.Reset
	}
	if err := call(ctx); err != nil {
		return resetOutcome{"failed: " + err.Error(), fencing.MayHaveWorked(err), fencing.Classify(err)}
	}
	return resetOutcome{}
}

type resetExecutor struct{ e *fencing.Executor }

func (x resetExecutor) do(a ha.DeviceAction, timeout time.Duration) resetOutcome {
	cmd := ha.DeviceCommand{Device: "reset-of-node2", Node: "node2", Incarnation: "boot-7", Action: a, Term: 3, Timeout: timeout}
	if a != ha.DeviceRead {
		cmd.Deadline = fencing.BootNow().Add(timeout + patience)
	}
	r := x.e.Do(context.Background(), cmd)
	if r.Device != cmd.Device || r.Node != cmd.Node || r.Incarnation != cmd.Incarnation || r.Action != cmd.Action || r.Answered.Before(r.Asked) {
		return resetOutcome{text: "the reading does not belong to its command"}
	}
	if r.Power != ha.PowerUnknown || len(r.Storages) > 0 || r.Pills != 0 || r.Disks != 0 || r.SystemUUID != "" {
		return resetOutcome{text: "the reading says things that a reset service does not know"}
	}
	if r.Problem != "" && (!strings.Contains(r.Problem, "reset-of-node2") || !strings.Contains(r.Problem, "of node2") || !strings.Contains(r.Problem, "Next: ")) {
		return resetOutcome{text: "the problem names no device, node or next step: " + r.Problem}
	}
	return resetOutcome{text: r.Problem, perhaps: r.Perhaps}
}

// resetRig is one case's equipment.
type resetRig struct {
	*testing.T
	m Resettable
	h ResetHarness
	resetDriver
}

// must sends a command that has to succeed.
func (r resetRig) must(a ha.DeviceAction) {
	r.Helper()
	if o := r.try(a, patience); o.text != "" {
		r.Fatalf("%s: %s", a, o.text)
	}
}

// fails sends a command that has to fail in one of these ways, within its time.
func (r resetRig) fails(a ha.DeviceAction, timeout time.Duration, perhaps bool, kinds ...error) {
	r.Helper()
	began := time.Now()
	o := r.try(a, timeout)
	if took := time.Since(began); took > timeout+5*time.Second {
		r.Errorf("%s: took %v with a time-out of %v", a, took, timeout)
	}
	if o.text == "" {
		r.Fatalf("%s: succeeded; want %v", a, kinds)
	}
	if o.perhaps != perhaps {
		r.Errorf("%s: %q says that it may have been carried out: %v, want %v", a, o.text, o.perhaps, perhaps)
	}
	for _, k := range kinds {
		if strings.Contains(o.text, k.Error()) && (o.kind == nil || o.kind == k) {
			return
		}
	}
	r.Errorf("%s: %q, want one of %v", a, o.text, kinds)
}

// try sends a command and checks what holds for each.
func (r resetRig) try(a ha.DeviceAction, timeout time.Duration) resetOutcome {
	r.Helper()
	o := r.do(a, timeout)
	if n := r.m.Strangers(); n != 0 {
		r.Errorf("%s: another machine was reset %d times", a, n)
	}
	for _, s := range r.h.Secrets {
		if strings.Contains(o.text, s) {
			r.Errorf("a secret shows in %q", o.text)
		}
	}
	return o
}

// resets compares the truth.
func (r resetRig) resets(want int) {
	r.Helper()
	if got := r.m.Resets(); got != want {
		r.Fatalf("the machine was reset %d times, want %d", got, want)
	}
}
