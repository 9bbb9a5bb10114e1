package sim

import (
	"slices"
	"time"

	"bascule/ha"
)

// StorageSpec describes a storage. A shared one is reached over NetStorage at the endpoint "disk:"+Name, a local one always.
type StorageSpec struct {
	Name      string
	Shared    bool
	Nodes     []string // where it is configured; nil: everywhere
	Revocable bool     // access of one incarnation can be taken away
}

// Disk is a storage.
type Disk struct {
	Name    string
	m       *Machine
	spec    StorageSpec
	end     string // its endpoint on NetStorage
	revoked map[ha.Incarnation]bool
	since   []time.Duration // by host: since when it cannot be reached; -1: it can
	notice  []time.Duration // by host: when Proxmox there shows it inactive
	fails   []bool          // by host: it answers with errors, as one whose paths are gone and that nobody waits for
}

func newDisk(m *Machine, s StorageSpec, hosts int) *Disk {
	d := &Disk{Name: s.Name, m: m, spec: s, end: "disk:" + s.Name, revoked: map[ha.Incarnation]bool{}}
	for range hosts {
		d.since, d.notice, d.fails = append(d.since, -1), append(d.notice, 0), append(d.fails, false)
	}
	return d
}

// Revoke takes an incarnation's access away. It answers false where the storage cannot do that.
func (d *Disk) Revoke(inc ha.Incarnation) bool {
	if !d.spec.Revocable || inc == "" {
		return false
	}
	d.revoked[inc] = true
	d.m.epoch++
	d.m.reapZombies() // what hung gets errors now
	return true
}

// Revoked says whether an incarnation has no access.
func (d *Disk) Revoked(inc ha.Incarnation) bool { return d.revoked[inc] }

// Unrevoke gives access back (an entry that expired, an administrator's command).
func (d *Disk) Unrevoke(inc ha.Incarnation) {
	delete(d.revoked, inc)
	d.m.epoch++
}

// Fail makes the storage answer a host with errors, or no more.
func (d *Disk) Fail(h *Host, on bool) {
	d.fails[h.index] = on
	d.m.epoch++
	d.m.look()
}

// reached says whether the host can work with the storage now.
func (d *Disk) reached(h *Host) bool { return d.answers(h) && !d.fails[h.index] }

// answers says whether the host gets answers from the storage now, be they errors.
func (d *Disk) answers(h *Host) bool {
	if d.spec.Nodes != nil && !slices.Contains(d.spec.Nodes, h.Name) {
		return false
	}
	return !d.spec.Shared || d.m.net.Reaches(NetStorage, h.Name, d.end) && d.m.net.Reaches(NetStorage, d.end, h.Name)
}

// out says whether a boot has no access: by none of its addresses.
func (d *Disk) out(b *boot) bool {
	if b == nil {
		return false
	}
	for i := range 1 + b.more {
		if !d.revoked[b.address(i)] {
			return false
		}
	}
	return true
}

// usable says whether the host can activate the storage: reached, and not shut out.
func (d *Disk) usable(h *Host) bool { return d.reached(h) && !d.out(h.boot) }

// look notes since when hosts do not reach the storage. Proxmox notices 1-10 s later.
func (d *Disk) look() {
	for i, h := range d.m.hosts {
		switch {
		case d.reached(h):
			d.since[i] = -1
		case d.since[i] < 0:
			d.since[i] = d.m.loop.Now()
			d.notice[i] = d.since[i] + d.m.loop.Between("disk", time.Second, 10*time.Second)
		}
	}
}

// shown says whether Proxmox on a host lists the storage as active, without asking the storage.
func (d *Disk) shown(h *Host) bool {
	i := h.index
	return !d.out(h.boot) && (d.since[i] < 0 || d.m.loop.Now() < d.notice[i])
}

// configured says whether Proxmox on a host knows the storage at all.
func (d *Disk) configured(h *Host) bool {
	return d.spec.Nodes == nil || slices.Contains(d.spec.Nodes, h.Name)
}
