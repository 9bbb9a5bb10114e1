package scsipr

import (
	"context"
	"fmt"

	"bascule/fencing"
	"bascule/ha"
)

// picture is what a target says of one LUN's registrations and its reservation, both of one generation.
type picture struct {
	registrations
	reservation reservation
}

// maxPictures bounds how often the two halves are read until nobody changed anything in between.
const maxPictures = 5

// firstAnswer is the allocation length that a READ KEYS begins with: more than 1000 registrations.
const firstAnswer = 8192

// look reads the list of keys and then the reservation. It insists that no registration changed in between.
func look(ctx context.Context, t transport) (picture, error) {
	for range maxPictures {
		keys, err := readKeys(ctx, t)
		if unknownCommand(err) {
			return picture{}, stop{fmt.Errorf("%w: the target knows no persistent reservations (READ KEYS: %w)", fencing.ErrUnsupported, err)}
		}
		if err != nil {
			return picture{}, fmt.Errorf("READ KEYS: %w", err)
		}
		b, err := send(ctx, t, reserveIn(inReservation, 256), nil, 256)
		if err != nil {
			return picture{}, fmt.Errorf("READ RESERVATION: %w", err)
		}
		r, err := decodeReservation(b)
		if err != nil {
			return picture{}, err
		}
		if r.generation == keys.generation {
			return picture{keys, r}, nil
		}
	}
	return picture{}, fmt.Errorf("%w: the registrations change faster than they can be read", fencing.ErrTimeout)
}

func readKeys(ctx context.Context, t transport) (registrations, error) {
	for _, size := range []int{firstAnswer, maxAnswer} {
		b, err := send(ctx, t, reserveIn(inKeys, size), nil, size)
		if err != nil {
			return registrations{}, err
		}
		r, err := decodeKeys(b, size)
		if err != nil || !r.more {
			return r, err
		}
	}
	return registrations{}, fmt.Errorf("%w: more registrations than a list can hold", fencing.ErrRubbish)
}

// guarded says whether the reservation keeps everybody out who is not registered. The error says what stands there instead.
func (p picture) guarded() (bool, error) {
	r := p.reservation
	switch {
	case !r.held:
		return false, nil
	case r.typ != writeExclusiveRO || r.scope != 0:
		return false, fmt.Errorf("%w: the LUN has a reservation of type %d, scope %d, by key %s, and not type 5 (Write Exclusive – Registrants Only): somebody else uses reservations here", fencing.ErrRefused, r.typ, r.scope, r.key)
	case p.count(r.key) == 0:
		return false, fmt.Errorf("%w: the reservation is held by key %s, which is not registered", fencing.ErrRubbish, r.key)
	}
	return true, nil
}

// judge says whether any of these keys' owners can write. An error: it cannot be said.
func (p picture) judge(victims []Key) (ha.StorageAccess, error) {
	for _, v := range victims {
		if p.count(v) > 0 {
			return ha.AccessOpen, nil
		}
	}
	if !p.reservation.held {
		return ha.AccessOpen, nil // anybody can write
	}
	if ok, err := p.guarded(); !ok {
		return ha.AccessUnknown, err
	}
	for _, k := range p.keys {
		for _, v := range victims {
			if k.kin(v) && k != v {
				return ha.AccessUnknown, fmt.Errorf("%w: the key %s of another boot of the same node is registered, through which it may write: if the node is off, take it out with sg_persist --out --preempt", fencing.ErrRefused, k)
			}
		}
	}
	return ha.AccessRevoked, nil
}

// onPaths tries the paths of a LUN until f has an answer of the target's over one. Each path but the last gets its share of the time.
func (l lun) onPaths(ctx context.Context, connect connector, as port, f func(context.Context, transport, path) error) error {
	var why []error
	for i, p := range l.paths {
		err := onPath(ctx, connect, p, as, len(l.paths)-i, func(ctx context.Context, t transport) error { return f(ctx, t, p) })
		if err == nil {
			return nil
		}
		why = append(why, fmt.Errorf("%s: %w", p.name, err))
		if final(err) {
			break
		}
	}
	return joined(why)
}

// onPath opens one path for f; it takes one share of the time that is left.
func onPath(ctx context.Context, connect connector, p path, as port, shares int, f func(context.Context, transport) error) error {
	ctx, cancel := share(ctx, shares)
	defer cancel()
	t, err := connect(ctx, p, as)
	if err != nil {
		return err
	}
	defer t.close()
	return f(ctx, t)
}
