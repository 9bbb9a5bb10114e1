package fencingtest

import (
	"context"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/ha"
)

// Faults of a reset service. Refuses is a no to the reset alone.
const (
	DiesHalfWay  Fault = "dies-half-way"  // resets the machine and dies before it answers
	HangsHalfWay Fault = "hangs-half-way" // resets the machine and never answers
	NotOffered   Fault = "not-offered"    // it has no such reset for the machine
)

// Resettable is a simulated machine behind a simulated reset service, which has another one too. With the fault OtherMachine the settings'
// machine turns out to be the other one.
type Resettable interface {
	Resets() int      // the truth: how often the machine was reset
	Strangers() int   // the truth: how often another machine of the service was
	WrongLogins() int // log-ins that the service did not accept
	Break(Fault)      // in place of the fault it had
}

// RunReset is the suite of methods that reset machines.
func RunReset(t *testing.T, h Harness[Resettable]) {
	suite[Resettable, resetRig]{
		Harness: h, kind: ha.ResetDevice, cases: resetCases,
		open: func(settings map[string]string) (caller, error) {
			d, err := h.Method.Reset(settings)
			return resetCaller(d), err
		},
		rig: func(r rig, m Resettable) resetRig { return resetRig{r, m} },
		after: func(r resetRig) {
			if n := r.m.Strangers(); n != 0 {
				r.Errorf("another machine was reset %d times", n)
			}
		},
	}.run(t)
}

func resetCaller(d fencing.ResetDevice) caller {
	return func(ctx context.Context, a ha.DeviceAction, _ []string, says *ha.DeviceReading) error {
		call := d.Read
		if a == ha.DeviceReset {
			call = d.Reset
		}
		err := call(ctx)
		says.Perhaps = fencing.MayHaveWorked(err)
		return err
	}
}

// resetRig is one case's equipment.
type resetRig struct {
	rig
	m Resettable
}

// fails sends a command that has to fail in one of these ways without any doubt that it was not carried out.
func (r resetRig) fails(a ha.DeviceAction, timeout time.Duration, kinds ...error) {
	r.Helper()
	if o := r.rig.fails(a, timeout, kinds...); o.Perhaps {
		r.Errorf("%s: %q says that it may have been carried out", a, o.Problem)
	}
}

// resetFails demands that a reset fails, in whatever way, and was not carried out.
func (r resetRig) resetFails(timeout time.Duration) {
	r.Helper()
	if o := r.try(ha.DeviceReset, nil, timeout); o.Problem == "" {
		r.Errorf("reset: succeeded")
	}
	r.resets(0)
}

// useless demands that both commands fail in one of these ways, and that nothing was reset.
func (r resetRig) useless(timeout time.Duration, kinds ...error) {
	r.Helper()
	r.fails(ha.DeviceRead, timeout, kinds...)
	r.fails(ha.DeviceReset, timeout, kinds...)
	r.resets(0)
}

// doubtful demands that a look succeeds and a reset fails in one of these ways, although it was carried out, once: nothing below sends it
// again by itself.
func (r resetRig) doubtful(timeout time.Duration, kinds ...error) {
	r.Helper()
	r.must(ha.DeviceRead)
	if o := r.rig.fails(ha.DeviceReset, timeout, kinds...); !o.Perhaps {
		r.Errorf("reset: %q does not say that it may have been carried out", o.Problem)
	}
	r.resets(1)
}

// resets compares the truth.
func (r resetRig) resets(want int) {
	r.Helper()
	if got := r.m.Resets(); got != want {
		r.Fatalf("the machine was reset %d times, want %d", got, want)
	}
}

// once demands that wrong credentials were sent once at most.
func (r resetRig) once() {
	r.Helper()
	if n := r.m.WrongLogins(); n > 1 {
		r.Errorf("%d wrong log-ins: such services lock out who tries again", n)
	}
}
