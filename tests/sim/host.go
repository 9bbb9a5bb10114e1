package sim

import (
	"fmt"
	"slices"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

// HostSpec describes one machine. Memory is in bytes, PPM is its crystal's error.
type HostSpec struct {
	Name     string
	Witness  bool // no Proxmox, no guests
	Memory   int64
	UUID     string
	Vote     bool // corosync vote
	PPM      int64
	Watchdog string        // "" none, "hw" device of its own (10 s), "mux" Proxmox's watchdog-mux before such a device, "softdog"
	BootTime time.Duration // from power-on or reset to a running system; 0: 30 s
	Portals  int           // addresses beyond the first from which it writes to storages
}

// Host is one physical machine. What runs in it lives in a boot, and dies with it.
type Host struct {
	Name   string
	OnBoot func(h *Host) // called when the system runs, BootTime after power-on or reset

	m       *Machine
	spec    HostSpec
	index   int
	stream  string // name of its random stream
	mains   bool   // the plug has power
	on      bool   // the machine is switched on
	crashed bool   // the kernel has panicked: on, but nothing runs
	boots   int
	booting *Event
	boot    *boot
	dog     *watchdog // the hardware: outlives a crash and a freeze, not the power
	tree    *tree     // its own, older copy of /etc/pve; nil: it has the shared one
	faults  pveFaults
}

// boot is one incarnation: everything that ends with power, reset or crash.
type boot struct {
	inc       ha.Incarnation
	more      int // addresses beyond the first from which it writes to storages
	clock     *Clock
	kernel    *Proc
	procs     []*Proc
	stops     int // reasons for which the whole machine stands still
	processes []*process
	locks     map[ha.VMID]*task // who holds a guest's flock
	causes    map[ha.VMID]stopCause
	ring      *ring
	forming   *forming
	cfsUntil  time.Duration // pmxcfs is blocked until this world time
	cfsQueue  []func()
	saved     node.GuardSaved // the guard's file in /run
	guard     *guardProc
	stamp     ha.Instant // of the last permit sent to the guard
	mux       *mux
}

func newHost(m *Machine, s HostSpec, index int) *Host {
	h := &Host{Name: s.Name, m: m, spec: s, index: index, stream: "host " + s.Name}
	if h.spec.BootTime <= 0 {
		h.spec.BootTime = 30 * time.Second
	}
	h.dog = newWatchdog(h)
	return h
}

// Spec is what the host was made from.
func (h *Host) Spec() HostSpec { return h.spec }

// Power gives the machine power at its plug and switches it on, or takes the power away.
func (h *Host) Power(on bool) {
	h.mains = on
	if on {
		for _, d := range h.m.devices { // whoever does that finds the outlets, too
			if d.machine() == h {
				d.cut = false
			}
		}
		h.switchOn("mains")
		return
	}
	h.switchOff("mains")
}

// On says whether the machine is switched on (it may have crashed, or be booting).
func (h *Host) On() bool { return h.on }

// Booted says whether a system runs on it (it may stand still).
func (h *Host) Booted() bool { return h.boot != nil }

// Frozen says whether a system runs on it that stands still.
func (h *Host) Frozen() bool { return h.boot != nil && h.boot.stops > 0 }

// Runs says whether a system runs on it and moves.
func (h *Host) Runs() bool { return h.boot != nil && h.boot.stops == 0 }

// Crashed says whether its kernel has panicked.
func (h *Host) Crashed() bool { return h.crashed }

// Inc is this boot's incarnation, "" when no system runs.
func (h *Host) Inc() ha.Incarnation {
	if h.boot == nil {
		return ""
	}
	return h.boot.inc
}

// Clock is this boot's clocks, nil when no system runs.
func (h *Host) Clock() *Clock {
	if h.boot == nil {
		return nil
	}
	return h.boot.clock
}

// NewProc starts a process of this boot. It must not be called when no system runs.
func (h *Host) NewProc(name string) *Proc {
	b := h.boot
	if len(b.procs) > 64 {
		b.procs = slices.DeleteFunc(b.procs, func(p *Proc) bool { return !p.Alive() })
	}
	p := NewProc(h.m.loop, b.clock, name)
	if b.stops > 0 {
		p.Stop()
	}
	b.procs = append(b.procs, p)
	return p
}

func (h *Host) between(lo, hi time.Duration) time.Duration { return h.m.loop.Between(h.stream, lo, hi) }

func (h *Host) logf(format string, a ...any) { h.m.loop.Logf(h.Name, format, a...) }

func (h *Host) switchOn(by string) {
	if h.on || !h.mains || !h.fed() {
		return
	}
	h.on = true
	h.logf("power on (%s)", by)
	h.bootLater()
}

// fed says whether one of its outlets has power. A device that is no outlet switches the machine itself, behind its supplies.
func (h *Host) fed() bool {
	outlets, live := 0, 0
	for _, d := range h.m.devices {
		if d.spec.Outlet && d.machine() == h {
			outlets++
			if !d.cut {
				live++
			}
		}
	}
	return outlets == 0 || live > 0
}

func (h *Host) switchOff(by string) {
	if !h.on {
		return
	}
	h.logf("power off (%s)", by)
	h.on, h.crashed = false, false
	h.booting.Cancel()
	h.dog.off()
	h.endBoot()
	if h.m.OnPowerOff != nil {
		h.m.OnPowerOff(h.Name, by)
	}
}

// Crash is a kernel panic: nothing runs any more; power stays on until somebody resets the machine.
func (h *Host) Crash() {
	if h.boot == nil {
		return
	}
	h.logf("kernel panic")
	h.crashed = true
	h.endBoot()
}

// Reset begins a new boot at once: watchdog, button.
func (h *Host) Reset(why string) {
	if !h.on {
		return
	}
	h.logf("reset (%s)", why)
	h.crashed = false
	h.booting.Cancel()
	h.dog.off()
	h.endBoot()
	h.bootLater()
	if h.m.OnReset != nil {
		h.m.OnReset(h.Name, why)
	}
}

func (h *Host) bootLater() { h.booting = h.m.loop.After(h.spec.BootTime, h.bootAndTell) }

func (h *Host) bootAndTell() {
	h.bootUp()
	if !h.spec.Witness {
		h.m.pveGuests(h)
	}
	if h.OnBoot != nil {
		h.OnBoot(h)
	}
}

// bootUp begins an incarnation.
func (h *Host) bootUp() {
	h.boots++
	b := &boot{inc: incarnation(h.index, h.boots), more: h.spec.Portals, clock: NewClock(h.m.loop, h.spec.PPM),
		locks: map[ha.VMID]*task{}, causes: map[ha.VMID]stopCause{}}
	h.boot = b
	b.kernel = h.NewProc("kernel")
	h.logf("booted, incarnation %s", b.inc)
	h.dog.booted()
	h.m.epoch++
	h.m.corosync()
}

// incarnation is a boot id: unique in the world, told by seed and order alone.
func incarnation(host, boot int) ha.Incarnation {
	return ha.Incarnation(fmt.Sprintf("%08d-0000-4000-8000-%012d", host+1, boot))
}

// endBoot ends everything that runs. The disks keep what pmxcfs wrote.
func (h *Host) endBoot() {
	b := h.boot
	if b == nil {
		return
	}
	h.boot = nil
	for _, p := range b.procs {
		p.Kill()
	}
	all := b.processes
	b.processes = nil
	for _, p := range all {
		p.dead = true
	}
	for _, p := range all {
		if p.gone != nil {
			p.gone()
		}
	}
	h.m.epoch++
	h.m.corosync()
}
