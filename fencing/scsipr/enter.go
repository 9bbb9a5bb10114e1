package scsipr

import (
	"context"
	"fmt"
	"time"

	"bascule/fencing"
)

// enter makes sure that this node's key is registered on this path; added says that it was not. p was read before and has the key
// on another path: only that allows it. Between the look and the registration a frozen process may have been fenced, so
// it looks again: if the registrations that it counted on are gone, the new one goes too.
func (r round) enter(p picture) (added bool, err error) {
	if err := r.register(outRegister, r.own, r.own); err == nil || !conflict(err) {
		return false, err
	}
	if err := r.register(outRegisterOver, 0, r.own); err != nil {
		return false, err
	}
	after, err := look(r.ctx, r.t)
	if err == nil && after.count(r.own) > p.count(r.own) {
		return true, nil
	}
	if uerr := r.undo(); uerr != nil {
		return false, fmt.Errorf("%w: key %s was registered on a path and cannot be taken back (%v): reboot this node", fencing.ErrRefused, r.own, uerr)
	}
	if err != nil {
		return false, err
	}
	return false, stop{fmt.Errorf("%w: %w", fencing.ErrRefused, ErrFenced)}
}

// undoTime bounds the taking back of a registration, which happens even when the caller's own time is up.
const undoTime = time.Second

// undo takes this path's registration back. Where there is none, that is as good.
func (r round) undo() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), undoTime)
	defer cancel()
	r.ctx = ctx
	if err := r.register(outRegister, r.own, 0); !conflict(err) {
		return err
	}
	return nil
}

// register sends a registration, with APTPL as far as the target takes it and the settings do without.
func (r round) register(action byte, key, arg Key) error {
	err := tell(r.ctx, r.t, order{action: action, key: key, arg: arg, aptpl: true})
	if unknownField(err) {
		if r.keep {
			return stop{forgets()}
		}
		err = tell(r.ctx, r.t, order{action: action, key: key, arg: arg})
	}
	if err != nil {
		return fmt.Errorf("REGISTER: %w", err)
	}
	return nil
}
