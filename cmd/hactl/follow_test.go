package main

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"bascule/ha"
	"bascule/ha/api"
	"bascule/ha/api/apitest"
)

// until is an output that calls done when it has seen a text.
type until struct {
	mu   sync.Mutex
	b    bytes.Buffer
	text string
	done func()
}

func (u *until) Write(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	n, err := u.b.Write(p)
	if strings.Contains(u.b.String(), u.text) {
		u.done()
	}
	return n, err
}

func (u *until) String() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.b.String()
}

// runUntil runs hactl until its output holds text, then interrupts it.
func runUntil(t *testing.T, scene, text string, args ...string) (out, errs string, code int) {
	t.Helper()
	t.Setenv("COLUMNS", "120")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	socket := filepath.Join(t.TempDir(), "api.sock")
	if err := serveScene(t.Context(), scene, socket); err != nil {
		t.Fatal(err)
	}
	stdout, stderr := &until{text: text, done: cancel}, &bytes.Buffer{}
	h := &hactl{in: strings.NewReader(""), out: newScreen(stdout), errs: newScreen(stderr)}
	root := newRoot(h)
	root.SetArgs(append(args, "--socket", socket))
	code = h.exit(ctx, root.ExecuteContext(ctx))
	return stdout.String(), stderr.String(), code
}

func TestFollowEventsUntilInterrupted(t *testing.T) {
	out, errs, code := runUntil(t, "well", "guest 102", "events", "--follow", "-n", "2")
	if code != exitOK || errs != "" {
		t.Errorf("exit code %d, stderr %q", code, errs)
	}
	if lines := strings.Count(out, "2026-08-03"); lines != 2 || !strings.Contains(out, "suspect → fencing") {
		t.Errorf("want the last two events, got %d:\n%s", lines, out)
	}
}

func TestWatchUntilInterrupted(t *testing.T) {
	out, _, code := runUntil(t, "well", "All is well.", "status", "--watch")
	if code != exitOK || !strings.Contains(out, "leader: node1") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

func TestInterruptLeavesTheDrainGoing(t *testing.T) {
	out, errs, code := runUntil(t, "well", "migrating", "drain", "node2", "--wait")
	if code != exitInterrupted || !strings.Contains(errs, "interrupted; the drain of node2 goes on") {
		t.Errorf("exit code %d, stderr %q, stdout %q", code, errs, out)
	}
}

func TestFollowerTellsEachChangeOnce(t *testing.T) {
	t.Setenv("COLUMNS", "120")
	s := newScreen(&bytes.Buffer{})
	f := newFollower("node2", api.BuildStatus(apitest.Well()))
	var got []string
	look := func(v api.View) {
		for _, l := range f.changes(s, api.BuildStatus(v)) {
			got = append(got, string(l.Node)+" "+l.State)
		}
	}
	look(apitest.Well())
	look(apitest.Draining())
	look(apitest.Draining())
	look(drained("node2", 2))
	want := "node2 online|node2 draining|node2 migrating|node2 started|node3 started|node3 started"
	if g := strings.Join(got, "|"); g != want {
		t.Errorf("got  %s\nwant %s", g, want)
	}
}

func TestFollowerEnds(t *testing.T) {
	status := func(state ha.NodeState, drain bool) api.Status {
		v := apitest.Well()
		apitest.Edit(v.Snapshot.Nodes, "node2", func(n *ha.NodeRecord) { n.State, n.Drain = state, drain })
		return api.BuildStatus(v)
	}
	for _, c := range []struct {
		name  string
		steps []api.Status
		done  bool
		err   string
	}{
		{"not taken up yet", []api.Status{status(ha.NodeOnline, false)}, false, ""},
		{"under way", []api.Status{status(ha.NodeDraining, true)}, false, ""},
		{"stopped in order is no drain", []api.Status{status(ha.NodeMaintenance, false)}, false, ""},
		{"done", []api.Status{status(ha.NodeDraining, true), status(ha.NodeMaintenance, true)}, true, ""},
		{"one moves, one is pinned", []api.Status{api.BuildStatus(drained("node2", 1))}, false, ""},
		{"only a pinned one left", []api.Status{api.BuildStatus(drained("node2", 1)), api.BuildStatus(drained("node2", 2))}, true, "cannot be moved are left on node2"},
		{"taken back", []api.Status{status(ha.NodeDraining, true), status(ha.NodeOnline, false)}, true, "took the drain of node2 back"},
		{"died", []api.Status{status(ha.NodeDraining, true), status(ha.NodeFencing, true)}, true, "recovered, not moved"},
		{"gone", []api.Status{{}}, true, "no member any more"},
	} {
		f := newFollower("node2", api.BuildStatus(apitest.Well()))
		var done bool
		var err error
		for _, s := range c.steps {
			done, err = f.ended(s)
		}
		var ended *exitError
		if done != c.done || (err != nil) != (c.err != "") || (err != nil && (!errors.As(err, &ended) || !strings.Contains(ended.text, c.err))) {
			t.Errorf("%s: done %v, error %v", c.name, done, err)
		}
	}
}
