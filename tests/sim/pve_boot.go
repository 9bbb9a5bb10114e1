package sim

import (
	"time"

	"bascule/ha"
)

const (
	guestsQuorum = time.Second      // pause between two looks whether there is a quorum
	guestsGive   = 60 * time.Second // pve-guests waits no longer for it
)

// pveGuests is pve-guests.service: some seconds after a boot, with quorum, it starts what has onboot 1 and lies under the
// node's own directory.
func (m *Machine) pveGuests(h *Host) {
	p := h.NewProc("pve-guests")
	p.After(h.between(5*time.Second, 20*time.Second), func() { h.startAll(p, guestsGive) })
}

func (h *Host) startAll(p *Proc, left time.Duration) {
	if !h.quorate() {
		if left > 0 {
			p.After(guestsQuorum, func() { h.startAll(p, left-guestsQuorum) })
		}
		return
	}
	var ids []*guest
	for _, g := range h.m.guests {
		f := h.own(g.id)
		if f == nil || !f.onboot {
			continue
		}
		if f.protected && h.m.BootCheck {
			h.logf("pve-guests: guest %d is protected and has onboot: nothing is started", g.id)
			return
		}
		ids = append(ids, g)
	}
	h.startNext(p, ids)
}

// startNext starts one guest after the other.
func (h *Host) startNext(p *Proc, left []*guest) {
	if len(left) == 0 {
		return
	}
	h.work(left[0], "start", func(error) {
		p.After(h.between(50*time.Millisecond, 300*time.Millisecond), func() { h.startNext(p, left[1:]) })
	}, (*task).start)
}

// Protected says whether the guest's config, as the quorate ring has it, asks for protection.
func (m *Machine) Protected(id ha.VMID) bool {
	f := m.tree.files[id]
	return f != nil && f.protected && f.managed == ""
}
