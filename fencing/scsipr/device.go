package scsipr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"bascule/fencing"
	"bascule/ha"
)

// Device takes the registrations of a node's boot away, on every LUN of its settings.
type Device struct {
	s       settings
	connect connector
}

// Storages implements fencing.StorageDevice.
func (d *Device) Storages() []string { return slices.Clone(d.s.storages) }

// Read implements fencing.StorageDevice: revoked only if every LUN says so; open if one does. Where neither can be said, the
// error is the reason. With no clients it looks whether this node could take keys away now.
func (d *Device) Read(ctx context.Context, clients []string) ([]ha.StorageReading, error) {
	keys, err := victims(clients)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return d.readings(ha.AccessUnknown), d.ready(ctx)
	}
	as := port{name: d.initiator()}
	answers := make([]ha.StorageAccess, len(d.s.luns))
	err = d.each(func(i int, l lun) error {
		return l.onPaths(ctx, d.connect, as, func(ctx context.Context, t transport, _ path) error {
			p, err := look(ctx, t)
			if err != nil {
				return err
			}
			if answers[i], err = p.judge(keys); err != nil {
				return stop{err}
			}
			return nil
		})
	})
	if slices.Contains(answers, ha.AccessOpen) {
		return d.readings(ha.AccessOpen), nil
	}
	if err != nil {
		return nil, err
	}
	return d.readings(ha.AccessRevoked), nil
}

func (d *Device) readings(a ha.StorageAccess) (out []ha.StorageReading) {
	for _, s := range d.s.storages {
		out = append(out, ha.StorageReading{Storage: s, Access: a})
	}
	return out
}

// initiator is the name under which paths of user space log in: this node's own, as its Registrar noted it.
func (d *Device) initiator() string {
	if st, err := loadState(d.s.state); err == nil && st.Node != "" {
		return string(st.Node)
	}
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

// steady is the port under which this node's key is registered.
func (d *Device) steady(st state) port {
	return port{name: string(st.Node), steady: true, dir: filepath.Dir(d.s.state)}
}

// each runs f for all LUNs side by side and joins what went wrong.
func (d *Device) each(f func(i int, l lun) error) error { return eachLUN(d.s.luns, f) }

func eachLUN(luns []lun, f func(i int, l lun) error) error {
	errs := make([]error, len(luns))
	var all sync.WaitGroup
	for i, l := range luns {
		all.Go(func() {
			if err := f(i, l); err != nil {
				errs[i] = fmt.Errorf("LUN %w", err)
			}
		})
	}
	all.Wait()
	return joined(errs)
}

// joined is the errors in one line; what is first decides what kind it is.
func joined(errs []error) error {
	errs = slices.DeleteFunc(errs, func(e error) bool { return e == nil })
	if len(errs) == 0 {
		return nil
	}
	out := errs[0]
	for _, e := range errs[1:] {
		out = fmt.Errorf("%w; %w", out, e)
	}
	return out
}

// stop marks an error that is the target's own word: another path would say the same.
type stop struct{ error }

func (s stop) Unwrap() error { return s.error }

func final(err error) bool {
	var s stop
	return errors.As(err, &s)
}

// share gives the first of n the part of the time that is its due.
func share(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	d, ok := ctx.Deadline()
	if !ok || n <= 1 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(d)/time.Duration(n))
}

// ready says why this node could not take keys away now: nil if nothing is known to be in the way.
func (d *Device) ready(ctx context.Context) error {
	st, err := ownState(d.s.state)
	if err != nil {
		if lacks := d.supported(ctx); errors.Is(lacks, fencing.ErrUnsupported) { // then it could never register, which says less
			return lacks
		}
		return err
	}
	return d.each(func(_ int, l lun) error {
		return l.onPaths(ctx, d.connect, port{name: string(st.Node)}, func(ctx context.Context, t transport, _ path) error {
			p, err := look(ctx, t)
			if err != nil {
				return err
			}
			if err := standing(p, st.Key); err != nil {
				return stop{err}
			}
			return able(ctx, t, d.s.keep)
		})
	})
}

// supported looks whether the targets know what fencing needs, without anything registered there.
func (d *Device) supported(ctx context.Context) error {
	return d.each(func(_ int, l lun) error { return l.supported(ctx, d.connect, port{name: d.initiator()}, d.s.keep) })
}

func (l lun) supported(ctx context.Context, connect connector, as port, keep bool) error {
	return l.onPaths(ctx, connect, as, func(ctx context.Context, t transport, _ path) error {
		if _, err := look(ctx, t); err != nil {
			return err
		}
		c, err := asked(ctx, t)
		if err == nil && c != nil && keep && !c.keeps { // whether it does keep is seen only once something is registered
			return stop{forgets()}
		}
		return err
	})
}

// standing demands that this node may speak at a LUN: its key is there, and so is the reservation, or it can be made.
func standing(p picture, own Key) error {
	if p.count(own) == 0 {
		return fmt.Errorf("%w: this node's own key %s is not registered: either it was fenced itself, or the target lost its reservations: another node has to fence, and this one has to be rebooted", fencing.ErrRefused, own)
	}
	_, err := p.guarded()
	return err
}

// able looks at what the target can do. Some do not know the question; then nothing speaks against it.
func able(ctx context.Context, t transport, keep bool) error {
	c, err := asked(ctx, t)
	if err == nil && c != nil && keep && !c.keeping {
		return stop{forgets()}
	}
	return err
}

// asked is what the target says that it can do, as far as reservations of the right type are among it; nil: it does not know the question.
func asked(ctx context.Context, t transport) (*capabilities, error) {
	b, err := send(ctx, t, reserveIn(inCapabilities, 8), nil, 8)
	if unknownCommand(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("REPORT CAPABILITIES: %w", err)
	}
	c, err := decodeCapabilities(b)
	switch {
	case err != nil:
		return nil, stop{err}
	case c.typed && !c.suits:
		return nil, stop{fmt.Errorf("%w: the target does not know the type Write Exclusive – Registrants Only", fencing.ErrUnsupported)}
	}
	return &c, nil
}

// forgets is the error for a target without APTPL.
func forgets() error {
	return fmt.Errorf("%w: the target does not keep registrations over a power loss (APTPL), so a fenced node could write again after one: switch that on in the target, or accept it with aptpl: if-supported", fencing.ErrUnsupported)
}
