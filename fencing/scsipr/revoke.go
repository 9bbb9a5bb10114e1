package scsipr

import (
	"context"
	"fmt"
	"slices"
	"time"

	"bascule/fencing"
)

// Outcome is what a Revoke did at one LUN.
type Outcome struct {
	LUN  string
	Path string
	// Gone: none of the keys was there any more, nothing was sent.
	Gone bool
	// Aborted: commands of the victim that the target had already taken were aborted. Without it (the target does not know PREEMPT
	// AND ABORT) such a write may still reach the disk just after the keys are gone.
	Aborted bool
	Took    time.Duration
}

// String says it for a log.
func (o Outcome) String() string {
	switch {
	case o.Gone:
		return fmt.Sprintf("%s: the key was not there any more", o.LUN)
	case o.Aborted:
		return fmt.Sprintf("%s: PREEMPT AND ABORT over %s after %v", o.LUN, o.Path, o.Took.Round(time.Millisecond))
	}
	return fmt.Sprintf("%s: PREEMPT over %s after %v: the target does not know PREEMPT AND ABORT, so a write that it had already taken may still reach the disk", o.LUN, o.Path, o.Took.Round(time.Millisecond))
}

// Revoke implements fencing.StorageDevice.
func (d *Device) Revoke(ctx context.Context, clients []string) error {
	_, err := d.Fence(ctx, clients)
	return err
}

// Fence is Revoke with word of what was done at each LUN, in the settings' order. It goes on with the others when one fails.
func (d *Device) Fence(ctx context.Context, clients []string) ([]Outcome, error) {
	keys, err := victims(clients)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: no %s was named, there is nobody to take access away from", fencing.ErrRefused, ClientKind)
	}
	st, err := ownState(d.s.state)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(keys, st.Key.kin) {
		return nil, fmt.Errorf("%w: the key is this node's own: another node has to fence it", fencing.ErrRefused)
	}
	began := time.Now()
	out := make([]Outcome, len(d.s.luns))
	err = d.each(func(i int, l lun) error {
		return l.onPaths(ctx, d.connect, d.steady(st), func(ctx context.Context, t transport, p path) error {
			r := round{ctx: ctx, t: t, own: st.Key, keep: d.s.keep, abort: d.s.abort, user: p.file == ""}
			o, err := r.fence(keys)
			o.LUN, o.Path, o.Took = l.name, p.name, time.Since(began)
			out[i] = o
			return err
		})
	})
	return out, err
}

// round is this node at work on one LUN over one path.
type round struct {
	ctx   context.Context
	t     transport
	own   Key
	keep  bool // registrations must survive a power loss
	abort bool // PREEMPT AND ABORT or nothing
	user  bool // the path is this process's own, not the kernel's
}

// fence takes keys out of the list. This node's key must be in it: then it was not fenced itself.
func (r round) fence(keys []Key) (o Outcome, err error) {
	p, err := look(r.ctx, r.t)
	if err != nil {
		return o, err
	}
	if err := standing(p, r.own); err != nil {
		return o, stop{err}
	}
	passing := false
	if r.user { // the kernel's paths are the Registrar's
		if passing, err = r.enter(p); err != nil {
			return o, err
		}
	}
	if !p.reservation.held {
		if err := tell(r.ctx, r.t, order{action: outReserve, key: r.own}); err != nil && !conflict(err) {
			return o, fmt.Errorf("RESERVE: %w", err)
		}
	}
	o.Gone, o.Aborted = true, true
	for _, k := range keys {
		if p.count(k) == 0 {
			continue
		}
		aborted, err := r.preempt(k)
		if err != nil {
			return o, err
		}
		o.Gone, o.Aborted = false, o.Aborted && aborted
	}
	// A registration made for this one command is taken back, unless this path may hold the reservation by now: that would end with it.
	if passing && p.reservation.held && !slices.Contains(keys, p.reservation.key) {
		tell(r.ctx, r.t, order{action: outRegister, key: r.own, aptpl: r.keep}) // left behind it does no harm
	}
	return o, nil
}

// preempt removes one key. Where the target does not know PREEMPT AND ABORT, and the settings allow it, PREEMPT has to do.
func (r round) preempt(k Key) (aborted bool, err error) {
	err = tell(r.ctx, r.t, order{action: outPreemptAbort, key: r.own, arg: k})
	aborted = err == nil
	if unknownCommand(err) {
		if r.abort {
			return false, stop{fmt.Errorf("%w: the target does not know PREEMPT AND ABORT, and the settings say abort: required", fencing.ErrRefused)}
		}
		err = tell(r.ctx, r.t, order{action: outPreempt, key: r.own, arg: k})
	}
	if conflict(err) {
		return aborted, r.explain(k)
	}
	if err != nil {
		return false, fmt.Errorf("PREEMPT: %w", err)
	}
	return aborted, nil
}

// explain finds out why a PREEMPT met RESERVATION CONFLICT: somebody was quicker, or it is we who are out.
func (r round) explain(k Key) error {
	p, err := look(r.ctx, r.t)
	switch {
	case err != nil:
		return err
	case p.count(r.own) == 0:
		return stop{standing(p, r.own)}
	case p.count(k) == 0:
		return nil // its target was not there any more
	}
	return fmt.Errorf("%w: PREEMPT met RESERVATION CONFLICT: this node's key is not registered on this path", fencing.ErrRefused)
}
