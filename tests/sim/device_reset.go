package sim

import (
	"time"

	"bascule/ha"
)

// A reset service: it takes resets, carries them out in its own time on whatever boot it then meets, and shows nothing.

// What the service takes to carry out a reset that it has accepted.
const (
	resetSoonest = 500 * time.Millisecond
	resetLatest  = 8 * time.Second
)

// reset has the machine reset, or says whether it would. It knows its machine by its address: one that was cabled wrong is another machine.
func (d *Device) reset(c ha.DeviceCommand, r *ha.DeviceReading) {
	switch {
	case d.wrong != nil && d.wrong.Name != d.spec.Node:
		r.Problem = "the device belongs to another machine"
	case c.Action == ha.DeviceRead:
	case c.Action != ha.DeviceReset:
		r.Problem = "refused: it can only reset"
	case d.lies > 0: // takes it and does nothing
	default:
		takes := d.between(resetSoonest, resetLatest)
		if d.stuck {
			takes = d.between(30*time.Second, 60*time.Second)
		}
		d.m.loop.After(takes, func() {
			h := d.machine()
			d.late = h.Inc() != "" && h.Inc() != c.Incarnation
			h.Reset(d.Name)
			d.late = false
		})
	}
}
