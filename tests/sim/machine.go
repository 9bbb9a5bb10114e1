package sim

import (
	"slices"
	"time"

	"bascule/ha"
)

// Machine is the machine room: hosts with their Proxmox, /etc/pve, storages, fencing devices and guests, and the truth about them.
type Machine struct {
	// OnStart is called when a guest's process begins to run on a host and can write; not for those that run at the world's start.
	OnStart func(host string, inc ha.Incarnation, id ha.VMID)
	// OnKilled is called when a killed process ("guest" or "worker") is really gone.
	OnKilled func(host string, id ha.VMID, what string)
	// OnReset is called when a host is reset, with the reason: "watchdog", "poison pill", "button" ...
	OnReset func(host, why string)
	// OnPowerOff is called when a host lost its power: by a device's name, or "mains".
	OnPowerOff func(host, by string)
	// OnGuard is called for each transition of a host's guard.
	OnGuard func(host string, t ha.Transition)

	// Token is how long corosync takes to form a ring again after a loss. Drawn per run, 2-8 s; may be set before Start.
	Token time.Duration
	// BootCheck is Bascule's drop-in on pve-guests.service: no guest is started at boot while a protected one there has onboot 1.
	BootCheck bool
	// IncomingByCmdline makes Find take a guest that came by migration for one that still waits for it, as anybody does who
	// goes by "-incoming" in a command line. Off: Find tells the truth.
	IncomingByCmdline bool

	loop    *Loop
	net     *Net
	timing  ha.Timing
	hosts   []*Host
	disks   []*Disk
	guests  []*guest // by VMID
	devices []*Device
	tree    *tree // /etc/pve as the quorate ring has it
	forming []*forming
	qdevice string // host that gives one more vote; "": none
	pid     int
	cut     int    // cuts that the last poll saw
	epoch   uint64 // grows with every change that Writers could show
	zombies []*process
}

// pollEvery is how often the room looks whether somebody cut or healed a network: nobody reports that to it.
const pollEvery = 200 * time.Millisecond

// NewMachine builds a room in which everything is switched off. Set the hooks and each Host's OnBoot, then call Start.
func NewMachine(l *Loop, n *Net, t ha.Timing, hosts []HostSpec, storages []StorageSpec, guests []GuestSpec) *Machine {
	m := &Machine{loop: l, net: n, timing: t, tree: newTree(), Token: l.Between("corosync", 2*time.Second, 8*time.Second)}
	for _, s := range storages {
		m.disks = append(m.disks, newDisk(m, s, len(hosts)))
	}
	for i, s := range hosts {
		m.hosts = append(m.hosts, newHost(m, s, i))
	}
	for _, s := range guests {
		m.addGuest(s)
	}
	return m
}

// Start switches every host on and skips the boots: at once all hosts run, corosync is one ring and the guests that are to run do.
// OnBoot is called for each host, in order.
func (m *Machine) Start() {
	for _, h := range m.hosts {
		h.mains, h.on = true, true
		h.bootUp()
	}
	m.form(m.corosyncHosts())
	for _, g := range m.guests {
		if h := m.Host(g.spec.Node); g.spec.Running && h != nil {
			h.spawn(g, whatGuest)
		}
	}
	m.loop.Every(pollEvery, m.poll)
	for _, h := range m.hosts {
		if h.OnBoot != nil {
			h.OnBoot(h)
		}
	}
}

// poll looks when a network is cut, and once more when it was healed.
func (m *Machine) poll() {
	cut := m.net.cut[NetCorosync] + m.net.cut[NetStorage]
	if cut > 0 || m.cut > 0 {
		m.look()
	}
	m.cut = cut
}

// look is called when somebody may reach, or not reach, what was otherwise before: corosync's rings, storages, and killed
// processes that hung in their storage.
func (m *Machine) look() {
	m.corosync()
	for _, d := range m.disks {
		d.look()
	}
	m.reapZombies()
}

func (m *Machine) reapZombies() {
	old := m.zombies
	m.zombies = nil
	for _, p := range old {
		p.reap()
	}
}

// Host returns the host of this name, nil if there is none.
func (m *Machine) Host(name string) *Host {
	for _, h := range m.hosts {
		if h.Name == name {
			return h
		}
	}
	return nil
}

// Hosts returns all hosts in the order of their specs.
func (m *Machine) Hosts() []*Host { return m.hosts }

// Disk returns the storage of this name, nil if there is none.
func (m *Machine) Disk(name string) *Disk {
	for _, d := range m.disks {
		if d.Name == name {
			return d
		}
	}
	return nil
}

// Guests returns the VMIDs of all guests, ascending.
func (m *Machine) Guests() []ha.VMID {
	out := make([]ha.VMID, len(m.guests))
	for i, g := range m.guests {
		out[i] = g.id
	}
	return out
}

// Epoch grows whenever an answer of Writers may have changed.
func (m *Machine) Epoch() uint64 { return m.epoch }

func (m *Machine) guest(id ha.VMID) *guest {
	i, ok := slices.BinarySearchFunc(m.guests, id, func(g *guest, id ha.VMID) int { return int(g.id) - int(id) })
	if !ok {
		return nil
	}
	return m.guests[i]
}
