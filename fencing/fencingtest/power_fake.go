package fencingtest

import (
	"context"
	"fmt"
	"slices"

	"bascule/fencing"
	"bascule/ha"
)

// Fake is a fencing device with its machine, in memory. It keeps no clock: a hung call ends with its context, a slow
// switch-off after SlowReads reads. The zero value is not usable; see NewFake.
type Fake struct {
	frail
	power ha.Power
	uuid  string
	slow  int // reads until powering-off becomes off
	heard []ha.DeviceAction
	reads int
}

// NewFake returns a healthy device whose machine is on and has this system UUID.
func NewFake(uuid string) *Fake { return &Fake{power: ha.PowerOn, uuid: uuid} }

// SetPower puts the machine into a state without any command.
func (f *Fake) SetPower(p ha.Power) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.power = p
}

// Power is the machine's true state, whatever the device says.
func (f *Fake) Power() ha.Power {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.power
}

// Heard returns the switching commands that reached the device, oldest first, refused ones too.
func (f *Fake) Heard() []ha.DeviceAction {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.heard)
}

// Reads is how often the device was read.
func (f *Fake) Reads() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reads
}

// Read implements fencing.PowerDevice.
func (f *Fake) Read(ctx context.Context) (fencing.Reading, error) {
	if err := f.meet(ctx); err != nil {
		return fencing.Reading{Power: ha.PowerUnknown}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	r := fencing.Reading{Power: f.power, SystemUUID: f.uuid}
	if f.fault == OtherMachine {
		r.SystemUUID = OtherUUID
	}
	if f.power == ha.PowerPoweringOff {
		if f.slow--; f.slow <= 0 {
			f.power = ha.PowerOff
		}
	}
	return r, nil
}

// Off implements fencing.PowerDevice.
func (f *Fake) Off(ctx context.Context) error { return f.turn(ctx, ha.DeviceOff, ha.PowerOff) }

// On implements fencing.PowerDevice.
func (f *Fake) On(ctx context.Context) error { return f.turn(ctx, ha.DeviceOn, ha.PowerOn) }

func (f *Fake) turn(ctx context.Context, a ha.DeviceAction, to ha.Power) error {
	if err := f.meet(ctx); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heard = append(f.heard, a)
	switch {
	case f.fault == Refuses:
		return fmt.Errorf("%w: not now", fencing.ErrRefused)
	case f.fault == Lies:
	case f.fault == SlowOff && to == ha.PowerOff && f.power != ha.PowerOff:
		f.power, f.slow = ha.PowerPoweringOff, SlowReads
	default:
		f.power = to
	}
	return nil
}
