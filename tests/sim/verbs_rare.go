package sim

import "bascule/ha"

// Rare things, which no random run draws: a scenario or a mutant asks for them by name. None of them is a lie of a device for the judge:
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
		// the drop-in of pve-guests.service is missing everywhere
		"no-boot-check": {"", false, func(w *World, _ Command, _ bool) { w.machine.BootCheck = false }},
	} {
		verbs[name] = v
	}
}
