package sim

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"bascule/ha"
)

// file is a guest's config below /etc/pve: under one node's directory, named after one VMID.
type file struct {
	node      string
	kind      ha.GuestKind
	lock      string
	onboot    bool
	protected bool
	managed   string // why Bascule must leave it alone (Proxmox's own HA manages it)
}

// tree is the guests' part of /etc/pve, by the VMID in the file's name.
type tree struct{ files map[ha.VMID]*file }

func newTree() *tree { return &tree{files: map[ha.VMID]*file{}} }

func (t *tree) clone() *tree {
	c := &tree{files: maps.Clone(t.files)}
	for id, f := range c.files {
		copied := *f
		c.files[id] = &copied
	}
	return c
}

// rename is rename(2) on pmxcfs: an existing file of another VMID is silently overwritten, one VMID is only in one place.
func (t *tree) rename(from string, id ha.VMID, to string, as ha.VMID) error {
	f := t.files[id]
	if f == nil || f.node != from {
		return fmt.Errorf("rename of nodes/%s/%d.conf: %w", from, id, ha.ErrConfigGone)
	}
	if old := t.files[as]; as != id && old != nil && old.node != to {
		return fmt.Errorf("rename to nodes/%s/%d.conf: file exists under %s", to, as, old.node)
	}
	moved := *f
	moved.node = to
	delete(t.files, id)
	t.files[as] = &moved
	return nil
}

// files is /etc/pve as this host reads it.
func (h *Host) files() map[ha.VMID]*file {
	if h.tree != nil {
		return h.tree.files
	}
	return h.m.tree.files
}

// own is a guest's config if it lies under this host's directory.
func (h *Host) own(id ha.VMID) *file {
	if f := h.files()[id]; f != nil && f.node == h.Name {
		return f
	}
	return nil
}

// cfsHangs says whether pmxcfs itself does not answer (a fault).
func (h *Host) cfsHangs() bool { return h.m.loop.Now() < h.boot.cfsUntil }

// cfsBlocked says whether a write waits now: a ring that was there is being formed again, or pmxcfs hangs.
func (h *Host) cfsBlocked() bool {
	return h.cfsHangs() || h.boot.ring != nil && h.boot.forming != nil
}

// quorate says whether the host believes that it has corosync's quorum.
func (h *Host) quorate() bool { return h.boot.ring != nil && h.boot.ring.quorate }

// errEACCES is pmxcfs's refusal without quorum.
var errEACCES = fmt.Errorf("permission denied: %w", ha.ErrNoQuorum)

// cfsWrite writes to /etc/pve from this host. It waits while corosync forms a ring, whatever becomes of who asked; done is
// called in the kernel. apply changes the shared tree.
func (h *Host) cfsWrite(apply func(t *tree) error, done func(error)) {
	b := h.boot
	b.kernel.After(h.between(2*time.Millisecond, 11*time.Millisecond), func() {
		h.m.corosync() // a link may have been cut just now
		switch {
		case h.cfsBlocked():
			b.cfsQueue = append(b.cfsQueue, func() { h.cfsWrite(apply, done) })
		case !h.quorate() || h.tree != nil:
			done(errEACCES)
		default:
			done(apply(h.m.tree))
		}
	})
}

// flushAll lets go on what waited for a ring that stands now.
func (m *Machine) flushAll() {
	for _, h := range m.hosts {
		h.flush()
	}
}

func (h *Host) flush() {
	if h.boot == nil || len(h.boot.cfsQueue) == 0 {
		return
	}
	old := h.boot.cfsQueue
	h.boot.cfsQueue = nil
	for _, f := range old {
		h.boot.kernel.Post(f)
	}
}

// errLocked is a task's end because of a lock in the config.
var errLocked = errors.New("is locked")

// setLock sets or removes the lock in a guest's config under this host's directory.
func (h *Host) setLock(id ha.VMID, lock string, done func(error)) {
	h.cfsWrite(func(t *tree) error {
		f := t.files[id]
		if f == nil || f.node != h.Name {
			return fmt.Errorf("nodes/%s/%d.conf: %w", h.Name, id, ha.ErrConfigGone)
		}
		f.lock = lock
		return nil
	}, done)
}
