package sim

import (
	"time"

	"bascule/ha"
)

const (
	pillLook   = time.Second     // the victim looks at its slot so often
	pillBlind  = 5 * time.Second // a victim that cannot read its slots is ended by its watchdog after so long
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
		if c.Action == ha.DevicePoison && d.lies == 0 {
			d.hunt()
		}
		answer(r)
	})
}

func (d *Device) reachesDisk(host string, i int) bool {
	return d.m.net.Both(NetStorage, host, "disk:"+d.spec.Storages[i])
}

// hunt is the victim's side, while a message lies in its slot: it looks every second and resets itself; when it sees no slot, or
// stands still, its watchdog ends it. A machine without watchdog has nobody who looks.
func (d *Device) hunt() {
	h := d.machine()
	if h == nil || h.boot == nil || h.spec.Watchdog == "" {
		return
	}
	d.huntStep(h, h.boot, d.between(0, pillLook), 0)
}

func (d *Device) huntStep(h *Host, b *boot, pause, blind time.Duration) {
	d.m.loop.After(pause, func() {
		if h.boot != b {
			return
		}
		blind += pause
		if b.stops == 0 {
			for i := range d.pills {
				if d.reachesDisk(h.Name, i) {
					blind = 0
					if d.pills[i] {
						h.Reset("poison pill")
						return
					}
				}
			}
		}
		if blind > pillBlind {
			h.Reset("poison pill's watchdog")
			return
		}
		if blind > 0 {
			d.huntStep(h, b, pillLook, blind)
		}
	})
}

// clearSlots is a boot's first act: messages for an earlier boot are taken out of the slots that it reaches.
func (m *Machine) clearSlots(h *Host) {
	for _, d := range m.devices {
		if d.spec.Kind != ha.PoisonDevice || d.machine() != h {
			continue
		}
		for i := range d.pills {
			if d.reachesDisk(h.Name, i) {
				d.pills[i] = false
			}
		}
	}
}
