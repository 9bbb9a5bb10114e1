package cephblocklist

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/ha"
)

func TestABridgeThatCannotRun(t *testing.T) {
	saved := interpreter
	defer func() { interpreter = saved }()
	x := newCluster(t)
	for _, c := range []struct {
		name string
		argv []string
		err  error
		text string
	}{
		{"no Python", []string{"/nonexistent/python3"}, fencing.ErrSettings, "install ceph-common"},
		{"no modules", []string{"/bin/sh", "-c", `echo '{"error":{"missing":"No module named rados"}}'`}, fencing.ErrSettings, "install ceph-common"},
		{"it crashes", []string{"/bin/sh", "-c", "echo no memory, " + key + " >&2; exit 3"}, fencing.ErrHelper, "no memory, (secret)"},
		{"it stops talking", []string{"/bin/sh", "-c", "exec >&-; sleep 60"}, fencing.ErrHelper, "it ended"},
		{"it never ends a line", []string{"/bin/sh", "-c", "exec yes '' | tr -d '\\n'"}, fencing.ErrTimeout, ""},
		{"it leaves children", []string{"/bin/sh", "-c", "sleep 60 & sleep 60"}, fencing.ErrTimeout, ""},
	} {
		interpreter = c.argv
		began := time.Now()
		got, err := x.open().Read(timeLimit(t, time.Second), node2)
		if got[0].Access != ha.AccessUnknown || !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v, %v; want %v %q", c.name, got, err, c.err, c.text)
		}
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("%s: took %v", c.name, took)
		}
	}
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil || len(lists) == 0 {
		t.Fatalf("%v %v", lists, err)
	}
	for _, list := range lists {
		if left, err := os.ReadFile(list); err == nil && len(left) > 0 {
			t.Errorf("children left: %s", left)
		}
	}
}
