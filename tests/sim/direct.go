package sim

import (
	"time"

	"bascule/ha"
)

// What somebody does to a scene who decides while it runs, and not beforehand by commands of the spec. Like those, all of it is
// known to the judge as a reason for what follows.

// In calls f in the world, d from now.
func (c *Scene) In(d time.Duration, f func()) { c.w.loop.After(d, f) }

// Do applies a command now. It panics on a command that ParseCommand would refuse.
func (c *Scene) Do(verb string, args ...string) {
	cmd := Command{At: c.Now(), Verb: verb, Args: args}
	if err := cmd.check(); err != nil {
		panic(err)
	}
	c.w.apply(cmd)
}

// Say writes a line into the readable trace.
func (c *Scene) Say(format string, a ...any) { c.w.loop.Logf("scenario", format, a...) }

// SwitchOn gives a machine power and switches it on; SwitchOff takes the power away.
func (c *Scene) SwitchOn(host string) { c.w.machine.Host(host).Power(true) }

// SwitchOff takes a machine's power away.
func (c *Scene) SwitchOff(host string) { c.Do("power-off", host) }

// unplugged are the networks that Unplug cuts. Storages stay within reach: a guest on the host goes on and can write, which is worse
// than one that hangs.
var unplugged = []string{"cluster", "corosync", "mgmt"}

// Unplug cuts a host off from everybody, but not from the storages.
func (c *Scene) Unplug(host string) {
	for _, n := range unplugged {
		c.Do("cut", n, host, "*")
	}
}

// Plug undoes one Unplug.
func (c *Scene) Plug(host string) {
	for _, n := range unplugged {
		cmd := Command{At: c.Now(), Verb: "cut", Args: []string{n, host, "*"}}
		verbs[cmd.Verb].apply(c.w, cmd, false)
		c.w.judge.touch(cmd, c.Now()+troubleEcho)
	}
}

// StayOffAfterReset lets every machine that a watchdog resets stay off until somebody switches it on; ended is told of each.
func (c *Scene) StayOffAfterReset(ended func(host string)) {
	m := c.w.machine
	reset := m.OnReset
	m.OnReset = func(host, why string) {
		reset(host, why)
		if why == "watchdog" {
			m.Host(host).Power(false)
			ended(host)
		}
	}
}

const (
	stopAllPause = 2 * time.Second  // until all guests have ended, once stopall has begun
	unitPatience = 30 * time.Second // how long systemd waits for basculed's stop (TimeoutStopSec and its kill)
	postTime     = 5 * time.Second  // a rebooting machine's firmware
)

// Shutdown ends a host in order as systemd does: Proxmox stops its guests (stopall), then basculed is stopped, then the machine
// switches off; with again it comes up once more. off is told when the power goes.
func (c *Scene) Shutdown(host string, again bool, off func()) {
	h := c.w.machine.Host(host)
	if !h.Runs() {
		return
	}
	c.Say("shutdown of %s begins", host)
	c.w.judge.touch(Command{Args: []string{host}}, c.Now()+troubleEcho)
	b, inc := h.boot, h.Inc()
	h.stopAll()
	was := c.w.stopped[h.index] // somebody has stopped it for good
	c.w.stopped[h.index] = true
	alive := func() bool { return h.boot == b && h.Inc() == inc }
	end := func() {
		if !alive() {
			return
		}
		b = nil // once
		h.Power(false)
		c.w.stopped[h.index] = was
		off()
		if again {
			c.In(postTime, func() { h.Power(true) })
		}
	}
	c.In(stopAllPause, func() {
		d := c.w.daemons[h.index]
		if !alive() || d == nil || !d.p.Alive() {
			end()
			return
		}
		d.leave(func() { c.In(0, end) })
		c.In(unitPatience, end)
	})
}

// stopAll is Proxmox's stop of all guests at a shutdown. No task of a guest itself says so: the cause is passing.
func (h *Host) stopAll() {
	for _, p := range append([]*process(nil), h.boot.processes...) {
		if p.what == whatGuest {
			h.boot.causes[p.g.id] = stopCause{ha.CausePassing, "stopall", h.boot.clock.Now()}
			p.kill()
		}
	}
}

// RestartDaemon is systemctl restart basculed: left in order, started again.
func (c *Scene) RestartDaemon(host string) {
	h := c.w.machine.Host(host)
	d := c.w.daemons[h.index]
	if !h.Runs() || d == nil || !d.p.Alive() {
		return
	}
	inc := h.Inc()
	c.w.stopped[h.index] = true
	c.w.judge.touch(Command{Args: []string{host}}, c.Now()+troubleEcho)
	d.leave(func() {
		d.p.Kill()
		c.In(restartDaemon, func() {
			c.w.stopped[h.index] = false
			if h.Booted() && h.Inc() == inc && !c.w.running(h) {
				c.w.startDaemon(h)
			}
		})
	})
}

// StopDaemon is systemctl stop basculed, StartDaemon systemctl start; on a machine that is off they hold for its next boot.
func (c *Scene) StopDaemon(host string) { c.Do("leave", host) }

// StartDaemon undoes StopDaemon.
func (c *Scene) StartDaemon(host string) { c.w.startAgain(c.w.machine.Host(host)) }

// QmMigrate is an operator's "qm migrate" (pct migrate --restart) of a guest from where its config lies: live when it is a VM that
// runs. A cluster without quorum there refuses it.
func (c *Scene) QmMigrate(id ha.VMID, to string) {
	m := c.w.machine
	g, h := m.guest(id), m.Host(m.ConfigNode(id))
	if g == nil || h == nil || !h.Runs() || !h.quorate() {
		return
	}
	c.w.judge.touch(Command{Args: []string{h.Name, to}}, c.Now()+troubleEcho)
	c.w.judge.byHand[id] = true
	h.work(g, "migrate", nil, func(t *task) {
		mig := &migration{t: t, to: m.Host(to), src: t.b.guestProcess(g)}
		t.gone = mig.workerDied
		mig.begin(mig.src != nil)
	})
}

// Create makes the config of a guest of the spec that had none (GuestSpec.NoConfig), and its process if it is to run at once.
func (c *Scene) Create(id ha.VMID, host string, onboot, running bool) {
	m := c.w.machine
	g, h := m.guest(id), m.Host(host)
	c.w.judge.byHand[id] = true
	m.tree.files[id] = &file{node: host, kind: g.kind, onboot: onboot, protected: g.spec.Protected}
	if running && h.Runs() {
		h.spawn(g, whatGuest).begins("started by an operator")
	}
}

// Protect is an operator's choice in a guest's config.
func (c *Scene) Protect(id ha.VMID, on bool) { c.w.machine.SetProtected(id, on) }

// Lock leaves a lock in a guest's config; "" takes it away.
func (c *Scene) Lock(id ha.VMID, name string) { c.w.machine.SetLock(id, name) }

// Change changes what a guest is like, for instance its memory or its faults.
func (c *Scene) Change(id ha.VMID, f func(*GuestSpec)) { c.w.machine.Spec(id, f) }

// OnStart calls f whenever a guest's process begins to run.
func (c *Scene) OnStart(f func(host string, id ha.VMID)) {
	m := c.w.machine
	start := m.OnStart
	m.OnStart = func(host string, inc ha.Incarnation, id ha.VMID) {
		start(host, inc, id)
		f(host, id)
	}
}

// Ask submits an operator's request through the first daemon that works, trying again for a minute.
func (c *Scene) Ask(q ha.Request) { c.w.submit(q, 30) }
