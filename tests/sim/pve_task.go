package sim

import (
	"errors"
	"fmt"
	"time"

	"bascule/ha"
)

// task is a PVE worker: a process that goes on when who asked for it dies, and ends with its machine or by a kill.
type task struct {
	h      *Host
	b      *boot
	g      *guest
	name   string
	w      *process
	tell   func(error) // in the caller's process; nil: nobody waits
	ended  bool
	locked bool
	extra  time.Duration // it hangs for so long first
	gone   func()        // more to do when it is killed or its host ends
}

// stopCause is what is known of a guest's last stop.
type stopCause struct {
	cause  ha.StopCause
	detail string
	at     ha.Instant
}

var (
	errKilledTask = errors.New("unexpected status: the worker was killed")
	errFlock      = errors.New("can't lock file '/var/lock/qemu-server/lock.conf' - got timeout")
)

// lockTries is how often a worker tries to get a guest's lock, half a second each.
const lockTries = 20

// ask sends a request to the API and, if it is taken, starts a worker.
func (c *PVE) ask(id ha.VMID, name string, quorum bool, done func(error), body func(t *task)) {
	h, g := c.h, c.h.m.guest(id)
	caller := c.p
	tell := func(err error) {
		h.m.loop.After(h.between(20*time.Millisecond, 300*time.Millisecond), caller.In(func() { done(err) }))
	}
	c.b.kernel.After(h.between(callMin, callMax), func() {
		if quorum && !h.quorate() {
			tell(fmt.Errorf("cluster not ready - no quorum? (500): %w", ha.ErrNoQuorum))
			return
		}
		h.work(g, name, tell, body)
	})
}

// work starts a worker; it takes the guest's lock first.
func (h *Host) work(g *guest, name string, tell func(error), body func(t *task)) *task {
	t := &task{h: h, b: h.boot, g: g, name: name, tell: tell, extra: h.faults.hang}
	h.faults.hang = 0
	t.w = h.spawn(g, whatWorker)
	t.w.proc = h.NewProc(name)
	t.w.gone = t.died
	h.logf("%s %d begins, PID %d", name, g.id, t.w.pid)
	t.after(t.extra, func() { t.takeLock(lockTries, body) })
	return t
}

func (t *task) after(d time.Duration, f func()) { t.w.proc.After(d, f) }

func (t *task) between(lo, hi time.Duration) time.Duration { return t.h.between(lo, hi) }

func (t *task) takeLock(tries int, body func(*task)) {
	switch {
	case t.b.locks[t.g.id] == nil:
		t.b.locks[t.g.id], t.locked = t, true
		body(t)
	case tries == 0:
		t.end(errFlock)
	default:
		t.after(500*time.Millisecond, func() { t.takeLock(tries-1, body) })
	}
}

// end is the worker's own end; its exit status reaches who still follows it.
func (t *task) end(err error) {
	if t.ended {
		return
	}
	t.ended = true
	t.unlock()
	t.w.end()
	t.h.logf("%s %d ends: %v", t.name, t.g.id, err)
	if t.tell != nil {
		t.tell(err)
	}
}

// died is a worker's end by a kill or with its host.
func (t *task) died() {
	if t.ended {
		return
	}
	t.ended = true
	t.unlock()
	if t.gone != nil {
		t.gone()
	}
	if t.tell != nil && t.h.boot == t.b {
		t.tell(errKilledTask)
	}
}

func (t *task) unlock() {
	if t.locked {
		delete(t.b.locks, t.g.id)
	}
}

// worker is a worker of a guest that runs on the boot, nil if none.
func (b *boot) worker(id ha.VMID) *process {
	for _, p := range b.processes {
		if p.g.id == id && p.what == whatWorker {
			return p
		}
	}
	return nil
}

// Start starts a guest; done hears the task's exit status. A running guest is success.
func (c *PVE) Start(id ha.VMID, _ ha.GuestKind, done func(error)) {
	c.ask(id, "start", true, done, (*task).start)
}

// Stop ends a guest at once. A stopped one is success.
func (c *PVE) Stop(id ha.VMID, _ ha.GuestKind, done func(error)) {
	c.ask(id, "stop", false, done, func(t *task) { t.stop(ha.CauseNone, "stopped by Bascule", t.end) })
}

// start is qmstart and vzstart.
func (t *task) start() {
	d := t.g.spec.StartTakes
	if d <= 0 {
		d = t.between(300*time.Millisecond, 800*time.Millisecond)
	}
	t.after(d*3/10, func() {
		if done, err := t.startRefused(); done {
			t.end(err)
			return
		}
		t.after(d*4/10, func() { t.fork(d - d*7/10) })
	})
}

// startRefused is what the worker checks before it makes a process; done with nil: it runs already.
func (t *task) startRefused() (done bool, err error) {
	h, g := t.h, t.g
	f := h.own(g.id)
	switch {
	case f == nil:
		return true, fmt.Errorf("configuration file 'nodes/%s/%d.conf' does not exist", h.Name, g.id)
	case f.lock != "" && !(f.lock == "mounted" && g.kind == ha.LXC) && !(f.lock == "suspended" && g.kind == ha.QEMU):
		return true, fmt.Errorf("%s %w (%s)", g.kind.Label(g.id), errLocked, f.lock)
	case t.b.guestProcess(g) != nil:
		return true, nil
	}
	for _, d := range g.disks {
		if !d.usable(h) {
			return true, fmt.Errorf("storage '%s' is not online", d.Name)
		}
	}
	return t.startFails()
}

// startFails is the faults that let a start fail, or only seem to succeed.
func (t *task) startFails() (done bool, err error) {
	h, g := t.h, t.g
	switch {
	case g.spec.OnlyOn != "" && g.spec.OnlyOn != h.Name:
		return true, fmt.Errorf("start failed: it starts only on %s", g.spec.OnlyOn)
	case g.spec.FailStarts > 0:
		g.spec.FailStarts--
		return true, errors.New("start failed: QEMU exited with code 1")
	case h.faults.failStart[g.id] > 0:
		h.faults.failStart[g.id]--
		return true, errors.New("start failed: QEMU exited with code 1")
	case h.faults.lieStart > 0:
		h.faults.lieStart--
		return true, nil
	}
	return false, nil
}

// fork makes the guest's process, which runs from now on whatever becomes of the worker.
func (t *task) fork(rest time.Duration) {
	if t.b.guestProcess(t.g) != nil {
		t.end(nil)
		return
	}
	delete(t.b.causes, t.g.id)
	t.h.spawn(t.g, whatGuest).begins(t.name)
	t.after(rest, func() { t.end(nil) })
}

// stop ends the guest's process and goes on with then; one that does not end lets the task fail after a while.
func (t *task) stop(cause ha.StopCause, detail string, then func(error)) {
	t.after(t.between(100*time.Millisecond, 600*time.Millisecond), func() {
		p := t.b.guestProcess(t.g)
		if p == nil {
			then(nil)
			return
		}
		t.b.causes[t.g.id] = stopCause{cause, detail, t.b.clock.Now()}
		p.kill()
		t.stopped(p, 60, then)
	})
}

func (t *task) stopped(p *process, tries int, then func(error)) {
	switch {
	case p.dead:
		then(nil)
	case tries == 0:
		then(errors.New("stop failed: process does not end - got timeout"))
	default:
		t.after(300*time.Millisecond, func() { t.stopped(p, tries-1, then) })
	}
}
