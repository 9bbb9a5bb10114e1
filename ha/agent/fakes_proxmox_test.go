package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"bascule/ha"
)

// guest is a protected guest of the modelled Proxmox cluster.
type guest struct {
	id        ha.VMID
	kind      ha.GuestKind
	at        ha.NodeName // whose directory has its config
	protected bool
	onboot    bool
	lock      string
	priority  int
	on        map[ha.NodeName]bool // machines that run it
	incoming  map[ha.NodeName]bool // machines that a migration is filling
	cause     ha.StopCause         // of its last stop
	detail    string
}

// fault lets a Proxmox task fail some times; left < 0: always.
type fault struct {
	left int
	err  error
}

// errKilled is what remains of a task whose worker was killed.
var errKilled = errors.New("the worker was killed")

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// guest puts a protected guest's config on a machine; running: it runs there already.
func (w *world) guest(id ha.VMID, kind ha.GuestKind, at ha.NodeName, running bool) *guest {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := &guest{id: id, kind: kind, at: at, protected: true, on: map[ha.NodeName]bool{}, incoming: map[ha.NodeName]bool{}, cause: ha.CauseNone}
	if running {
		g.on[at] = true
	}
	w.guests[id] = g
	return g
}

// edit changes a guest as an operator would.
func (w *world) edit(id ha.VMID, f func(g *guest)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(w.guests[id])
}

// fail lets the next n tasks of this name ("start n1 101") end with err; n < 0: all of them.
func (w *world) fail(task string, n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults[task] = &fault{left: n, err: err}
}

func (w *world) faulty(task string) error {
	f := w.faults[task]
	if f == nil || f.left == 0 {
		return nil
	}
	f.left--
	return f.err
}

// runs makes a guest run and watches R1. The caller holds the lock.
func (w *world) runs(g *guest, n ha.NodeName, how string) {
	g.on[n] = true
	delete(g.incoming, n)
	w.note(n, fmt.Sprintf("runs %d %s", g.id, how), nil)
	if len(g.on) > 1 {
		w.wrong = append(w.wrong, fmt.Sprintf("R1: guest %d runs on %v", g.id, sortedKeys(g.on)))
	}
	if how == "at boot" && g.protected {
		w.wrong = append(w.wrong, fmt.Sprintf("R2: Proxmox started guest %d on %s at boot", g.id, n))
	}
}

// stops ends a guest on a machine. The caller holds the lock.
func (w *world) stops(g *guest, n ha.NodeName, why string) {
	if g.on[n] {
		delete(g.on, n)
		w.note(n, fmt.Sprintf("ends %d: %s", g.id, why), nil)
	}
}

// fakeProxmox is one machine's own Proxmox.
type fakeProxmox struct {
	w *world
	m *machine
}

// call takes a little time and then does something; nothing happens once the machine is off or the caller is gone.
func (p fakeProxmox) call(ctx context.Context, f func() error) error {
	select {
	case <-time.After(5 * time.Millisecond):
	case <-ctx.Done():
		return ctx.Err()
	}
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if !p.m.on {
		return errKilled
	}
	return f()
}

