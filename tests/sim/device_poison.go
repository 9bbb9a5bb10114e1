package sim

import (
	"slices"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

const (
	pillLook   = time.Second     // a guard looks at its slot so often
	pillBlind  = 5 * time.Second // for so long a disk counts as seen: the disks' own watchdog time
	diskAnswer = 50 * time.Millisecond
)

// poison writes the message to every disk that the caller reaches, or reads it back. A disk that it does not reach costs nothing
// but the disk.
func (d *Device) poison(from string, c ha.DeviceCommand, there func() bool, answer func(ha.DeviceReading)) {
	d.m.loop.After(d.slow+d.between(diskAnswer/2, 4*diskAnswer), func() {
		if d.dead > 0 || !there() {
			return
		}
		r := ha.DeviceReading{Power: ha.PowerUnknown, Disks: len(d.spec.Storages)}
		wrote := 0
		for i := range d.spec.Storages {
			if !d.reachesDisk(from, i) {
				continue
			}
			switch {
			case c.Action == ha.DevicePoison && d.lies > 0:
				d.claimed[ha.DevicePoison] = true
				wrote++
			case c.Action == ha.DevicePoison:
				d.pills[i] = true
				wrote++
			case c.Action == ha.DeviceRead && (d.pills[i] || d.claimed[ha.DevicePoison]):
				r.Pills++
			}
		}
		switch {
		case c.Action != ha.DevicePoison && c.Action != ha.DeviceRead:
			r.Problem = "refused: these are disks"
		case c.Action == ha.DevicePoison && 2*wrote <= len(d.spec.Storages):
			r.Problem = "the message was not written on a majority of disks"
		}
		answer(r)
	})
}

func (d *Device) reachesDisk(host string, i int) bool {
	return d.m.net.Both(NetStorage, host, "disk:"+d.spec.Storages[i])
}

// slots are the poison devices that a host's configuration names for it: its guard watches them.
func (h *Host) slots() []*Device {
	var out []*Device
	for _, d := range h.m.devices {
		if d.spec.Kind == ha.PoisonDevice && d.spec.Node == h.Name {
			out = append(out, d)
		}
	}
	return out
}

func slotNames(all []*Device) []string {
	var out []string
	for _, d := range all {
		out = append(out, d.Name)
	}
	return out
}

// watchSlot looks at a slot each second, as fencing/sbd's watch does for the guard. On each disk, what lies there at the first look of a
// boot was meant for an earlier one and is cleared.
func (g *guardProc) watchSlot(d *Device) {
	i := slices.IndexFunc(g.s.Slots, func(s node.GuardSlot) bool { return s.Device == d.Name })
	cleared := slices.Repeat([]bool{g.s.Slots[i].Known}, len(d.pills))
	var look func()
	look = func() {
		asked := g.proc.Clock().Now()
		g.proc.After(g.h.between(diskAnswer/10, diskAnswer), func() {
			g.step(d.seenBy(g.h.Name, asked, cleared), nil)
			g.proc.After(pillLook, look)
		})
	}
	look()
}

// seenBy is one look at all disks of a slot.
func (d *Device) seenBy(host string, asked ha.Instant, cleared []bool) node.GuardSight {
	e, seen := node.GuardSight{Device: d.Name}, 0
	for i := range d.pills {
		if !d.reachesDisk(host, i) {
			continue
		}
		seen++
		d.pills[i] = d.pills[i] && cleared[i]
		cleared[i] = true
		if d.pills[i] {
			e.Message, e.From = node.EndOff, "a leader"
		}
	}
	if 2*seen >= len(d.pills) {
		e.Until = asked.Add(pillBlind)
	} else {
		e.Problem = "its disks cannot be reached"
	}
	return e
}
