package proxmox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"

	"bascule/ha"
	"bascule/ha/pve"
)

// removableLocks are those that a dead node can leave behind and that recovery may remove. Any other (create, disk,
// destroyed …) tells of a config that is not whole.
var removableLocks = []string{
	"backup", "mounted", "migrate", "clone", "rollback", "snapshot", "snapshot-delete", "suspending", "suspended",
}

// ClearLock removes a leftover lock from a guest's config in this node's own directory and returns which it was;
// empty: there was none to remove. No API token can do this. Call it only at recovery, when whoever set the lock is
// proven dead or was this node before its last boot.
//
// A VM that was suspended to disk keeps its lock: it does not block a start, and the start resumes from it.
// ErrLocked: the lock must stay (the returned lock says which), or a worker of this guest still runs here. ErrBusy,
// ErrConfigGone, ErrNoQuorum and ErrStillRunning as elsewhere.
func (d *Driver) ClearLock(ctx context.Context, id ha.VMID, kind ha.GuestKind) (string, error) {
	var lock string
	err := d.edit(ctx, id, kind, func(c *pve.GuestConfig) ([]byte, error) {
		lock = c.Lock()
		if _, hibernated := c.Get("vmstate"); lock == "suspended" && hibernated {
			lock = ""
		}
		if lock == "" {
			return nil, nil
		}
		for _, l := range c.All("lock") { // of several PVE takes the last that it understands; all would go
			if !slices.Contains(removableLocks, l) {
				lock = l
				return nil, fmt.Errorf("%w (%s): this lock says that the config is not whole", ErrLocked, l)
			}
		}
		return c.Remove("lock"), d.noWorker(ctx, id, lock)
	})
	if err != nil {
		return lock, d.guestErr(kind, id, "removing its lock", err, fmt.Sprintf("if nothing works on it any more: `%s unlock %d`", kind.Tool(), id))
	}
	return lock, nil
}

// SetOnboot sets whether the node starts the guest at boot and returns what was set before. Nothing is written when
// that is so already.
func (d *Driver) SetOnboot(ctx context.Context, id ha.VMID, kind ha.GuestKind, on bool) (bool, error) {
	var old bool
	err := d.edit(ctx, id, kind, func(c *pve.GuestConfig) ([]byte, error) {
		old = c.Onboot()
		switch {
		case old == on:
			return nil, nil
		case on:
			return c.Set("onboot", "1"), nil
		}
		return c.Set("onboot", "0"), nil
	})
	if err != nil {
		return old, d.guestErr(kind, id, fmt.Sprintf("setting onboot to %t", on), err,
			fmt.Sprintf("by hand: `%s set %d --onboot %d`", kind.Tool(), id, asInt(on)))
	}
	return old, nil
}

// edit changes a config in this node's own directory under PVE's lock. change returns nil for "leave it".
func (d *Driver) edit(ctx context.Context, id ha.VMID, kind ha.GuestKind,
	change func(*pve.GuestConfig) ([]byte, error)) error {
	if err := checkIDs(id, kind); err != nil {
		return err
	}
	return d.withLock(ctx, id, kind, func() error {
		c, err := d.readOwnConfig(ctx, id, kind)
		if err != nil {
			return err
		}
		data, err := change(c)
		if err != nil || data == nil {
			return err
		}
		err = d.patiently(ctx, func() error { return d.tree.WriteFile(ctx, configName(d.node, kind, id), data) })
		switch {
		case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
			return fmt.Errorf("%w: %w", ErrNoQuorum, err)
		case errors.Is(err, syscall.EEXIST):
			return fmt.Errorf("%w: %w", ErrConfigElsewhere, err)
		case errors.Is(err, syscall.EBUSY):
			return fmt.Errorf("%w: %w", ha.ErrTryAgain, err)
		}
		return err
	})
}

// noWorker refuses while a PVE worker of this guest runs here: the lock is then no leftover.
func (d *Driver) noWorker(ctx context.Context, id ha.VMID, lock string) error {
	rows, err := d.tasks(ctx, fmt.Sprintf("source=active&vmid=%d", id))
	if err != nil {
		return err
	}
	for _, r := range rows {
		if r.of(id) && r.running() {
			return fmt.Errorf("%w (%s): task %s of it runs here", ErrLocked, lock, r.UPID)
		}
	}
	return d.CheckPrivileges(ctx) // a token without Sys.Audit is shown no task of others
}

func asInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
