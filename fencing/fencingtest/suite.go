package fencingtest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/ha"
)

// Harness is what a method brings to the suite of its kind of devices. M is a simulated machine (or storage, or disks) behind a simulated
// device of the method.
type Harness[M any] struct {
	Method fencing.Method
	// New makes such a machine, healthy and as the cases of its kind begin, and the settings to reach it.
	New func(t *testing.T) (M, map[string]string)
	// Switch carries out the executor's orders: a fencing.Child that re-executes the test binary, or InProcess.
	Switch fencing.Switcher
	// Secrets must turn up in no error, reading or sentence.
	Secrets []string
}

// Time limits of the suites. Hanging is cut short to keep it quick; everything else gets time for a loaded machine.
const (
	patience  = 40 * time.Second
	hangLimit = 300 * time.Millisecond
	sentLimit = 5 * time.Second // of what hangs after it was sent
)

// suite is what the suites of all kinds have in common; R is a case's equipment.
type suite[M, R any] struct {
	Harness[M]
	kind  ha.DeviceKind
	open  func(settings map[string]string) (caller, error) // with the method alone
	rig   func(rig, M) R
	cases []scene[R]
	after func(R) // holds at the end of each case, whatever happened; nil: nothing
}

// scene is one case.
type scene[R any] struct {
	name string
	run  func(r R)
}

// run puts the method through every case twice: its device called directly, and through the executor. Then its settings.
func (s suite[M, R]) run(t *testing.T) {
	if s.Method.Kind() != s.kind {
		t.Fatalf("method %s has devices of the kind %s: this suite is for %s", s.Method.Name, s.Method.Kind(), s.kind)
	}
	for _, c := range s.cases {
		for _, way := range []struct {
			name string
			open func(settings map[string]string) (driver, error)
		}{{"direct/", s.direct}, {"executor/", s.executor}} {
			t.Run(way.name+c.name, func(t *testing.T) {
				m, settings := s.New(t)
				do, err := way.open(settings)
				if err != nil {
					t.Fatalf("the harness's own settings: %v", err)
				}
				r := s.rig(rig{t, s.Secrets, do}, m)
				c.run(r)
				if s.after != nil {
					s.after(r)
				}
			})
		}
	}
	t.Run("settings", func(t *testing.T) {
		_, good := s.New(t)
		strictSettings(t, s.Method, good)
	})
}

// outcome is what came of one command: its reading, whose Problem is empty if it succeeded.
type outcome struct {
	ha.DeviceReading
	kind error // of the problem; known only to the direct driver
}

// driver sends one command, directly or through the executor.
type driver func(a ha.DeviceAction, clients []string, timeout time.Duration) outcome

// caller calls a device and fills in what it says.
type caller func(ctx context.Context, a ha.DeviceAction, clients []string, says *ha.DeviceReading) error

func (s suite[M, R]) direct(settings map[string]string) (driver, error) {
	call, err := s.open(settings)
	return func(a ha.DeviceAction, clients []string, timeout time.Duration) outcome {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		o := outcome{DeviceReading: ha.DeviceReading{Power: ha.PowerUnknown}}
		if err := call(ctx, a, clients, &o.DeviceReading); err != nil {
			o.Problem, o.kind = "failed: "+err.Error(), fencing.Classify(err)
		}
		return o
	}, err
}

func (s suite[M, R]) executor(settings map[string]string) (driver, error) {
	spec := fencing.Spec{Name: "device-of-node2", Node: "node2", Method: s.Method.Name, Settings: settings}
	e, err := fencing.NewExecutor([]fencing.Spec{spec}, fencing.Methods{s.Method}, s.Switch, fencing.BootNow)
	return func(a ha.DeviceAction, clients []string, timeout time.Duration) outcome {
		cmd := ha.DeviceCommand{Device: spec.Name, Node: spec.Node, Incarnation: "boot-7", Action: a, Term: 3, Clients: clients, Timeout: timeout}
		if a != ha.DeviceRead {
			cmd.Deadline = fencing.BootNow().Add(timeout + patience)
		}
		r := e.Do(context.Background(), cmd)
		if wrong := misplaced(s.kind, cmd, r); wrong != "" {
			r.Problem = wrong + ": " + r.Problem
		}
		return outcome{DeviceReading: r}
	}, err
}

