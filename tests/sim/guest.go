package sim

import (
	"errors"
	"slices"
	"time"

	"bascule/ha"
)

// GuestSpec describes a guest. Memory is in bytes.
type GuestSpec struct {
	ID        ha.VMID
	Kind      ha.GuestKind
	Name      string
	Node      string // under whose directory its config lies
	Memory    int64
	Storages  []string
	Pinned    string
	Protected bool
	Running   bool // at the world's start
	Onboot    bool
	Priority  int

	FailStarts     int           // the next n starts fail in the task
	FailMigrations int           // the next n migrations fail before their switch-over
	NeverStops     bool          // its process cannot be ended: it goes only with the machine
	NoConfig       bool          // no directory has its config
	OnlyOn         string        // starts fail elsewhere
	StartTakes     time.Duration // 0: 0.3-0.8 s
}

// guest is a guest and its faults; what its config says lies in the tree.
type guest struct {
	id    ha.VMID
	kind  ha.GuestKind
	spec  GuestSpec
	disks []*Disk

	cached  []Writer
	cacheAt uint64
}

// What a process is to a guest.
const (
	whatGuest  = "guest"
	whatWorker = "worker"
)

// process is a guest's process on a host, or a PVE worker of it.
type process struct {
	pid      int
	g        *guest
	what     string
	h        *Host
	b        *boot
	incoming bool // waits for a migration's switch-over: holds the disks, does not write
	arrived  bool // came by migration: its command line says -incoming for ever
	paused   bool // a migration's source after the switch-over
	killed   bool // SIGKILL was sent
	dead     bool
	proc     *Proc  // a worker's own
	gone     func() // called at its end unless that was its own: killed, or with its host
}

// Process is a process as /proc shows it.
type Process struct {
	PID      int
	Guest    ha.VMID
	What     string // worker, guest
	Incoming bool   // waits for a migration
}

// Writer is a process that is able to write a guest's disks, now or when its host goes on.
type Writer struct {
	Host    string
	Inc     ha.Incarnation
	Process Process
}

func (m *Machine) addGuest(s GuestSpec) {
	if s.Kind == "" {
		s.Kind = ha.QEMU
	}
	g := &guest{id: s.ID, kind: s.Kind, spec: s}
	for _, name := range s.Storages {
		if d := m.Disk(name); d != nil {
			g.disks = append(g.disks, d)
		}
	}
	m.guests = append(m.guests, g)
	slices.SortFunc(m.guests, func(a, b *guest) int { return int(a.id) - int(b.id) })
	if !s.NoConfig {
		m.tree.files[s.ID] = &file{node: s.Node, kind: s.Kind, onboot: s.Onboot, protected: s.Protected}
	}
}

// spawn makes a process of a guest on a running host.
func (h *Host) spawn(g *guest, what string) *process {
	h.m.pid++
	p := &process{pid: 1000 + h.m.pid, g: g, what: what, h: h, b: h.boot}
	h.boot.processes = append(h.boot.processes, p)
	h.m.epoch++
	return p
}

// begins tells the judge that a guest's process can write from now on.
func (p *process) begins(how string) {
	p.h.m.epoch++
	p.h.logf("guest %d runs, PID %d (%s)", p.g.id, p.pid, how)
	if p.h.m.OnStart != nil {
		p.h.m.OnStart(p.h.Name, p.b.inc, p.g.id)
	}
}

// end takes the process away in order, without its gone being called.
func (p *process) end() {
	if p.dead {
		return
	}
	p.dead = true
	p.proc.killIf()
	p.b.processes = slices.DeleteFunc(p.b.processes, func(q *process) bool { return q == p })
	p.h.m.epoch++
}

// killIf ends a process's own Proc if it has one.
func (p *Proc) killIf() {
	if p != nil {
		p.Kill()
	}
}

// kill sends SIGKILL: nothing of its own code runs any more, and it is gone 0-300 ms later, unless its storage hangs.
func (p *process) kill() {
	if p.dead || p.killed {
		return
	}
	p.killed = true
	p.proc.killIf()
	p.b.kernel.After(p.h.between(0, 300*time.Millisecond), p.reap)
}

