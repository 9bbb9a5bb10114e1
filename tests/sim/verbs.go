package sim

import (
	"strconv"
	"time"

	"bascule/ha"
)

// verbs are all commands. What they do to hosts that are off, or guests that are gone, is nothing.
var verbs map[string]verb

func init() {
	verbs = map[string]verb{
		// machines
		"power-off": {"NODE", true, func(w *World, c Command, on bool) { w.host(c, 0).Power(!on) }},
		"crash": {"NODE", true, func(w *World, c Command, on bool) {
			if on {
				w.host(c, 0).Crash()
			} else if w.host(c, 0).Crashed() {
				w.host(c, 0).Reset("button")
			}
		}},
		"freeze":  {"NODE", true, func(w *World, c Command, on bool) { w.host(c, 0).Freeze(on) }},
		"suspend": {"NODE DURATION", false, func(w *World, c Command, _ bool) { w.host(c, 0).Suspend(c.duration(1)) }},
		"reset":   {"NODE", false, func(w *World, c Command, _ bool) { w.host(c, 0).Reset("button") }},
		"clock": {"NODE STEP", false, func(w *World, c Command, _ bool) {
			if k := w.host(c, 0).Clock(); k != nil {
				k.StepWall(c.duration(1))
			}
		}},
		"watchdog-refuses": {"NODE", true, func(w *World, c Command, on bool) { w.host(c, 0).Watchdog().Refuse(on) }},

		// processes
		"kill-daemon": {"NODE", false, func(w *World, c Command, _ bool) { w.killDaemon(w.host(c, 0)) }},
		"kill-guard": {"NODE", false, func(w *World, c Command, _ bool) {
			if h := w.host(c, 0); h.Booted() {
				h.KillGuard()
			}
		}},
		"stop-daemon": {"NODE", true, func(w *World, c Command, on bool) { w.sigstop(w.host(c, 0), "daemon", on) }},
		"stop-guard":  {"NODE", true, func(w *World, c Command, on bool) { w.sigstop(w.host(c, 0), "guard", on) }},
		"leave":       {"NODE", true, func(w *World, c Command, on bool) { w.leaveOrStart(w.host(c, 0), on) }},

		// networks
		"cut": {"NET A B", true, func(w *World, c Command, on bool) {
			for _, k := range nets(c.Args[0]) {
				w.net.Cut(k, c.Args[1], c.Args[2], on)
				w.net.Cut(k, c.Args[2], c.Args[1], on)
			}
		}},
		"cut-one-way": {"NET FROM TO", true, func(w *World, c Command, on bool) {
			for _, k := range nets(c.Args[0]) {
				w.net.Cut(k, c.Args[1], c.Args[2], on)
			}
		}},
		"switch-off": {"NET", true, func(w *World, c Command, on bool) {
			for _, k := range nets(c.Args[0]) {
				w.net.Cut(k, "*", "*", on)
			}
		}},
		"flap": {"NET NODE PERIOD", true, func(w *World, c Command, on bool) { w.flap(c, on) }},
		"loss": {"NET A B PERCENT", true, func(w *World, c Command, on bool) {
			p := 0.0
			if on {
				p = float64(c.int(3)) / 100
			}
			for _, k := range nets(c.Args[0]) {
				w.net.Loss(k, c.Args[1], c.Args[2], p)
				w.net.Loss(k, c.Args[2], c.Args[1], p)
			}
		}},
		"delay": {"NET A B BY", true, func(w *World, c Command, on bool) {
			d := time.Duration(0)
			if on {
				d = c.duration(3)
			}
			for _, k := range nets(c.Args[0]) {
				w.net.Delay(k, c.Args[1], c.Args[2], d)
				w.net.Delay(k, c.Args[2], c.Args[1], d)
			}
		}},
		"gossip-false-dead": {"OBSERVER NODE DURATION", false, func(w *World, c Command, _ bool) { w.gossip.FalseDead(c.Args[0], c.Args[1], c.duration(2)) }},
	}
	addStoreVerbs()
	addProxmoxVerbs()
	addPeopleVerbs()
}

