package sim

import "time"

// Proc is one process of a simulated node: what is begun in it happens only while it lives, and waits while it is stopped
// (SIGSTOP, a frozen or suspended machine). A new start is a new Proc.
type Proc struct {
	Name    string
	loop    *Loop
	clock   *Clock
	dead    bool
	stopped int      // how many reasons keep it from running
	held    []func() // what came while it was stopped, in order
}

// NewProc starts a process on a boot's clock.
func NewProc(l *Loop, c *Clock, name string) *Proc { return &Proc{Name: name, loop: l, clock: c} }

// Clock is the clock of the boot that the process runs in.
func (p *Proc) Clock() *Clock { return p.clock }

// Alive says whether the process exists (it may be stopped).
func (p *Proc) Alive() bool { return p != nil && !p.dead }

// Runs says whether the process exists and is not stopped.
func (p *Proc) Runs() bool { return p.Alive() && p.stopped == 0 }

// Kill ends the process; nothing of it ever runs again.
func (p *Proc) Kill() { p.dead, p.held = true, nil }

// Stop keeps the process from running until Continue was called as often.
func (p *Proc) Stop() { p.stopped++ }

// Continue takes one reason away; with the last, what came meanwhile runs, in order.
func (p *Proc) Continue() {
	if p.stopped == 0 {
		return
	}
	p.stopped--
	if p.stopped > 0 {
		return
	}
	held := p.held
	p.held = nil
	for _, f := range held {
		p.loop.After(0, p.In(f))
	}
}

// In returns f as something that happens inside the process: never after its end, later when it is stopped.
func (p *Proc) In(f func()) func() {
	return func() {
		switch {
		case p.dead:
		case p.stopped > 0:
			p.held = append(p.held, f)
		default:
			f()
		}
	}
}

// After runs f in the process, d from now by its own clock.
func (p *Proc) After(d time.Duration, f func()) *Event {
	return p.loop.After(p.clock.World(d), p.In(f))
}

// Post runs f in the process as soon as everything that is due now has happened.
func (p *Proc) Post(f func()) { p.loop.After(0, p.In(f)) }