// misplaced says what is wrong with a reading that the executor gives to a command, whatever the device says; empty when nothing is.
func misplaced(kind ha.DeviceKind, cmd ha.DeviceCommand, r ha.DeviceReading) string {
	switch {
	case r.Device != cmd.Device || r.Node != cmd.Node || r.Incarnation != cmd.Incarnation || r.Action != cmd.Action ||
		!slices.Equal(r.Clients, cmd.Clients) || r.Answered.Before(r.Asked):
		return "the reading does not belong to its command"
	case kind != ha.PowerDevice && (r.Power != ha.PowerUnknown || r.SystemUUID != ""), kind != ha.StorageDevice && len(r.Storages) > 0,
		kind != ha.PoisonDevice && r.Pills+r.Disks != 0, kind != ha.ResetDevice && r.Perhaps:
		return "the reading says things that such a device cannot know"
	case r.Problem != "" && (!strings.Contains(r.Problem, cmd.Device) || !strings.Contains(r.Problem, "of "+string(cmd.Node)) || !strings.Contains(r.Problem, "Next: ")):
		return "the problem names no device, node or next step"
	}
	return ""
}

// rig is a case's equipment, as far as it is the same for all kinds.
type rig struct {
	*testing.T
	secrets []string
	do      driver
}

// try sends a command and checks what holds for each: only a good read teaches something, and no secret shows.
func (r rig) try(a ha.DeviceAction, clients []string, timeout time.Duration) outcome {
	r.Helper()
	o := r.do(a, clients, timeout)
	learnt := o.Power != ha.PowerUnknown || o.Pills != 0 || o.Disks != 0 ||
		slices.ContainsFunc(o.Storages, func(s ha.StorageReading) bool { return s.Access != ha.AccessUnknown })
	if learnt && (a != ha.DeviceRead || o.Problem != "") {
		r.Errorf("%s: %+v: only a good read says so", a, o.DeviceReading)
	}
	for _, s := range r.secrets {
		if strings.Contains(o.Problem, s) || strings.Contains(o.SystemUUID, s) {
			r.Errorf("a secret shows in %q %q", o.Problem, o.SystemUUID)
		}
	}
	return o
}

// must sends a command that has to succeed.
func (r rig) must(a ha.DeviceAction, clients ...string) outcome {
	r.Helper()
	o := r.try(a, clients, patience)
	if o.Problem != "" {
		r.Fatalf("%s: %s", a, o.Problem)
	}
	return o
}

// fails sends a command that has to fail in one of these ways, within its time.
func (r rig) fails(a ha.DeviceAction, timeout time.Duration, kinds ...error) outcome {
	r.Helper()
	return r.failsFor(nil, a, timeout, kinds...)
}

// failsFor is fails for a command about these clients.
func (r rig) failsFor(clients []string, a ha.DeviceAction, timeout time.Duration, kinds ...error) outcome {
	r.Helper()
	began := time.Now()
	o := r.try(a, clients, timeout)
	if took := time.Since(began); took > timeout+patience {
		r.Errorf("%s: took %v with a time-out of %v", a, took, timeout)
	}
	if o.Problem == "" {
		r.Fatalf("%s: succeeded: %+v; want %v", a, o.DeviceReading, kinds)
	}
	if !slices.ContainsFunc(kinds, func(k error) bool { return strings.Contains(o.Problem, k.Error()) && (o.kind == nil || o.kind == k) }) {
		r.Errorf("%s: %q, want one of %v", a, o.Problem, kinds)
	}
	return o
}
