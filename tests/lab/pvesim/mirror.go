package pvesim

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The tree is mirrored into Dir/pmxcfs as plain files, for people to look at and so that a lab can be opened again.
// Nobody reads the mirror while the cluster runs.

// mirrorLocked brings the mirror from the version it shows to t. Failures are logged: a full disk must not change
// what the cluster does.
func (c *Cluster) mirrorLocked(t *tree) {
	root := filepath.Join(c.opt.Dir, "pmxcfs")
	var gone []string
	for p := range c.mirrored.entries {
		if _, ok := t.entries[p]; !ok {
			gone = append(gone, p)
		}
	}
	slices.Sort(gone)
	slices.Reverse(gone) // files before their directories
	for _, p := range gone {
		if err := os.Remove(filepath.Join(root, p)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			c.opt.Log("pvesim: mirror: %v", err)
		}
	}
	var changed []string
	for p, e := range t.entries {
		if old, ok := c.mirrored.entries[p]; !ok || old.version != e.version {
			changed = append(changed, p)
		}
	}
	slices.Sort(changed)
	for _, p := range changed {
		if err := mirrorEntry(filepath.Join(root, p), t.entries[p]); err != nil {
			c.opt.Log("pvesim: mirror: %v", err)
		}
	}
	c.mirrored = t
}

func mirrorEntry(p string, e entry) error {
	if e.dir {
		return os.MkdirAll(p, 0o755)
	}
	if err := os.WriteFile(p, e.data, 0o600); err != nil {
		return err
	}
	return os.Chtimes(p, e.mtime, e.mtime)
}

// loadMirror reads the tree of an existing lab; nil if there is none.
func loadMirror(dir string, now time.Time) (*tree, error) {
	root := filepath.Join(dir, "pmxcfs")
	if _, err := os.Stat(filepath.Join(root, "corosync.conf")); err != nil {
		return nil, nil
	}
	t := newTree()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == root {
			return err
		}
		rel := strings.TrimPrefix(p, root+string(filepath.Separator))
		t.version++
		if d.IsDir() {
			t.entries[rel] = entry{dir: true, mtime: now, version: t.version}
			return nil
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		t.entries[rel] = entry{data: data, mtime: now, version: t.version}
		if vmid, node, kind, ok := vmPath(rel); ok {
			t.setVM(vmid, node, kind)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("pvesim: reading the tree of an earlier lab from %s failed: %w; remove the lab directory to start anew", root, err)
	}
	return t, nil
}
