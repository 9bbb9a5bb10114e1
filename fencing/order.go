package fencing

import (
	"context"
	"fmt"
	"time"

	"bascule/ha"
)

// Order is one switching command, complete enough for another process to carry it out.
type Order struct {
	Action   ha.DeviceAction `json:"action"` // anything but a read
	Spec     Spec            `json:"spec"`
	Clients  []string        `json:"clients,omitempty"`
	Deadline ha.Instant      `json:"deadline"` // of the leadership: whoever carries it out is dead by then
	Timeout  time.Duration   `json:"timeout"`  // of the request to the device
}

// Switcher carries out an order and returns when the device has answered, or not. nil means accepted. Child.Switch is the
// only one that honours R4; fencingtest has one for tests.
type Switcher func(ctx context.Context, o Order) error

// check refuses an order that must not be sent at instant now.
func (o Order) check(now ha.Instant) error {
	if !switching(o.Action) {
		return fmt.Errorf("%w: there is no command %q that changes something: only off and on, revoke, poison and reset", ErrRefused, string(o.Action))
	}
	if o.Timeout <= 0 {
		return fmt.Errorf("%w: the command carries no time-out", ErrTooLate)
	}
	if o.Deadline <= 0 {
		return fmt.Errorf("%w: the command carries no deadline of a leadership", ErrTooLate)
	}
	if left := o.Deadline.Sub(now); left <= o.Timeout {
		return fmt.Errorf("%w: %v of it left, the device may take %v", ErrTooLate, max(left, 0).Round(time.Millisecond), o.Timeout)
	}
	return nil
}

// Send carries the order out in this process: opens the device and sends the command. The caller has seen to the deadline.
func (o Order) Send(ctx context.Context, methods Methods) error {
	d, err := methods.Open(o.Spec)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	return d.send(ctx, o.Action, o.Clients)
}

// switching says whether it is a command that changes something. There is no power cycle (R4); a reset is for devices that know nothing else.
func switching(a ha.DeviceAction) bool {
	return a == ha.DeviceOff || a == ha.DeviceOn || a == ha.DeviceRevoke || a == ha.DeviceRestore || a == ha.DevicePoison || a == ha.DeviceReset
}