// reap ends a killed process, later if it hangs in the kernel.
func (p *process) reap() {
	switch {
	case p.dead:
		return
	case p.b.stops > 0 || p.stuck():
		p.h.m.zombies = append(p.h.m.zombies, p)
		return
	}
	p.end()
	p.h.logf("%s of guest %d, PID %d, is gone", p.what, p.g.id, p.pid)
	if p.gone != nil {
		p.gone()
	}
	if p.h.m.OnKilled != nil {
		p.h.m.OnKilled(p.h.Name, p.g.id, p.what)
	}
}

// stuck says whether the process is in state D: its I/O gets neither answer nor error.
func (p *process) stuck() bool {
	if p.what != whatGuest {
		return false
	}
	return p.g.spec.NeverStops || slices.ContainsFunc(p.g.disks, func(d *Disk) bool { return !d.out(p.b) && !d.fails[p.h.index] && !d.answers(p.h) })
}

// writes says whether the process is able to write the guest's disks, or will be when its host goes on.
func (p *process) writes() bool {
	if p.what != whatGuest || p.dead || p.incoming || p.paused {
		return false
	}
	return len(p.g.disks) == 0 || slices.ContainsFunc(p.g.disks, func(d *Disk) bool { return !d.out(p.b) })
}

func (p *process) shown() Process {
	in := p.incoming
	if p.h.m.IncomingByCmdline {
		in = in || p.arrived
	}
	return Process{PID: p.pid, Guest: p.g.id, What: p.what, Incoming: in}
}

// guestProcess is the guest's own process in this boot, nil if there is none. With two (one coming in), the older one.
func (b *boot) guestProcess(g *guest) *process {
	for _, p := range b.processes {
		if p.g == g && p.what == whatGuest {
			return p
		}
	}
	return nil
}

// Writers is the physical truth about a guest: every process that is able to write its disks now, or would be when its host
// goes on. The result must not be changed.
func (m *Machine) Writers(id ha.VMID) []Writer {
	g := m.guest(id)
	if g == nil {
		return nil
	}
	if g.cacheAt == m.epoch+1 {
		return g.cached
	}
	g.cached, g.cacheAt = nil, m.epoch+1
	for _, h := range m.hosts {
		if h.boot == nil {
			continue
		}
		for _, p := range h.boot.processes {
			if p.g == g && p.writes() {
				g.cached = append(g.cached, Writer{Host: h.Name, Inc: h.boot.inc, Process: p.shown()})
			}
		}
	}
	return g.cached
}

// Progress says whether a guest makes progress now: one process of it runs on a moving host and reaches all its disks.
func (m *Machine) Progress(id ha.VMID) bool {
	for _, w := range m.Writers(id) {
		h := m.Host(w.Host)
		for _, p := range h.boot.processes {
			if p.pid == w.Process.PID && h.Runs() && !p.killed && !p.stuckOrShut() {
				return true
			}
		}
	}
	return false
}

func (p *process) stuckOrShut() bool {
	return slices.ContainsFunc(p.g.disks, func(d *Disk) bool { return d.out(p.b) || !d.reached(p.h) })
}

// ConfigNode is under which node's directory the guest's config lies in the quorate ring's tree; "": nowhere.
func (m *Machine) ConfigNode(id ha.VMID) string {
	if f := m.tree.files[id]; f != nil {
		return f.node
	}
	return ""
}

// Find returns the living processes of these guests on this host, by reading /proc.
func (h *Host) Find(refs []ha.GuestRef) ([]Process, error) {
	if h.boot == nil {
		return nil, errHostDown
	}
	var out []Process
	for _, p := range h.boot.processes {
		if slices.ContainsFunc(refs, func(r ha.GuestRef) bool { return r.ID == p.g.id }) {
			out = append(out, p.shown())
		}
	}
	return out, nil
}

// Kill sends SIGKILL to a process of a guest; nil if it is gone already.
func (h *Host) Kill(pid int) error {
	if h.boot == nil {
		return errHostDown
	}
	for _, p := range h.boot.processes {
		if p.pid == pid {
			p.kill()
		}
	}
	return nil
}

// errHostDown is what somebody is told who asks a host on which nothing runs.
var errHostDown = errors.New("the host does not run")
