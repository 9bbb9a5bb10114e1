// Package manual is fencing by a person: a method without a device. Where nothing else can prove that a machine is off,
// somebody looks, switches it off and says so with `hactl confirm-off NODE`; ha/ladder makes the proof from that
// request. The package never reads and never switches anything, and no time that passes counts as a confirmation.
package manual

import (
	"context"
	"fmt"

	"bascule/fencing"
	"bascule/ha"
)

// Method is fencing by a person.
var Method = fencing.Method{Name: "manual", Switches: false, Proof: ha.OperatorConfirmed, New: open}

func open(settings map[string]string) (fencing.Device, error) {
	if err := fencing.CheckSettings(nil, settings); err != nil {
		return nil, err
	}
	return person{}, nil
}

// person answers every command with "not me".
type person struct{}

func (person) Read(context.Context) (fencing.Reading, error) {
	return fencing.Reading{Power: ha.PowerUnknown}, fmt.Errorf("%w: there is no device to read", fencing.ErrByHand)
}

func (person) Off(context.Context) error {
	return fmt.Errorf("%w: there is no device to switch off", fencing.ErrByHand)
}

func (person) On(context.Context) error {
	return fmt.Errorf("%w: there is no device to switch on", fencing.ErrByHand)
}
