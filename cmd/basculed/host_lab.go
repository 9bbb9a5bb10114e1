//go:build lab

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/agent"
	"bascule/ha/proxmox"
	"bascule/ha/storage"
)

// labNodeDir names the directory of the lab node that this process belongs to; the same variable marks its processes.
const labNodeDir = "BASCULE_LAB_NODE_DIR"

// readHost takes the identity from halab: all nodes of a lab share one kernel and one board.
func readHost() (host, error) {
	dir := os.Getenv(labNodeDir)
	if dir == "" {
		return host{}, errors.New("this is a lab build of basculed: it runs only below halab (" + labNodeDir + " is not set)")
	}
	boot, err := os.ReadFile(filepath.Join(dir, "boot_id"))
	if err != nil {
		return host{}, fmt.Errorf("lab node without a boot id: %w", err)
	}
	uuid, err := os.ReadFile(filepath.Join(dir, "system_uuid"))
	if err != nil {
		return host{}, fmt.Errorf("lab node without a system UUID: %w", err)
	}
	mark := []byte(labNodeDir + "=" + dir)
	own := func(pid int) bool {
		env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil {
			return false
		}
		for _, v := range bytes.Split(env, []byte{0}) {
			if bytes.Equal(v, mark) {
				return true
			}
		}
		return false
	}
	return host{incarnation: ha.Incarnation(strings.TrimSpace(string(boot))), systemUUID: strings.TrimSpace(string(uuid)),
		root: filepath.Join(dir, "root"), own: own}, nil
}

// openTree reaches the lab's one pmxcfs through this node's socket.
func openTree(config.Proxmox) proxmox.Tree {
	return labTree{socket: filepath.Join(os.Getenv(labNodeDir), "pmxcfs.sock")}
}

// wallNow is what this node's clock says: as far beside the kernel's as the file clock says, if there is one. It is only what others are told;
// nothing is decided by a wall clock.
func wallNow() time.Time {
	text, err := os.ReadFile(filepath.Join(os.Getenv(labNodeDir), "clock"))
	if err != nil {
		return time.Now()
	}
	off, _ := time.ParseDuration(strings.TrimSpace(string(text)))
	return time.Now().Add(off)
}

// newStorages looks at the lab's storages: each is a directory below the node's own root, whatever its type is, or nothing when the lab has
// taken it away. Of one that the lab shares it is a link to what all nodes have in common.
func newStorages(l *storage.Looker, h host) agent.Storages { return labStorages{l, h.root} }

type labStorages struct {
	agent.Storages
	root string
}

// Look looks at the node's stand-in for a storage.
func (l labStorages) Look(ctx context.Context, p ha.StoragePlace) ha.StorageLook {
	dir := filepath.Join(l.root, "storages", p.Name)
	if _, err := os.Lstat(dir); errors.Is(err, os.ErrNotExist) {
		if err := l.mount(dir, p.Name); err != nil {
			return ha.StorageLook{Storage: p.Name, Skipped: true, Problem: err.Error()}
		}
	}
	if _, err := os.Lstat(dir + ".slow"); err == nil { // halab storage NODE NAME slow
		select {
		case <-ctx.Done():
		case <-time.After(slowLook):
		}
	}
	return l.Storages.Look(ctx, ha.StoragePlace{Name: p.Name, Type: "dir", Path: dir})
}

// slowLook is what a look at a storage that the lab made slow takes longer: most of what it may take.
const slowLook = 3 * time.Second

// mount makes the node's stand-in for a storage.
func (l labStorages) mount(dir, name string) error {
	shared := filepath.Join(os.Getenv(labNodeDir), "..", "storage", "shared", name)
	if _, err := os.Stat(shared); err != nil {
		return os.MkdirAll(dir, 0o755)
	}
	return errors.Join(os.MkdirAll(filepath.Dir(dir), 0o755), os.Symlink(shared, dir))
}
