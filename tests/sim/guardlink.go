package sim

import (
	"errors"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

// ErrGuardRefused is wrapped by the guard's own refusals; any other error means that no answer came, and the request may or may not
// have taken effect.
var ErrGuardRefused = errors.New("the guard refused")

var errGuardSilent = errors.New("guard: no answer: is bascule-guard.service running?")

const (
	guardCall = time.Second             // permit, status (ha/guard's client)
	guardDog  = 2500 * time.Millisecond // arm, disarm: the watchdog has to answer
)

// GuardLink is the agent's end of the guard's socket on one host.
type GuardLink struct{ h *Host }

// Guard is the way to the guard of this host's present boot.
func (h *Host) Guard() GuardLink { return GuardLink{h} }

// Permit renews the permit and replaces the guard's list of guests. Sent is filled in if it is 0.
func (l GuardLink) Permit(p *Proc, e node.GuardPermit, done func(ha.GuardStatus, error)) {
	if e.Sent == 0 {
		e.Sent = l.stamp(p)
	}
	l.Send(p, e, done)
}

// End says that the permit ended now, before its deadline.
func (l GuardLink) End(p *Proc, done func(ha.GuardStatus, error)) {
	l.Send(p, node.GuardEnd{Sent: l.stamp(p)}, done)
}

// stamp is the time of sending, strictly growing in a boot.
func (l GuardLink) stamp(p *Proc) ha.Instant {
	b := l.h.boot
	b.stamp = max(p.Clock().Now(), b.stamp+1)
	return b.stamp
}

// Arm asks for an armed watchdog; nil: it is armed.
func (l GuardLink) Arm(p *Proc, done func(ha.GuardStatus, error)) { l.Send(p, node.GuardArm{}, done) }

// Disarm is the orderly stop; nil: the watchdog is disarmed.
func (l GuardLink) Disarm(p *Proc, done func(ha.GuardStatus, error)) {
	l.Send(p, node.GuardDisarm{Sent: l.stamp(p)}, done)
}

// Status asks how the guard is.
func (l GuardLink) Status(p *Proc, done func(ha.GuardStatus, error)) { l.Send(p, nil, done) }

// Send sends one event, nil for a question, and answers once: the guard's status, its refusal, or errGuardSilent in bounded time. A
// guard that is only stopped still gets the event when it goes on.
func (l GuardLink) Send(p *Proc, e node.GuardEvent, done func(ha.GuardStatus, error)) {
	limit := guardCall
	if e != nil && (is[node.GuardArm](e) || is[node.GuardDisarm](e)) {
		limit = guardDog
	}
	open := true
	var timer *Event
	finish := func(st ha.GuardStatus, err error) {
		l.h.m.loop.After(l.h.between(50*time.Microsecond, 500*time.Microsecond), p.In(func() {
			if open {
				open = false
				timer.Cancel()
				done(st, err)
			}
		}))
	}
	timer = p.After(limit, func() {
		if open {
			open = false
			done(ha.GuardStatus{}, errGuardSilent)
		}
	})
	g := (*guardProc)(nil)
	if l.h.boot != nil {
		g = l.h.boot.guard
	}
	if g == nil || !g.proc.Alive() {
		finish(ha.GuardStatus{}, errGuardSilent)
		return
	}
	l.h.m.loop.After(l.h.between(50*time.Microsecond, 500*time.Microsecond), g.proc.In(func() { g.take(e, finish) }))
}

// take is a request's arrival in the guard.
func (g *guardProc) take(e node.GuardEvent, finish func(ha.GuardStatus, error)) {
	if e == nil {
		finish(g.status(), nil)
		return
	}
	g.step(e, func(err error) { finish(g.status(), err) })
}
