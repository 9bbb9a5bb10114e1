package proxmox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"bascule/ha"
)

// PVE waits 10 s for a config's lock; so does this.
const (
	lockPause    = 100 * time.Millisecond
	lockAttempts = 100
)

// lockFile is the file that PVE itself locks with flock(2) around every change of the guest's config.
func (d *Driver) lockFile(id ha.VMID, kind ha.GuestKind) string {
	if kind == ha.LXC {
		return filepath.Join(d.hostRoot, "run/lock/lxc", fmt.Sprintf("pve-config-%d.lock", id))
	}
	return filepath.Join(d.hostRoot, "var/lock/qemu-server", fmt.Sprintf("lock-%d.conf", id))
}

// withLock runs change while holding PVE's own lock on the guest's config. When change leaves a write behind that has
// not returned, the lock is held until it has: PVE must not write between.
func (d *Driver) withLock(ctx context.Context, id ha.VMID, kind ha.GuestKind, change func() error) error {
	f, err := d.flock(ctx, d.lockFile(id, kind))
	if err != nil {
		return err
	}
	err = change()
	var pending *PendingError
	if errors.As(err, &pending) && pending.Begun && pending.Done != nil {
		go func() {
			<-pending.Done
			_ = f.Close()
		}()
		return err
	}
	_ = f.Close() // which unlocks
	return err
}

// flock opens and locks a file, asking again until the bound or ctx is reached: a blocking flock could not be given up.
func (d *Driver) flock(ctx context.Context, name string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return nil, fmt.Errorf("making PVE's lock directory: %w", err)
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening PVE's lock file: %w", err)
	}
	for range lockAttempts {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			break
		}
		if waited := d.sleep(ctx, lockPause); waited != nil {
			err = waited
			break
		}
	}
	_ = f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) || ctx.Err() != nil {
		return nil, fmt.Errorf("%w (%s): %w; find its holder with `fuser -v %s`", ErrBusy, name, err, name)
	}
	return nil, fmt.Errorf("locking %s: %w", name, err)
}
