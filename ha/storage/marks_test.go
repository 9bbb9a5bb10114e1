package storage

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bascule/ha"
)

// marksOf reads a looker's marks of its one storage.
func marksOf(t *testing.T, l *Looker) Marks {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	all := l.Marks(ctx)
	if len(all) != 1 {
		t.Fatalf("%+v", all)
	}
	return all[0]
}

func found(m Marks, node ha.NodeName) *Mark {
	for i := range m.Found {
		if m.Found[i].Node == node {
			return &m.Found[i]
		}
	}
	return nil
}

// TestMarks: who uses the same directory finds the other's last mark, who uses another one does not.
func TestMarks(t *testing.T) {
	dir := t.TempDir()
	p := ha.StoragePlace{Name: "nas", Type: "nfs", Path: dir}
	a, b, c := looker(t, t.TempDir()), looker(t, t.TempDir()), looker(t, t.TempDir())
	b.cfg.Node, c.cfg.Node = "n2", "n3"
	a.cfg.Cluster, b.cfg.Cluster = "lan", "lan"
	for _, l := range []*Looker{a, b} {
		if got, _ := look(t, l, p, time.Minute); got.Problem != "" {
			t.Fatal(got.Problem)
		}
	}
	elsewhere := p
	elsewhere.Path = t.TempDir()
	look(t, c, elsewhere, time.Minute)

	for _, l := range []*Looker{a, b} {
		m := marksOf(t, l)
		if m.Problem != "" || len(m.Found) != 2 || len(m.Wrote) != 1 || m.Wrote[0].Age <= 0 || m.Wrote[0].Life != l.life || m.Wrote[0].Count != 1 {
			t.Errorf("%s: %+v", l.cfg.Node, m)
		}
		if f := found(m, "n1"); f == nil || *f != (Mark{Cluster: "lan", Node: "n1", Life: a.life, Count: 1}) {
			t.Errorf("%s finds of n1 %+v", l.cfg.Node, f)
		}
	}
	if m := marksOf(t, c); found(m, "n1") != nil || found(m, "n3") == nil {
		t.Errorf("n3 has a directory of its own and finds %+v", m.Found)
	}

	a.mu.Lock()
	delete(a.wrote, "nas") // a minute later
	a.mu.Unlock()
	look(t, a, p, time.Minute)
	if m := marksOf(t, b); found(m, "n1").Count != 2 {
		t.Errorf("n2 finds %+v", m.Found)
	}
	if m := marksOf(t, a); len(m.Wrote) != 2 || m.Wrote[0].Age < m.Wrote[1].Age {
		t.Errorf("n1 wrote %+v", m.Wrote)
	}
}

// TestMarksThatSayNothing: an older daemon's file, one that is being written, something else in its place.
func TestMarksThatSayNothing(t *testing.T) {
	dir := t.TempDir()
	l := looker(t, t.TempDir())
	look(t, l, ha.StoragePlace{Name: "nas", Path: dir}, time.Minute)
	own := filepath.Join(dir, ownDir)
	must(t, os.WriteFile(filepath.Join(own, "look-old"), []byte(strings.Repeat("Bascule looks whether this storage can be written to.\n", 2)), 0o600))
	must(t, os.WriteFile(filepath.Join(own, "look-now"), nil, 0o600))
	must(t, os.WriteFile(filepath.Join(own, "look-copy"), markText(&Mark{Node: "n1", Life: "x"}), 0o600))
	must(t, syscall.Mkfifo(filepath.Join(own, "look-pipe"), 0o600))
	must(t, os.Symlink("look-n1", filepath.Join(own, "look-link")))
	must(t, os.WriteFile(filepath.Join(own, "other"), nil, 0o600))
	m := marksOf(t, l)
	for _, node := range []ha.NodeName{"old", "now", "copy", "pipe", "link"} {
		if f := found(m, node); f == nil || f.Unread == "" || f.Life != "" {
			t.Errorf("%s: %+v", node, f)
		}
	}
	if f := found(m, "n1"); f == nil || f.Unread != "" || len(m.Found) != 6 {
		t.Errorf("%+v", m.Found)
	}
}

// TestMarksOfAPlace: nothing is said of a storage that is away or was never looked at, and what was written on one that has become another
// does not count.
func TestMarksOfAPlace(t *testing.T) {
	l := looker(t, t.TempDir())
	if got := l.Marks(t.Context()); len(got) != 0 {
		t.Errorf("%+v", got)
	}
	p := ha.StoragePlace{Name: "nas", Path: t.TempDir()}
	look(t, l, p, time.Minute)
	moved := p
	moved.Path = t.TempDir()
	look(t, l, moved, time.Minute)
	if m := marksOf(t, l); len(m.Wrote) != 0 || len(m.Found) != 0 || m.Problem != "" {
		t.Errorf("after it has become another one: %+v", m)
	}
	moved.Mount = moved.Path
	look(t, l, moved, time.Minute)
	if m := marksOf(t, l); !strings.Contains(m.Problem, "not mounted") || len(m.Found) != 0 {
		t.Errorf("not mounted: %+v", m)
	}
	must(t, os.RemoveAll(p.Path))
	look(t, l, p, time.Minute)
	if m := marksOf(t, l); !strings.Contains(m.Problem, "no such thing") {
		t.Errorf("gone: %+v", m)
	}
}

// TestTooManyMarks: of which a part would be taken for all.
func TestTooManyMarks(t *testing.T) {
	dir := t.TempDir()
	l := looker(t, t.TempDir())
	look(t, l, ha.StoragePlace{Name: "nas", Path: dir}, time.Minute)
	for i := range maxMarks {
		must(t, os.WriteFile(filepath.Join(dir, ownDir, fmt.Sprintf("look-gone%d", i)), nil, 0o600))
	}
	if m := marksOf(t, l); !strings.Contains(m.Problem, "more than 128 marks") {
		t.Errorf("%q, %d found", m.Problem, len(m.Found))
	}
}

// TestMarksAreBounded: what is remembered of a storage that is written to in every look.
func TestMarksAreBounded(t *testing.T) {
	l := looker(t, t.TempDir())
	d := l.directory(ha.StoragePlace{Name: "nas"})
	for range 3 * keptMarks {
		d.wrote(*l.nextMark(d), time.Now())
	}
	if len(d.writes) != keptMarks || d.writes[keptMarks-1].mark.Count != 3*keptMarks {
		t.Errorf("%+v", d.writes)
	}
}
