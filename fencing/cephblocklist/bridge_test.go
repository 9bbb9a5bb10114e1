package cephblocklist

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/ha"
	"bascule/ha/waittest"
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
		limit := 40 * time.Second
		if errors.Is(c.err, fencing.ErrTimeout) {
			limit = time.Second
		}
		got, err := x.open().Read(timeLimit(t, limit), node2)
		if got[0].Access != ha.AccessUnknown || !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v, %v; want %v %q", c.name, got, err, c.err, c.text)
		}
	}
	waittest.Until(t, waittest.Hang, "no child is left", func() bool {
		lists, err := filepath.Glob("/proc/self/task/*/children")
		if err != nil || len(lists) == 0 {
			t.Fatalf("%v %v", lists, err)
		}
		return !slices.ContainsFunc(lists, func(list string) bool {
			left, err := os.ReadFile(list)
			return err == nil && len(left) > 0
		})
	})
}