// task is a PVE worker: it goes on when the agent that asked for it dies, and ends with the machine or by a kill.
func (p fakeProxmox) task(ctx context.Context, id ha.VMID, name string, d time.Duration, begin, effect func() error) error {
	w := p.w
	w.mu.Lock()
	w.note(p.m.name, "asked: "+name, nil)
	if err := begin(); err != nil {
		w.mu.Unlock()
		return err
	}
	worker, kill := context.WithCancel(p.m.power)
	p.m.workers[id] = kill
	w.mu.Unlock()
	done := make(chan error, 1)
	go func() {
		defer kill()
		select {
		case <-time.After(d):
		case <-worker.Done():
			done <- errKilled
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(p.m.workers, id)
		err := w.faulty(name)
		if err == nil {
			err = effect()
		}
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", name, ctx.Err())
	}
}

func nothing() error { return nil }

// Inventory is the agent's port.
func (p fakeProxmox) Inventory(ctx context.Context) (ha.Inventory, error) {
	inv := ha.Inventory{Memory: 16 << 30}
	err := p.call(ctx, func() error {
		if err := p.w.faulty("inventory " + string(p.m.name)); err != nil {
			return err
		}
		inv.Storages = []ha.StorageReport{{Name: "ceph", Type: "rbd", Shared: true, Active: p.m.storage}}
		inv.Places = []ha.StoragePlace{{Name: "ceph", Type: "rbd"}}
		if p.w.lvm {
			inv.Storages = append(inv.Storages, ha.StorageReport{Name: "san", Type: "lvm", Shared: true, Active: true})
			inv.Places = append(inv.Places, ha.StoragePlace{Name: "san", Type: "lvm", VG: "sanvg"})
		}
		for _, id := range sortedKeys(p.w.guests) {
			if g := p.w.guests[id]; g.at == p.m.name {
				inv.Guests = append(inv.Guests, ha.GuestSeen{ID: id, Kind: g.kind, Name: fmt.Sprintf("web%d", id), Protected: g.protected, Running: g.on[p.m.name],
					Memory: 1 << 30, Storages: []string{"ceph"}, Lock: g.lock, Onboot: g.onboot, Priority: g.priority})
			}
		}
		return nil
	})
	return inv, err
}

// Members is the agent's port.
func (p fakeProxmox) Members(ctx context.Context) (ha.CorosyncView, error) {
	v := ha.CorosyncView{Known: true}
	err := p.call(ctx, func() error { v.Online, v.Quorate = p.w.corosync(p.m); return nil })
	return v, err
}

// corosync is who a machine sees, and whether that is most of the cluster. The caller holds the lock.
func (w *world) corosync(m *machine) (online []ha.NodeName, quorate bool) {
	for _, n := range w.names {
		if o := w.nodes[n]; o == m || o.on && !o.cut && !m.cut {
			online = append(online, n)
		}
	}
	return online, 2*len(online) > len(w.names)
}

// Running is the agent's port.
func (p fakeProxmox) Running(ctx context.Context, id ha.VMID, _ ha.GuestKind) (running bool, err error) {
	err = p.call(ctx, func() error { running = p.w.guests[id].on[p.m.name]; return nil })
	return running, err
}

// Claim is the agent's port: a rename, which pmxcfs refuses without quorum.
func (p fakeProxmox) Claim(ctx context.Context, id ha.VMID, _ ha.GuestKind, from ha.NodeName) error {
	return p.call(ctx, func() error {
		if err := p.w.faulty(fmt.Sprintf("claim %s %d", p.m.name, id)); err != nil {
			return err
		}
		g := p.w.guests[id]
		if _, quorate := p.w.corosync(p.m); !quorate {
			return fmt.Errorf("rename: %w", ha.ErrNoQuorum)
		}
		if g.at != from {
			return fmt.Errorf("%d is not under %s: %w", id, from, ha.ErrConfigGone)
		}
		g.at = p.m.name
		p.w.note(p.m.name, fmt.Sprintf("claimed %d from %s", id, from), nil)
		return nil
	})
}

// ConfigAt is the agent's port.
func (p fakeProxmox) ConfigAt(ctx context.Context, id ha.VMID, _ ha.GuestKind) (at ha.NodeName, err error) {
	err = p.call(ctx, func() error { at = p.w.guests[id].at; return nil })
	return at, err
}

// ClearLock is the agent's port.
func (p fakeProxmox) ClearLock(ctx context.Context, id ha.VMID, _ ha.GuestKind) (lock string, err error) {
	err = p.call(ctx, func() error {
		g := p.w.guests[id]
		if g.at != p.m.name {
			return fmt.Errorf("clearing a lock: %w", ha.ErrConfigGone)
		}
		lock, g.lock = g.lock, ""
		return nil
	})
	return lock, err
}

// SetOnboot is the agent's port.
func (p fakeProxmox) SetOnboot(ctx context.Context, id ha.VMID, _ ha.GuestKind, on bool) error {
	return p.call(ctx, func() error {
		p.w.guests[id].onboot = on
		p.w.note(p.m.name, fmt.Sprintf("onboot %d %v", id, on), nil)
		return nil
	})
}

// StoragesActive is the agent's port.
func (p fakeProxmox) StoragesActive(ctx context.Context, names []string) (inactive []string, err error) {
	err = p.call(ctx, func() error {
		if !p.m.storage {
			inactive = names
		}
		return nil
	})
	return inactive, err
}

// Volumes is the agent's port.
func (p fakeProxmox) Volumes(_ context.Context, id ha.VMID, _ ha.GuestKind) ([]ha.Volume, error) {
	return []ha.Volume{{Storage: "ceph", Name: fmt.Sprintf("vm-%d-disk-0", id)}}, nil
}

// Start is the agent's port. The world watches R2 and R5 here.
func (p fakeProxmox) Start(ctx context.Context, id ha.VMID, _ ha.GuestKind) error {
	g := p.w.guests[id]
	return p.task(ctx, id, fmt.Sprintf("start %s %d", p.m.name, id), 300*time.Millisecond, func() error {
		p.w.mayStart(p.m, id)
		if g.lock != "" {
			return fmt.Errorf("VM is locked (%s)", g.lock)
		}
		return nil
	}, func() error {
		if g.at != p.m.name {
			return fmt.Errorf("Configuration file 'nodes/%s/%d.conf' does not exist: %w", p.m.name, id, ha.ErrConfigGone)
		}
		p.w.runs(g, p.m.name, "by start")
		return nil
	})
}

// Stop is the agent's port.
func (p fakeProxmox) Stop(ctx context.Context, id ha.VMID, _ ha.GuestKind) error {
	return p.task(ctx, id, fmt.Sprintf("stop %s %d", p.m.name, id), time.Second, nothing, func() error {
		p.w.stops(p.w.guests[id], p.m.name, "stopped by a task")
		return nil
	})
}

// Migrate is the agent's port: live for a VM, by restart for a container.
func (p fakeProxmox) Migrate(ctx context.Context, id ha.VMID, kind ha.GuestKind, target ha.NodeName, live bool) error {
	g := p.w.guests[id]
	to := p.w.nodes[target]
	if live != (kind == ha.QEMU) {
		return fmt.Errorf("%s cannot be moved with live=%v", kind.Label(id), live)
	}
	return p.task(ctx, id, fmt.Sprintf("migrate %s %d", p.m.name, id), 2*time.Second, func() error {
		if live {
			g.incoming[target] = true
		}
		return nil
	}, func() error {
		delete(g.incoming, target)
		if !to.on {
			return fmt.Errorf("migration aborted: no route to host %s", target)
		}
		p.w.stops(g, p.m.name, "moved away")
		g.at = target
		if !slices.Contains(to.guard.guests, ha.GuestRef{ID: id, Kind: kind}) {
			p.w.wrong = append(p.w.wrong, fmt.Sprintf("R2: guest %d came to %s, whose guard does not know of it", id, target))
		}
		p.w.runs(g, target, "by migration")
		return nil
	})
}

// StopCause is the agent's port.
func (p fakeProxmox) StopCause(ctx context.Context, id ha.VMID, _ time.Time) (c ha.StopCause, detail string, err error) {
	err = p.call(ctx, func() error {
		c, detail = p.w.guests[id].cause, p.w.guests[id].detail
		return nil
	})
	return c, detail, err
}

// fakeProcesses is what /proc of a machine shows.
type fakeProcesses struct {
	w *world
	m *machine
}

// Find is the agent's port. A PID below 100000 is a guest's, one above a worker's.
func (p fakeProcesses) Find(ids []ha.GuestRef) ([]Process, error) {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	var out []Process
	for _, ref := range ids {
		g := p.w.guests[ref.ID]
		if g == nil {
			continue
		}
		if g.on[p.m.name] || g.incoming[p.m.name] {
			out = append(out, Process{PID: int(ref.ID), Guest: ref.ID, What: "guest", Incoming: g.incoming[p.m.name]})
		}
		if p.m.workers[ref.ID] != nil {
			out = append(out, Process{PID: 100000 + int(ref.ID), Guest: ref.ID, What: "worker"})
		}
	}
	return out, nil
}

// Kill is the agent's port.
func (p fakeProcesses) Kill(q Process) error {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	p.w.killGuest(p.m, q.Guest, "killed by the agent")
	return nil
}

// killGuest ends a guest's worker and process on a machine. The caller holds the lock.
func (w *world) killGuest(m *machine, id ha.VMID, why string) {
	if kill := m.workers[id]; kill != nil {
		kill()
		delete(m.workers, id)
	}
	if g := w.guests[id]; g != nil {
		delete(g.incoming, m.name)
		w.stops(g, m.name, why)
	}
}
