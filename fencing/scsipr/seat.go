package scsipr

import (
	"context"
	"fmt"
	"path/filepath"

	"bascule/fencing"
)

// seat is one LUN during a Register.
type seat struct {
	r       *Registrar
	l       lun
	unit    string  // its own name, or the settings' where it has none
	p       picture // as last looked at
	reached bool    // p is there
	known   bool    // the key was registered there before, in this boot
	done    bool    // everything is as it should be
	added   []path  // where a registration was made just now
}

func (s *seat) port() port {
	return port{name: string(s.r.node), steady: true, dir: filepath.Dir(s.r.s.state)}
}

// inspect looks who the LUN is and what it says, over any path.
func (s *seat) inspect(ctx context.Context, st state) error {
	return s.l.onPaths(ctx, s.r.connect, s.port(), func(ctx context.Context, t transport, _ path) (err error) {
		if s.unit, err = s.identify(ctx, t); err != nil {
			return err
		}
		if err := s.look(ctx, t); err != nil {
			return err
		}
		s.known, s.reached = st.knows(s.unit), true
		return nil
	})
}

// look keeps the picture only if there is one: a look that failed says nothing about the key.
func (s *seat) look(ctx context.Context, t transport) error {
	p, err := look(ctx, t)
	if err == nil {
		s.p = p
	}
	return err
}

// identify asks the LUN for its own name. Only its word that it has none lets the settings' name stand for it.
func (s *seat) identify(ctx context.Context, t transport) (string, error) {
	b, err := send(ctx, t, identityPage(252), nil, 252)
	if unknownCommand(err) {
		return s.l.name, nil
	}
	if err != nil {
		return "", fmt.Errorf("INQUIRY: %w", err)
	}
	if id := decodeIdentity(b); id != "" {
		return id, nil
	}
	return s.l.name, nil
}

// occupy registers the key on every path, makes the reservation where there is none, and removes keys of earlier boots. A
// path that cannot be reached is left for the next time: nothing is written over it meanwhile.
func (s *seat) occupy(ctx context.Context, trusted bool) error {
	if !s.reached {
		return nil // inspect said why
	}
	if _, err := s.p.guarded(); err != nil {
		return err
	}
	if s.p.count(s.r.key) == 0 && !trusted {
		return fmt.Errorf("%s: %w: the key is not registered there for the first time while another LUN, where it is, cannot be asked whether this node was fenced", s.l.name, fencing.ErrUnreachable)
	}
	here, why := false, []error(nil)
	for i, p := range s.l.paths {
		err := onPath(ctx, s.r.connect, p, s.port(), len(s.l.paths)-i, func(ctx context.Context, t transport) error { return s.sit(ctx, t, p) })
		if err != nil {
			err = fmt.Errorf("%s: %w", p.name, err)
		}
		if final(err) {
			return err
		}
		here, why = here || err == nil, append(why, err)
	}
	if here {
		return nil
	}
	return joined(why)
}

// sit does it over one path.
func (s *seat) sit(ctx context.Context, t transport, p path) error {
	unit, err := s.identify(ctx, t)
	if err != nil {
		return err
	}
	if unit != s.unit {
		return stop{fmt.Errorf("%w: it is the LUN %s, the path before leads to %s: correct the setting luns", fencing.ErrWrongMachine, unit, s.unit)}
	}
	r := round{ctx: ctx, t: t, own: s.r.key, keep: s.r.s.keep, user: p.file == ""}
	if err := s.enroll(r, p); err != nil {
		return err
	}
	if err := s.look(ctx, t); err != nil {
		return err
	}
	if !s.p.reservation.held {
		if err := tell(ctx, t, order{action: outReserve, key: s.r.key}); err != nil && !conflict(err) {
			return fmt.Errorf("RESERVE: %w", err)
		}
	}
	for _, k := range s.p.keys {
		if k.kin(s.r.key) && k != s.r.key { // of a boot that is over: this is the next
			if err := tell(ctx, t, order{action: outPreempt, key: s.r.key, arg: k}); err != nil && !conflict(err) {
				return fmt.Errorf("removing the key %s of an earlier boot: %w", k, err)
			}
		}
	}
	return able(ctx, t, s.r.s.keep)
}

// enroll registers the key on one path. multipathd and the initiator in user space see to their other paths themselves.
func (s *seat) enroll(r round, p path) error {
	var added bool
	var err error
	_, whole := r.t.(multipath)
	switch {
	case s.p.count(r.own) == 0:
		added, err = true, r.register(outRegisterOver, 0, r.own)
	case r.user || whole:
	default:
		added, err = r.enter(s.p)
	}
	if added { // also when it is not known whether the target took it
		s.added = append(s.added, p)
	}
	return err
}

// confirm looks again: the key must be there, and a reservation that keeps others out.
func (s *seat) confirm(ctx context.Context) error {
	if !s.reached || s.p.count(s.r.key) == 0 {
		return nil // what came before said why
	}
	return s.l.onPaths(ctx, s.r.connect, s.port(), func(ctx context.Context, t transport, _ path) (err error) {
		if err := s.look(ctx, t); err != nil {
			return err
		}
		ok, err := s.p.guarded()
		if s.done = ok && s.p.count(s.r.key) > 0; !s.done && err == nil {
			err = fmt.Errorf("%w: the key %s or the reservation is not there although the target took both", fencing.ErrRefused, s.r.key)
		}
		return err
	})
}

// withdraw takes back what was registered in this call, even when the caller's time is up.
func (s *seat) withdraw(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	var why []error
	for _, p := range s.added {
		why = append(why, onPath(ctx, s.r.connect, p, s.port(), 1, func(ctx context.Context, t transport) error {
			return round{ctx: ctx, t: t, own: s.r.key, keep: s.r.s.keep}.undo()
		}))
	}
	return joined(why)
}
