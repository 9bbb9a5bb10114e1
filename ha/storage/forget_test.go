package storage

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"bascule/ha"
)

// TestForget: whose marks are there, and what is left of them.
func TestForget(t *testing.T) {
	mark := func(cluster string, node ha.NodeName) string {
		return string(markText(&Mark{Cluster: cluster, Node: node, Life: "x", Count: 1}))
	}
	for _, c := range []struct {
		name  string
		files map[string]string
		all   bool
		want  string // what is left in the directory; "gone": it is, too
	}{
		{"the last of its cluster", map[string]string{"look-n1": mark("lan", "n1")}, false, "gone"},
		{"one of three nodes", map[string]string{"look-n1": mark("lan", "n1"), "look-n2": mark("lan", "n2")}, false, "[look-n2]"},
		{"the whole cluster", map[string]string{"look-n1": mark("lan", "n1"), "look-n2": mark("lan", "n2"), "look-old": mark("lan", "old")}, true, "gone"},
		{"another cluster uses the same server", map[string]string{"look-n1": mark("lan", "n1"), "look-n2": mark("dmz", "n2")}, true, "[look-n2]"},
		{"its node has our name", map[string]string{"look-n1": mark("dmz", "n1")}, true, "[look-n1]"},
		{"something else is there", map[string]string{"look-n1": mark("lan", "n1"), "notes.txt": "x"}, true, "[notes.txt]"},
		{"nobody can read it", map[string]string{"look-n1": "half"}, true, "[look-n1]"},
		{"a mark that names another node's file", map[string]string{"look-n3": mark("lan", "n1")}, true, "[look-n3]"},
		{"nothing was ever written", nil, true, "gone"},
	} {
		dir := t.TempDir()
		for name, text := range c.files {
			must(t, os.MkdirAll(filepath.Join(dir, ownDir), 0o700))
			must(t, os.WriteFile(filepath.Join(dir, ownDir, name), []byte(text), 0o600))
		}
		l := looker(t, t.TempDir())
		l.cfg.Cluster = "lan"
		ctx, cancel := contextFor(30 * time.Second)
		if err := l.Forget(ctx, ha.StoragePlace{Name: "nas", Path: dir}, c.all); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		cancel()
		got := "gone"
		if entries, err := os.ReadDir(filepath.Join(dir, ownDir)); err == nil {
			var names []string
			for _, e := range entries {
				names = append(names, e.Name())
			}
			got = fmt.Sprint(names)
		}
		if got != c.want {
			t.Errorf("%s: left %s, want %s", c.name, got, c.want)
		}
	}
}

// TestForgetIsBounded: a storage that is not there, or away, is told; one that nobody writes to is left alone.
func TestForgetIsBounded(t *testing.T) {
	l := looker(t, t.TempDir())
	l.cfg.Cluster = "lan"
	ctx, cancel := contextFor(30 * time.Second)
	defer cancel()
	if err := l.Forget(ctx, ha.StoragePlace{Name: "nas", Path: t.TempDir(), Mount: "/no/such/mount"}, true); err == nil {
		t.Error("one that is not mounted was taken for done")
	}
	for _, p := range []ha.StoragePlace{{Name: "ceph", Type: "rbd", Pool: "vms"}, {Name: "iso", Path: "/no/such/directory", ReadOnly: true}} {
		if err := l.Forget(ctx, p, true); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
	}
	hangs := looker(t, t.TempDir())
	hangs.cfg.Cluster, hangs.cfg.Child = "lan", []string{"sleep", "1000"}
	short, end := contextFor(100 * time.Millisecond)
	defer end()
	if err := hangs.Forget(short, ha.StoragePlace{Name: "nas", Path: t.TempDir()}, true); err == nil {
		t.Error("one that gives no answer was taken for done")
	}
}
