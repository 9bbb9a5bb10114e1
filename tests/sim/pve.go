package sim

import (
	"fmt"
	"slices"
	"time"

	"bascule/ha"
)

// PVE is a host's own Proxmox as one process of that host uses it. Every answer comes once, later, in that process; what was begun
// goes on without it. There are no time-outs here: who asks has his own.
type PVE struct {
	h *Host
	b *boot
	p *Proc
}

// PVE is this host's Proxmox for a process of its present boot.
func (h *Host) PVE(p *Proc) *PVE { return &PVE{h: h, b: h.boot, p: p} }

// read answers from what the host shows after a call's time, later when pmxcfs hangs.
func (c *PVE) read(lo, hi time.Duration, f func()) {
	c.p.After(c.h.between(lo, hi), func() {
		if c.h.cfsHangs() {
			c.b.cfsQueue = append(c.b.cfsQueue, c.p.In(f))
			return
		}
		f()
	})
}

// tell brings a result into the calling process.
func (c *PVE) tell(f func()) { c.p.Post(f) }

const (
	callMin = 5 * time.Millisecond // one request to the node's own API
	callMax = 30 * time.Millisecond
)

// Inventory is what this node's Proxmox shows.
func (c *PVE) Inventory(done func(ha.Inventory, error)) {
	c.read(20*time.Millisecond, 80*time.Millisecond, func() { done(c.h.inventory(), nil) })
}

func (h *Host) inventory() ha.Inventory {
	inv := ha.Inventory{Memory: h.spec.Memory, Votes: h.m.votes()}
	for _, d := range h.m.disks {
		if d.configured(h) {
			typ := "lvmthin"
			if d.spec.Shared {
				typ = "rbd"
			}
			inv.Storages = append(inv.Storages, ha.StorageReport{Name: d.Name, Type: typ, Shared: d.spec.Shared, Active: d.shown(h)})
		}
	}
	for _, g := range h.m.guests {
		f := h.own(g.id)
		if f == nil {
			continue
		}
		inv.Guests = append(inv.Guests, ha.GuestSeen{ID: g.id, Kind: g.kind, Name: g.spec.Name, Protected: f.protected && f.managed == "", Refused: f.managed,
			Running: h.boot.guestProcess(g) != nil, Stalled: h.boot.guestProcess(g) != nil && (h.boot.guestProcess(g).paused || h.boot.guestProcess(g).incoming), Memory: g.spec.Memory, Storages: g.spec.Storages, Pinned: g.spec.Pinned,
			Lock: f.lock, Onboot: f.onboot, Priority: g.spec.Priority})
	}
	for _, g := range h.m.guests {
		if f := h.files()[g.id]; f != nil && f.managed != "" {
			inv.Managed = append(inv.Managed, g.id)
		}
	}
	return inv
}

// Members is corosync's membership as /etc/pve/.members has it; reading it waits while corosync forms a ring.
func (c *PVE) Members(done func(ha.CorosyncView, error)) {
	c.p.After(c.h.between(500*time.Microsecond, 3*time.Millisecond), func() { c.members(done) })
}

func (c *PVE) members(done func(ha.CorosyncView, error)) {
	v, ok := c.h.view()
	if !ok {
		c.b.cfsQueue = append(c.b.cfsQueue, c.p.In(func() { c.members(done) }))
		return
	}
	done(v, nil)
}

// Running says whether status/current shows the guest running; its config must lie here.
func (c *PVE) Running(id ha.VMID, _ ha.GuestKind, done func(bool, error)) {
	c.read(callMin, callMax, func() {
		if c.h.own(id) == nil {
			done(false, c.h.noConfig(id))
			return
		}
		done(c.b.guestProcess(c.h.m.guest(id)) != nil, nil)
	})
}

func (h *Host) noConfig(id ha.VMID) error {
	return fmt.Errorf("configuration file 'nodes/%s/%d.conf' does not exist: %w", h.Name, id, ha.ErrConfigGone)
}

// ConfigAt says under which node's directory the config lies, as this host's /etc/pve has it; "": under none.
func (c *PVE) ConfigAt(id ha.VMID, _ ha.GuestKind, done func(ha.NodeName, error)) {
	c.read(time.Millisecond, 5*time.Millisecond, func() {
		if f := c.h.files()[id]; f != nil {
			done(ha.NodeName(f.node), nil)
			return
		}
		done("", nil)
	})
}

