package sim

import (
	"slices"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

// Rare things, which few random runs draw or none: a scenario or a mutant asks for them by name. None of them is a lie of a device for the judge:
// the rules hold through each.
func init() {
	for name, v := range map[string]verb{
		// a device reads (and says) what is not so, while the machine shows that it lives or reads anew tell
		"device-misreads": {"DEVICE", true, func(w *World, c Command, on bool) {
			d := w.device(c)
			d.Lies(on)
			if on {
				d.claimed[ha.DeviceOff] = true
			}
		}},
		// the cables of a device go to another machine; it tells that machine's system UUID
		"device-cabled-wrong": {"DEVICE NODE", false, func(w *World, c Command, _ bool) { w.device(c).WrongMachine(c.Args[1]) }},
		// another board: the next boot has another system UUID
		"new-board": {"NODE UUID", false, func(w *World, c Command, _ bool) { w.host(c, 0).spec.UUID = c.Args[1] }},
		// a confirmation that an operator meant for the boot before this one
		"confirm-earlier": {"NODE INCARNATION", false, func(w *World, c Command, _ bool) {
			w.submit(ha.Request{Kind: ha.RequestConfirmOff, Node: ha.NodeName(c.Args[0]), Incarnation: ha.Incarnation(c.Args[1])}, 5)
		}},
		// a node missed the newest member list, which all others have
		"old-list": {"NODE", false, func(w *World, c Command, _ bool) {
			for _, d := range w.daemons {
				if d != nil && d.h != w.host(c, 0) {
					d.state.ListRev++
				}
			}
		}},
		// the first scan of the guard's next kill misses the guests: they are born behind the reader of /proc
		"scan-race": {"NODE", false, func(w *World, c Command, _ bool) { w.scanRace(w.host(c, 0)) }},
		// somebody gives a node back what was taken away from it
		// somebody writes nonsense under a key of the store; for a time: the record is put back afterwards
		"spoil-record": {"KEY", true, func(w *World, c Command, on bool) {
			if on {
				w.spoiled[c.Args[0]] = w.store.Spoil(c.Args[0], []byte("{\"schema\":2,\"holders\":{"))
			} else if was := w.spoiled[c.Args[0]]; was != nil {
				w.store.Spoil(c.Args[0], was)
			}
		}},
		// an operator has tried a device and says so
		"confirm-test": {"NODE DEVICE", false, func(w *World, c Command, _ bool) {
			w.submit(ha.Request{Kind: ha.RequestConfirmTest, Node: ha.NodeName(c.Args[0]), Device: c.Args[1]}, 5)
		}},
		// an operator says of a member that has no record that it is off
		"confirm-unknown": {"NODE", false, func(w *World, c Command, _ bool) {
			w.submit(ha.Request{Kind: ha.RequestConfirmOff, Node: ha.NodeName(c.Args[0]), Incarnation: ha.NeverRegistered}, 5)
		}},
		// it is known by one more address on the storage network, and publishes that as soon as it can
		"new-address": {"NODE", false, func(w *World, c Command, _ bool) {
			h := w.host(c, 0)
			if h.boot == nil {
				return
			}
			h.boot.more++
			w.machine.epoch++
			if d := w.daemons[h.index]; d != nil && d.p.Alive() {
				d.p.Post(d.rep.wake)
			}
		}},
		// a storage answers a node with errors: its paths are gone, and nobody waits for them
		"fail-storage": {"STORAGE NODE", true, func(w *World, c Command, on bool) {
			if d := w.machine.Disk(c.Args[0]); d != nil {
				d.Fail(w.host(c, 1), on)
			}
		}},
		"give-access": {"STORAGE NODE", false, func(w *World, c Command, _ bool) {
			if d, h := w.machine.Disk(c.Args[0]), w.host(c, 1); d != nil && h.Booted() {
				d.Unrevoke(h.Inc())
			}
		}},
		// the drop-in of pve-guests.service is missing everywhere
		"no-boot-check": {"", false, func(w *World, _ Command, _ bool) { w.machine.BootCheck = false }},
	} {
		verbs[name] = v
	}
}

// scanRace hides a host's guests from the first scan of the next kill.
func (w *World) scanRace(h *Host) {
	told, raced := w.machine.OnGuard, false
	w.machine.OnGuard = func(host string, t ha.Transition) {
		if told != nil {
			told(host, t)
		}
		if b := h.boot; host == h.Name && t.To == string(node.GuardKilling) && !raced && b != nil {
			raced = true
			w.loop.After(0, func() { w.hide(h, b) })
		}
	}
}

func (w *World) hide(h *Host, b *boot) {
	isGuest := func(p *process) bool { return p.what == whatGuest }
	var hidden []*process
	for _, p := range b.processes {
		if isGuest(p) {
			hidden = append(hidden, p)
		}
	}
	b.processes = slices.DeleteFunc(slices.Clone(b.processes), isGuest)
	var back func()
	back = func() {
		if h.boot != b {
			return
		}
		if g := b.guard; g != nil && g.s.Empty == 0 && g.s.Phase == node.GuardKilling {
			w.loop.After(time.Millisecond, back)
			return
		}
		b.processes = append(b.processes, hidden...)
		w.machine.epoch++
	}
	back()
}
