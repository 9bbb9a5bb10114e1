package fencing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bascule/ha"
)

// Executor carries out device commands: reads in this process, what changes something through its Switcher. It runs one command per
// device at a time and devices side by side; a hung device holds up nobody else. It is safe for concurrent use.
type Executor struct {
	units  map[string]*unit
	send   Switcher
	now    func() ha.Instant
	secret []string
}

// unit is one device with its turn: whoever holds the token talks to it.
type unit struct {
	spec   Spec
	method Method
	device Device
	turn   chan struct{}
}

// NewExecutor opens the devices of specs. send carries out switching orders (Child.Switch in the daemon); now is
// this machine's CLOCK_BOOTTIME. The error names everything that is wrong with specs and wraps ErrSettings.
func NewExecutor(specs []Spec, methods Methods, send Switcher, now func() ha.Instant) (*Executor, error) {
	if err := methods.Check(specs); err != nil {
		return nil, err
	}
	e := &Executor{units: map[string]*unit{}, send: send, now: now}
	for _, s := range specs {
		d, err := methods.Open(s)
		if err != nil {
			return nil, err
		}
		m, _ := methods.Find(s.Method)
		e.units[s.Name] = &unit{spec: s, method: m, device: d, turn: make(chan struct{}, 1)}
		for _, k := range m.Keys {
			if k.Secret && s.Settings[k.Name] != "" {
				e.secret = append(e.secret, s.Settings[k.Name])
			}
		}
	}
	return e, nil
}

// Do carries out one command and answers within twice its time-out and a little (a turn, the request), or when ctx
// ends. Whatever goes wrong is in the reading's Problem, and its Power is then unknown.
func (e *Executor) Do(ctx context.Context, cmd ha.DeviceCommand) ha.DeviceReading {
	asked := e.now()
	u, err := e.find(cmd)
	if err == nil {
		err = u.await(ctx, cmd.Timeout)
	}
	r := ha.DeviceReading{Power: ha.PowerUnknown}
	if err == nil {
		asked = e.now()
		r, err = e.act(ctx, u, cmd)
	}
	r.Device, r.Node, r.Incarnation, r.Action, r.Clients = cmd.Device, cmd.Node, cmd.Incarnation, cmd.Action, cmd.Clients
	r.Asked, r.Answered = asked, e.now()
	if err != nil {
		spec := Spec{Name: cmd.Device, Node: cmd.Node, Method: "no such device"}
		if u != nil {
			spec = u.spec
		}
		r.Problem = problem(spec, cmd.Action, err, e.secret)
		r.Perhaps = cmd.Action == ha.DeviceReset && MayHaveWorked(err)
	}
	return r
}

func (e *Executor) find(cmd ha.DeviceCommand) (*unit, error) {
	u := e.units[cmd.Device]
	switch {
	case u == nil:
		return nil, fmt.Errorf("%w: no fencing device has this name on this node: its configuration differs from the leader's", ErrSettings)
	case u.spec.Node != cmd.Node:
		return u, fmt.Errorf("%w: the command is for %s, the device is configured for %s", ErrWrongMachine, cmd.Node, u.spec.Node)
	case cmd.Action != ha.DeviceRead && !switching(cmd.Action):
		return u, fmt.Errorf("%w: there is no action %q: there are only read, off, on, revoke, restore, poison and reset", ErrRefused, string(cmd.Action))
	case cmd.Timeout <= 0:
		return u, fmt.Errorf("%w: the command carries no time-out", ErrTimeout)
	case cmd.Action != ha.DeviceRead && !u.method.Kind().Acts():
		return u, fmt.Errorf("%w: the method %s has no device to send a command to", ErrByHand, u.method.Name)
	case cmd.Action != ha.DeviceRead && !takes(u.method.Kind(), cmd.Action):
		return u, fmt.Errorf("%w: the method %s cannot do that: it was sent to the wrong kind of device", ErrRefused, u.method.Name)
	}
	return u, nil
}

// takes says whether devices of a kind know a command.
func takes(k ha.DeviceKind, a ha.DeviceAction) bool {
	return a == k.Action() || a == ha.DeviceOn && k == ha.PowerDevice || a == ha.DeviceRestore && k == ha.StorageDevice
}

// unread is the reading that says nothing.
var unread = ha.DeviceReading{Power: ha.PowerUnknown}

// act sends the command in a goroutine that gives the turn back when it really ends, and waits for it at most as long
// as the command allows: a device (or a method) that hangs keeps its turn, not the caller.
func (e *Executor) act(ctx context.Context, u *unit, cmd ha.DeviceCommand) (ha.DeviceReading, error) {
	call := func(ctx context.Context) (ha.DeviceReading, error) { return u.device.read(ctx, cmd) }
	limit := cmd.Timeout
	if cmd.Action != ha.DeviceRead {
		o := Order{Action: cmd.Action, Spec: u.spec, Clients: cmd.Clients, Deadline: cmd.Deadline, Timeout: cmd.Timeout}
		if err := o.check(e.now()); err != nil {
			<-u.turn
			return unread, err
		}
		call = func(ctx context.Context) (ha.DeviceReading, error) { return unread, u.cautiously(ctx, e.send, o) }
		limit += childStart + childStart/2 // the child's own limit comes first and knows more
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	type result struct {
		got ha.DeviceReading
		err error
	}
	done := make(chan result, 1)
	go func() {
		defer cancel()
		defer func() { <-u.turn }()
		got, err := careful(ctx, call)
		done <- result{got, err}
	}()
	select {
	case r := <-done:
		return r.got, r.err
	case <-ctx.Done():
	}
	select { // it may have ended at the same moment
	case r := <-done:
		return r.got, r.err
	default:
		return unread, Perhaps(ended(ctx, limit))
	}
}

// cautiously sends an order unless the device says that its service must not be asked now.
func (u *unit) cautiously(ctx context.Context, send Switcher, o Order) error {
	c, ok := u.device.Reset.(Cautious)
	if !ok {
		return send(ctx, o)
	}
	if err := c.MayAsk(); err != nil {
		return err
	}
	err := send(ctx, o)
	c.Heard(err)
	return err
}

// careful keeps a method that crashes on a strange answer from ending the daemon with it.
func careful(ctx context.Context, call func(context.Context) (ha.DeviceReading, error)) (got ha.DeviceReading, err error) {
	defer func() {
		if p := recover(); p != nil {
			got, err = unread, Perhaps(fmt.Errorf("%w: the fencing method crashed on it (a bug of Bascule, please report): %v", ErrRubbish, p))
		}
	}()
	return call(ctx)
}

// await takes the device's turn.
func (u *unit) await(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	select {
	case u.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: an earlier command still waits for the device", ended(ctx, timeout))
	}
}

func ended(ctx context.Context, after time.Duration) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("%w: cancelled before the device answered", ErrTimeout)
	}
	return fmt.Errorf("%w (%v)", ErrTimeout, after)
}