func addStoreVerbs() {
	for name, v := range map[string]verb{
		"etcd-down":  {"", true, func(w *World, _ Command, on bool) { w.store.Down(on) }},
		"voter-down": {"NODE", true, func(w *World, c Command, on bool) { w.store.VoterDown(c.Args[0], on) }},
		"slow-fsync": {"NODE BY", true, func(w *World, c Command, on bool) { w.store.SlowFsync(c.Args[0], onlyIf(on, c.duration(1))) }},
		"lag-watch":  {"NODE BY", true, func(w *World, c Command, on bool) { w.store.LagWatch(c.Args[0], onlyIf(on, c.duration(1))) }},
		"break-watch": {"NODE DURATION", false, func(w *World, c Command, _ bool) {
			w.store.BreakWatch(c.Args[0], c.duration(1))
		}},
		"lost-answers": {"NODE PERCENT", true, func(w *World, c Command, on bool) {
			p := 0.0
			if on {
				p = float64(c.int(1)) / 100
			}
			w.store.Ambiguous(c.Args[0], p)
		}},
		"move-raft": {"FROM", false, func(w *World, c Command, _ bool) {
			if w.store.RaftLeader() == c.Args[0] {
				w.store.MoveRaftLeaderOff(c.Args[0])
			}
		}},
		"compact":        {"", false, func(w *World, _ Command, _ bool) { w.store.Compact() }},
		"etcd-backup":    {"", false, func(w *World, _ Command, _ bool) { w.store.Backup() }},
		"etcd-restore":   {"", false, func(w *World, _ Command, _ bool) { w.store.RestoreAnew() }},
		"etcd-overwrite": {"", false, func(w *World, _ Command, _ bool) { w.store.Restore() }}, // without the procedure
	} {
		verbs[name] = v
	}
}

func addProxmoxVerbs() {
	for name, v := range map[string]verb{
		"fail-start": {"NODE VMID TIMES", false, func(w *World, c Command, _ bool) { w.machine.FailStart(c.Args[0], c.vmid(1), c.int(2)) }},
		"lie-start":  {"NODE TIMES", false, func(w *World, c Command, _ bool) { w.machine.LieStart(c.Args[0], c.int(1)) }},
		"hang-task":  {"NODE DURATION", false, func(w *World, c Command, _ bool) { w.machine.HangTask(c.Args[0], c.duration(1)) }},
		"block-pmxcfs": {"NODE DURATION", false, func(w *World, c Command, _ bool) {
			w.machine.BlockPmxcfs(c.Args[0], c.duration(1))
		}},
		"crash-guest": {"VMID", false, func(w *World, c Command, _ bool) { w.machine.CrashGuest(c.vmid(0)) }},
		"set-lock":    {"VMID LOCK", false, func(w *World, c Command, _ bool) { w.machine.SetLock(c.vmid(0), c.Args[1]) }},
		"managed": {"VMID", true, func(w *World, c Command, on bool) {
			why := ""
			if on {
				why = "Proxmox's own HA manages it"
			}
			w.machine.SetManaged(c.vmid(0), why)
		}},
		"device-slow": {"DEVICE BY", true, func(w *World, c Command, on bool) { w.device(c).Slow(onlyIf(on, c.duration(1))) }},
		"device-dead": {"DEVICE", true, func(w *World, c Command, on bool) { w.device(c).Dead(on) }},
		"device-lies": {"DEVICE", true, func(w *World, c Command, on bool) { w.device(c).Lies(on) }},
		"device-stuck": {"DEVICE", true, func(w *World, c Command, on bool) {
			w.device(c).Stuck(on)
		}},
		"device-wrong-uuid": {"DEVICE", true, func(w *World, c Command, on bool) { w.device(c).WrongUUID(on) }},
		"device-wrong-machine": {"DEVICE NODE", true, func(w *World, c Command, on bool) {
			host := c.Args[1]
			if !on {
				host = w.device(c).Spec().Node
			}
			w.device(c).WrongMachine(host)
		}},
		"device-dies-with-power": {"DEVICE", true, func(w *World, c Command, on bool) { w.device(c).DiesWithPower(on) }},
	} {
		verbs[name] = v
	}
}