// Claim renames a guest's config from another node's directory into this one's.
func (c *PVE) Claim(id ha.VMID, _ ha.GuestKind, from ha.NodeName, done func(error)) {
	c.read(time.Millisecond, 5*time.Millisecond, func() {
		if c.h.own(id) != nil {
			done(nil)
			return
		}
		c.Rename(string(from), id, c.h.Name, id, done)
	})
}

// Rename is rename(2) of a guest's config in /etc/pve: nothing is checked but quorum and that the source exists.
func (c *PVE) Rename(from string, id ha.VMID, to string, as ha.VMID, done func(error)) {
	h := c.h
	h.cfsWrite(func(t *tree) error {
		err := t.rename(from, id, to, as)
		if f := t.files[as]; err != nil && f != nil && f.node == to && id == as {
			err = nil // an earlier attempt, left behind blocked, has come through
		}
		if err == nil {
			h.logf("config %d.conf: %s -> %s", id, from, to)
		}
		return err
	}, func(err error) { c.tell(func() { done(err) }) })
}

// removableLocks are those that a recovery may take away (ha/proxmox).
var removableLocks = []string{"backup", "mounted", "migrate", "clone", "rollback", "snapshot", "snapshot-delete", "suspending", "suspended"}

// ClearLock takes a leftover lock out of a config under this node's directory and says which it was.
func (c *PVE) ClearLock(id ha.VMID, _ ha.GuestKind, done func(lock string, err error)) {
	c.read(time.Millisecond, 10*time.Millisecond, func() {
		f := c.h.own(id)
		switch {
		case f == nil:
			done("", c.h.noConfig(id))
		case f.lock == "":
			done("", nil)
		case !slices.Contains(removableLocks, f.lock):
			done(f.lock, fmt.Errorf("%d %w (%s): the config is not whole", id, errLocked, f.lock))
		case c.b.worker(id) != nil:
			done(f.lock, fmt.Errorf("%d %w (%s): a task of it runs here", id, errLocked, f.lock))
		default:
			lock := f.lock
			c.h.setLock(id, "", func(err error) { c.tell(func() { done(lock, err) }) })
		}
	})
}

// SetOnboot sets whether Proxmox starts the guest at boot.
func (c *PVE) SetOnboot(id ha.VMID, _ ha.GuestKind, on bool, done func(error)) {
	h := c.h
	h.cfsWrite(func(t *tree) error {
		f := t.files[id]
		if f == nil || f.node != h.Name {
			return h.noConfig(id)
		}
		f.onboot = on
		return nil
	}, func(err error) { c.tell(func() { done(err) }) })
}

// StoragesActive asks the storages; one that cannot be reached takes its time.
func (c *PVE) StoragesActive(names []string, done func(inactive []string, err error)) {
	inactive := func() (out []string) {
		for _, n := range names {
			if d := c.h.m.Disk(n); d == nil || !d.usable(c.h) {
				out = append(out, n)
			}
		}
		return out
	}
	c.read(callMin, 2*callMax, func() {
		if len(inactive()) == 0 {
			done(nil, nil)
			return
		}
		c.read(2*time.Second, 10*time.Second, func() { done(inactive(), nil) })
	})
}

// StopCause says why a guest is not running, from the tasks of the last `within` by this host's clock.
func (c *PVE) StopCause(id ha.VMID, within time.Duration, done func(ha.StopCause, string, error)) {
	c.read(callMin, callMax, func() {
		f := c.h.own(id)
		s, ok := c.b.causes[id]
		ok = ok && c.b.clock.Now().Sub(s.at) <= within
		switch {
		case f != nil && c.b.worker(id) != nil && (f.lock == "migrate" || f.lock == "backup" || f.lock == "snapshot"):
			done(ha.CausePassing, "lock "+f.lock, nil)
		case ok && s.cause == ha.CauseUser:
			done(s.cause, s.detail, nil)
		case f == nil:
			done(ha.CausePassing, "its config is not here", nil)
		case ok && s.cause == ha.CausePassing && s.detail != "stopall" && c.b.worker(id) == nil:
			done(ha.CausePassed, s.detail, nil)
		case ok:
			done(s.cause, s.detail, nil)
		default:
			done(ha.CauseNone, "no task stopped it", nil)
		}
	})
}

// Find reads /proc of this host.
func (c *PVE) Find(refs []ha.GuestRef) ([]Process, error) { return c.h.Find(refs) }

// Kill sends SIGKILL to a process of this host.
func (c *PVE) Kill(pid int) error { return c.h.Kill(pid) }
