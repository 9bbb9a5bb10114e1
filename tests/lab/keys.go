package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// magicKeys plays the kernel's magic keys for a node's life: what its guard writes to /proc/sysrq-trigger ends the machine at once, "o" by
// switching it off, "b" and "c" by a reset. Other keys do nothing, as in a kernel that knows them and has nothing to show.
func (n *node) magicKeys(ctx context.Context) {
	path := n.world.layout.Node(n.name, "root", "proc", "sysrq-trigger")
	keys, err := openKeys(path)
	if err != nil {
		n.world.events.add(EventKeys, n.name, fmt.Sprintf("without magic keys: %v", err))
		return
	}
	context.AfterFunc(ctx, func() { _ = keys.Close() })
	n.world.wg.Go(func() {
		key := make([]byte, 1)
		for {
			if _, err := keys.Read(key); err != nil {
				return // closed at the end of the life
			}
			switch key[0] {
			case 'o':
				n.world.events.add(EventKeys, n.name, "its guard obeys a message and has the kernel switch it off")
				n.world.wg.Go(func() { _ = n.PowerOff() }) // reported
				return
			case 'b', 'c':
				n.world.wg.Go(func() { n.reset("its guard asked the kernel for it") })
				return
			}
		}
	})
}

// openKeys makes the file anew: what an earlier life has written there is gone with it. It is open for writing, too, so that no writer waits.
func openKeys(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		return nil, &fs.PathError{Op: "mkfifo", Path: path, Err: err}
	}
	return os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
}
