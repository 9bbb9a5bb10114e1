package sim

import (
	"fmt"
	"strings"
	"time"

	"bascule/ha"
)

// clientPrefix begins the address of an incarnation's storage client; each boot has another one.
const clientPrefix = "client:"

// Clients are the addresses from which this boot writes to shared storages: what its agent publishes.
func (h *Host) Clients() []string {
	if h.boot == nil {
		return nil
	}
	var out []string
	for i := range 1 + h.boot.more {
		out = append(out, clientPrefix+string(h.boot.address(i)))
	}
	return out
}

// address is what a storage knows a boot by: the first address by its incarnation, another one with its number.
func (b *boot) address(i int) ha.Incarnation {
	if i == 0 {
		return b.inc
	}
	return ha.Incarnation(fmt.Sprintf("%s/%d", b.inc, i+1))
}

// storage takes access away from clients, or says who has it. The administration of a storage is over before it answers.
func (d *Device) storage(c ha.DeviceCommand, r *ha.DeviceReading) {
	r.Clients = c.Clients
	if len(c.Clients) == 0 && c.Action != ha.DeviceRead {
		r.Problem = "refused: no client is named"
		return
	}
	switch c.Action {
	case ha.DeviceRevoke:
		d.revoke(c.Clients)
	case ha.DeviceRestore:
		d.restore(c.Clients)
	case ha.DeviceRead:
		for _, name := range d.spec.Storages {
			r.Storages = append(r.Storages, ha.StorageReading{Storage: name, Access: d.access(name, c.Clients)})
		}
	default:
		r.Problem = "refused: it is a storage device"
	}
}

func (d *Device) revoke(clients []string) {
	if d.lies > 0 {
		d.claimed[ha.DeviceRevoke] = true
		return
	}
	d.m.loop.After(d.between(50*time.Millisecond, 500*time.Millisecond), func() {
		for _, name := range d.spec.Storages {
			for _, c := range clients {
				if disk := d.m.Disk(name); disk != nil {
					disk.Revoke(ha.Incarnation(strings.TrimPrefix(c, clientPrefix)))
				}
			}
		}
	})
}

// restore gives access back to clients, whoever they are by now.
func (d *Device) restore(clients []string) {
	if d.claimed[ha.DeviceRevoke] = false; d.lies > 0 {
		return
	}
	for _, name := range d.spec.Storages {
		for _, c := range clients {
			if disk := d.m.Disk(name); disk != nil {
				disk.Unrevoke(ha.Incarnation(strings.TrimPrefix(c, clientPrefix)))
			}
		}
	}
}

// access is revoked only when none of the clients can write.
func (d *Device) access(storage string, clients []string) ha.StorageAccess {
	disk := d.m.Disk(storage)
	switch {
	case disk == nil:
		return ha.AccessUnknown
	case d.claimed[ha.DeviceRevoke]:
		return ha.AccessRevoked
	}
	for _, c := range clients {
		if !disk.Revoked(ha.Incarnation(strings.TrimPrefix(c, clientPrefix))) {
			return ha.AccessOpen
		}
	}
	if len(clients) == 0 {
		return ha.AccessOpen
	}
	return ha.AccessRevoked
}
