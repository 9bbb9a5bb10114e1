package sim

import (
	"slices"
	"time"

	"bascule/ha"
)

// pveFaults is what is wrong with a host's Proxmox.
type pveFaults struct {
	failStart map[ha.VMID]int
	lieStart  int
	hang      time.Duration
}

// FailStart lets the next n starts of a guest on a host fail in the task.
func (m *Machine) FailStart(host string, id ha.VMID, n int) {
	h := m.Host(host)
	if h.faults.failStart == nil {
		h.faults.failStart = map[ha.VMID]int{}
	}
	h.faults.failStart[id] = n
}

// LieStart lets the next n start tasks on a host end well although nothing was started.
func (m *Machine) LieStart(host string, n int) { m.Host(host).faults.lieStart = n }

// HangTask lets the next task on a host hang for d before it does anything.
func (m *Machine) HangTask(host string, d time.Duration) { m.Host(host).faults.hang = d }

// BlockPmxcfs lets every access to /etc/pve on a host wait for d.
func (m *Machine) BlockPmxcfs(host string, d time.Duration) {
	h := m.Host(host)
	if h.boot == nil {
		return
	}
	h.boot.cfsUntil = max(h.boot.cfsUntil, m.loop.Now()+d)
	m.loop.After(d, h.flush)
}

// QmStart is an operator's start command on a host.
func (m *Machine) QmStart(host string, id ha.VMID) {
	if h, g := m.Host(host), m.guest(id); h != nil && h.boot != nil && g != nil && h.quorate() {
		h.work(g, "start", nil, (*task).start)
	}
}

// QmStop is an operator's stop command on a host.
func (m *Machine) QmStop(host string, id ha.VMID) {
	if h, g := m.Host(host), m.guest(id); h != nil && h.boot != nil && g != nil {
		h.work(g, "stop", nil, func(t *task) { t.stop(ha.CauseUser, "qmstop by root@pam", t.end) })
	}
}

// CrashGuest ends a guest's process without any task: it crashed, or shut down from inside.
func (m *Machine) CrashGuest(id ha.VMID) {
	g := m.guest(id)
	for _, h := range m.hosts {
		if h.boot == nil {
			continue
		}
		if p := h.boot.guestProcess(g); p != nil && !p.incoming {
			delete(h.boot.causes, id)
			p.kill()
		}
	}
}

// ManualMove is an operator's move by hand of config and process, done at once; what cannot be moved stays.
func (m *Machine) ManualMove(id ha.VMID, to string) {
	g, t := m.guest(id), m.Host(to)
	f := m.tree.files[id]
	if g == nil || t == nil || f == nil || f.node == to {
		return
	}
	from := m.Host(f.node)
	f.node, f.lock = to, ""
	m.loop.Logf("operator", "moves guest %d: %s -> %s", id, shortName(from), to)
	if from == nil || !from.Runs() || !t.Runs() {
		return
	}
	if p := from.boot.guestProcess(g); p != nil {
		p.end()
		n := t.spawn(g, whatGuest)
		n.arrived = g.kind == ha.QEMU
		n.begins("moved by hand")
	}
}

// SetProtected is an operator's choice in the guest's config.
func (m *Machine) SetProtected(id ha.VMID, on bool) {
	if f := m.tree.files[id]; f != nil {
		f.protected = on
	}
}

// SetOnboot is an operator's choice in the guest's config.
func (m *Machine) SetOnboot(id ha.VMID, on bool) {
	if f := m.tree.files[id]; f != nil {
		f.onboot = on
	}
}

// SetManaged says why Bascule must leave a guest alone: Proxmox's own HA manages it. "": nothing does.
func (m *Machine) SetManaged(id ha.VMID, why string) {
	if f := m.tree.files[id]; f != nil {
		f.managed = why
	}
}

// SetLock leaves a lock in a guest's config, as a backup that was killed does.
func (m *Machine) SetLock(id ha.VMID, lock string) {
	if f := m.tree.files[id]; f != nil {
		f.lock = lock
	}
}

// Destroy is an operator's removal of a guest: process and config, everywhere.
func (m *Machine) Destroy(id ha.VMID) {
	g := m.guest(id)
	for _, h := range m.hosts {
		if h.boot == nil || g == nil {
			continue
		}
		for _, p := range slices.Clone(h.boot.processes) {
			if p.g == g {
				p.kill()
			}
		}
	}
	delete(m.tree.files, id)
}

// shortName is a host's name for the trace.
func shortName(h *Host) string {
	if h == nil {
		return "nothing"
	}
	return h.Name
}

// Spec changes a guest's own faults (FailStarts, FailMigrations, NeverStops, OnlyOn, StartTakes) during a run.
func (m *Machine) Spec(id ha.VMID, change func(*GuestSpec)) {
	if g := m.guest(id); g != nil {
		change(&g.spec)
		m.reapZombies()
	}
}
