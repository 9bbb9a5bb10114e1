package fencingtest

import (
	"context"
	"slices"
	"testing"

	"bascule/fencing"
	"bascule/ha"
)

// SlowOff is a fault of power devices: the machine reads powering-off for SlowReads reads after the switch-off.
const SlowOff Fault = "slow-off"

// SlowReads is how many reads a machine with SlowOff stays in powering-off.
const SlowReads = 2

// UUIDs of the simulated machines.
const (
	UUID      = "4c4c4544-0051-3410-8052-b4c04f564232"
	OtherUUID = "4c4c4544-0033-4710-8032-c7c04f475931"
)

// Machine is a simulated machine behind a simulated power device. A new one is on and has UUID; with OtherMachine it shows OtherUUID.
type Machine interface {
	Power() ha.Power          // the machine's true state
	SetPower(ha.Power)        // without any command
	Break(Fault)              // in place of the fault it had
	Heard() []ha.DeviceAction // switching commands that reached the device, refused ones too
}

// Run is the suite of methods that switch power.
func Run(t *testing.T, h Harness[Machine]) {
	suite[Machine, powerRig]{
		Harness: h, kind: ha.PowerDevice, cases: powerCases,
		open: func(settings map[string]string) (caller, error) {
			d, err := h.Method.Power(settings)
			return powerCaller(d), err
		},
		rig: func(r rig, m Machine) powerRig { return powerRig{r, m} },
	}.run(t)
}

func powerCaller(d fencing.PowerDevice) caller {
	return func(ctx context.Context, a ha.DeviceAction, _ []string, says *ha.DeviceReading) error {
		switch a {
		case ha.DeviceOff:
			return d.Off(ctx)
		case ha.DeviceOn:
			return d.On(ctx)
		}
		r, err := d.Read(ctx)
		says.Power, says.SystemUUID = r.Power, r.SystemUUID
		return err
	}
}

// powerRig is one case's equipment.
type powerRig struct {
	rig
	m Machine
}

// reads demands this power and returns the system UUID.
func (r powerRig) reads(want ha.Power) string {
	r.Helper()
	o := r.must(ha.DeviceRead)
	if o.Power != want {
		r.Fatalf("reads %q, want %q", o.Power, want)
	}
	return o.SystemUUID
}

// is compares the truth.
func (r powerRig) is(want ha.Power) {
	r.Helper()
	if got := r.m.Power(); got != want {
		r.Errorf("the machine is %q, want %q", got, want)
	}
}

// heard compares the commands that reached the device.
func (r powerRig) heard(want ...ha.DeviceAction) {
	r.Helper()
	if got := r.m.Heard(); !slices.Equal(got, want) {
		r.Fatalf("the device heard %v, want %v", got, want)
	}
}