func addPeopleVerbs() {
	for name, v := range map[string]verb{
		"qm-start":    {"NODE VMID", false, func(w *World, c Command, _ bool) { w.machine.QmStart(c.Args[0], c.vmid(1)) }},
		"qm-stop":     {"NODE VMID", false, func(w *World, c Command, _ bool) { w.machine.QmStop(c.Args[0], c.vmid(1)) }},
		"move-guest":  {"VMID NODE", false, func(w *World, c Command, _ bool) { w.moveByHand(c.vmid(0), c.Args[1]) }},
		"unprotect":   {"VMID", true, func(w *World, c Command, on bool) { w.machine.SetProtected(c.vmid(0), !on) }},
		"set-onboot":  {"VMID", false, func(w *World, c Command, _ bool) { w.machine.SetOnboot(c.vmid(0), true) }},
		"destroy":     {"VMID", false, func(w *World, c Command, _ bool) { w.machine.Destroy(c.vmid(0)) }},
		"drain":       {"NODE", true, func(w *World, c Command, on bool) { w.ask(drainOrNot(on), c.Args[0]) }},
		"fence":       {"NODE", false, func(w *World, c Command, _ bool) { w.ask(ha.RequestFence, c.Args[0]) }},
		"confirm-off": {"NODE", false, func(w *World, c Command, _ bool) { w.confirmOff(c.Args[0]) }},
	} {
		verbs[name] = v
	}
}

func drainOrNot(on bool) ha.RequestKind {
	if on {
		return ha.RequestDrain
	}
	return ha.RequestUndrain
}

func onlyIf(on bool, d time.Duration) time.Duration {
	if on {
		return d
	}
	return 0
}

func (w *World) device(c Command) *Device { return w.machine.Device(c.Args[0]) }

// sigstop stops or continues a process; one that was started meanwhile is not meant.
func (w *World) sigstop(h *Host, what string, on bool) {
	p := w.procOf(h, what)
	key := h.Name + " " + what
	if on {
		if p != nil && p.Alive() {
			p.Stop()
			w.people.stoppedProcs = append(w.people.stoppedProcs, stoppedProc{key, p})
		}
		return
	}
	for i, s := range w.people.stoppedProcs {
		if s.key == key {
			s.p.Continue()
			w.people.stoppedProcs = append(w.people.stoppedProcs[:i], w.people.stoppedProcs[i+1:]...)
			return
		}
	}
}

func (w *World) procOf(h *Host, what string) *Proc {
	if what == "guard" {
		return h.GuardProc()
	}
	if d := w.daemons[h.index]; d != nil {
		return d.p
	}
	return nil
}

func (w *World) leaveOrStart(h *Host, on bool) {
	if on {
		w.stopDaemon(h)
	} else {
		w.startAgain(h)
	}
}

// flap cuts a node off from everybody and lets it back, again and again.
func (w *World) flap(c Command, on bool) {
	id := c.String()
	if !on {
		if w.people.flapping[id] {
			w.flapTurn(c, false)
		}
		delete(w.people.flapping, id)
		delete(w.people.flaps, id)
		return
	}
	if w.people.flaps == nil {
		w.people.flaps, w.people.flapping = map[string]bool{}, map[string]bool{}
	}
	w.people.flaps[id] = true
	w.flapAgain(c, true)
}

func (w *World) flapAgain(c Command, cut bool) {
	id := c.String()
	if !w.people.flaps[id] {
		return
	}
	w.flapTurn(c, cut)
	w.loop.After(c.duration(2), func() { w.flapAgain(c, !cut) })
}

func (w *World) flapTurn(c Command, cut bool) {
	w.people.flapping[c.String()] = cut
	for _, k := range nets(c.Args[0]) {
		w.net.Cut(k, c.Args[1], "*", cut)
		w.net.Cut(k, "*", c.Args[1], cut)
	}
}

func text(n int) string { return strconv.Itoa(n) }
