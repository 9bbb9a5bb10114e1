package sim

import (
	"time"

	"bascule/ha"
)

const (
	childStart  = time.Second           // what a switching command's own process may take on top of the device's time
	childFork   = 5 * time.Millisecond  // to fork it
	inFlight    = 10 * time.Millisecond // what a dead process had sent this shortly before may still arrive
	deviceAsked = "no answer in time"
)

// deviceCall is one command of one caller.
type deviceCall struct {
	d     *Device
	p     *Proc
	from  string
	c     ha.DeviceCommand
	r     ha.DeviceReading
	done  func(ha.DeviceReading)
	turn  *deviceTurn
	mine  bool // it holds the turn
	open  bool
	child *Proc         // a switching command's process
	sent  time.Duration // when the child began to talk to the device
	died  time.Duration
	heard bool // the device's own answer is there
}

// Do carries out a device command for a process of a host, as fencing.Executor does: one command at a time per device and caller; an
// answer in bounded time; a switching command has a process of its own, which ends at the command's deadline and with its caller, but
// what the device has taken by then takes effect.
func (m *Machine) Do(p *Proc, from string, c ha.DeviceCommand, done func(ha.DeviceReading)) {
	k := &deviceCall{d: m.Device(c.Device), p: p, from: from, c: c, done: done, open: true}
	k.r = ha.DeviceReading{Device: c.Device, Node: c.Node, Incarnation: c.Incarnation, Action: c.Action, Clients: c.Clients,
		Asked: p.Clock().Now(), Power: ha.PowerUnknown}
	switch {
	case k.d == nil:
		p.Post(func() { k.end("no fencing device has this name on this node") })
		return
	case ha.NodeName(k.d.spec.Node) != c.Node:
		p.Post(func() { k.end("the command is for another node than the device") })
		return
	case c.Timeout <= 0:
		p.Post(func() { k.end("the command carries no time-out") })
		return
	}
	k.await()
}

// await takes the device's turn.
func (k *deviceCall) await() {
	t := k.d.turns[k.p]
	if t == nil {
		t = &deviceTurn{}
		k.d.turns[k.p] = t
	}
	k.turn = t
	if !t.busy {
		t.busy, k.mine = true, true
		k.p.Post(k.begin)
		return
	}
	t.next = append(t.next, func() {
		if !k.open {
			k.release()
			return
		}
		k.mine = true
		k.begin()
	})
	k.p.After(k.c.Timeout, func() {
		if !k.mine {
			k.end("an earlier command still waits for the device")
		}
	})
}

// release hands the turn on.
func (k *deviceCall) release() {
	t := k.turn
	if len(t.next) == 0 {
		t.busy = false
		return
	}
	next := t.next[0]
	t.next = t.next[1:]
	k.p.Post(next)
}

func (k *deviceCall) begin() {
	k.r.Asked = k.p.Clock().Now()
	if k.c.Action == ha.DeviceRead {
		k.p.After(k.c.Timeout, func() { k.end(deviceAsked) })
		k.send(func() bool { return k.open && k.p.Alive() })
		return
	}
	if k.c.Deadline <= 0 || k.c.Deadline.Sub(k.r.Asked) <= k.c.Timeout {
		k.end("too late: the leadership may end before the device has answered")
		return
	}
	k.p.After(k.c.Timeout+childStart+childStart/2, func() { k.end(deviceAsked) })
	k.fork()
}

// fork starts the command's own process. The kernel ends it at the deadline, also when it stands still.
func (k *deviceCall) fork() {
	h := k.d.m.Host(k.from)
	k.child = h.NewProc("fence-device")
	k.p.loop.After(k.p.Clock().Until(k.c.Deadline), k.kill)
	k.child.After(k.c.Timeout+childStart, k.kill)
	k.child.After(childFork, func() {
		if k.p.Alive() {
			k.sent = k.p.loop.Now()
			k.send(k.childThere)
		}
	})
}

func (k *deviceCall) kill() {
	if k.child.Alive() {
		k.child.Kill()
		k.died = k.p.loop.Now()
	}
}

// childThere says whether something that the command's process has sent still counts: it lives, as its caller does, or what it sent
// last is on its way yet.
func (k *deviceCall) childThere() bool {
	now := k.p.loop.Now()
	switch {
	case !k.p.Alive():
		k.kill()
		return now-k.sent <= inFlight
	case !k.child.Alive():
		return now-k.died <= inFlight
	}
	return true
}

// send brings the command to the device and the answer back; either may be lost.
func (k *deviceCall) send(there func() bool) {
	n, d := k.d.m.net, k.d
	back := func(r ha.DeviceReading) { n.Stream(NetMgmt, d.end, k.from, k.p.In(func() { k.answered(r) })) }
	if d.spec.Kind == ha.PoisonDevice {
		d.poison(k.from, k.c, there, func(r ha.DeviceReading) { k.p.Post(func() { k.answered(r) }) })
		return
	}
	n.Stream(NetMgmt, k.from, d.end, func() {
		if there() {
			d.handle(k.c, there, back)
		}
	})
}

// answered is the device's answer in the calling process.
func (k *deviceCall) answered(r ha.DeviceReading) {
	if k.child != nil && !k.child.Alive() {
		k.end("the helper process was killed, as it is when the leadership ends")
		return
	}
	k.heard = true
	if k.c.Action == ha.DeviceRead {
		k.r.Power, k.r.SystemUUID, k.r.Storages, k.r.Pills, k.r.Disks = r.Power, r.SystemUUID, r.Storages, r.Pills, r.Disks
	}
	k.end(r.Problem)
}

func (k *deviceCall) end(problem string) {
	if !k.open {
		return
	}
	k.open = false
	if k.child != nil {
		k.kill()
	}
	if k.mine {
		k.release()
	}
	k.r.Answered, k.r.Problem = k.p.Clock().Now(), problem
	k.r.Perhaps = k.c.Action == ha.DeviceReset && problem != "" && k.sent != 0 && !k.heard
	if problem != "" {
		k.r.Power, k.r.Storages, k.r.Pills, k.r.Disks, k.r.SystemUUID = ha.PowerUnknown, nil, 0, 0, ""
	}
	k.done(k.r)
}
