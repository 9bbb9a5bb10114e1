package proxmox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// task is a row of the node's task list; end 0 means that it runs.
func task(kind, id, user, status string, start, end int64) string {
	row := fmt.Sprintf(`{"upid":"UPID:n1:%d:%s:%s","type":"%s","id":"%s","user":"%s","node":"n1","pid":1,"starttime":%d`,
		start, kind, id, kind, id, user, start)
	if end == 0 {
		return row + `,"status":"RUNNING","saved":"0"}`
	}
	return row + fmt.Sprintf(`,"status":"%s","endtime":"%d"}`, status, end)
}

func TestStopCause(t *testing.T) {
	const lost = "-"
	for name, c := range map[string]struct {
		config string // of VM 100; lost: not here
		own    []string
		other  []string
		kind   CauseKind
		what   string
		who    string
	}{
		"crash":                  {kind: CauseNone},
		"user's stop":            {own: []string{task("qmstop", "100", "anna@pve", "OK", 1000, 1001)}, kind: CauseUser, what: "qmstop", who: "anna@pve"},
		"shutdown with warnings": {own: []string{task("qmshutdown", "100", "anna@pve", "WARNINGS: 1", 1000, 1001)}, kind: CauseUser, what: "qmshutdown", who: "anna@pve"},
		"shutdown still running": {own: []string{task("qmshutdown", "100", "anna@pve", "", 1000, 0)}, kind: CauseUser, what: "qmshutdown", who: "anna@pve"},
		"failed shutdown":        {own: []string{task("qmshutdown", "100", "anna@pve", "VM quit/powerdown failed - got timeout", 1000, 1001)}, kind: CauseNone},
		"before it ran":          {own: []string{task("qmstop", "100", "anna@pve", "OK", 900, 998)}, kind: CauseNone},
		"another guest's":        {other: []string{task("qmstop", "1001", "anna@pve", "OK", 1000, 1001)}, kind: CauseNone},
		"our own": {own: []string{strings.Replace(task("qmstop", "100", "bascule@pve", "OK", 1000, 1001),
			`"node"`, `"tokenid":"n1","node"`, 1)}, kind: CauseOwn, what: "qmstop", who: "bascule@pve!n1"},
		"node shutdown": {own: []string{task("qmshutdown", "100", "root@pam", "OK", 1001, 1003)},
			other: []string{task("stopall", "", "root@pam", "", 1000, 0)}, kind: CausePVE, what: "stopall", who: "root@pam"},
		"stopall long begun, kills by itself": {other: []string{task("stopall", "", "root@pam", "OK", 900, 1002)}, kind: CausePVE, what: "stopall", who: "root@pam"},
		"stopall had ended before":            {other: []string{task("stopall", "", "root@pam", "OK", 900, 950)}, kind: CauseNone},
		"user's stop after a migration failed": {own: []string{task("qmigrate", "100", "root@pam", "migration problems", 1000, 1005),
			task("qmstop", "100", "anna@pve", "OK", 1010, 1011)}, kind: CauseUser, what: "qmstop", who: "anna@pve"},
		"backup in stop mode": {config: "lock: backup\n", own: []string{task("qmshutdown", "100", "root@pam", "OK", 1001, 1003)},
			other: []string{task("vzdump", "", "root@pam", "", 900, 0)}, kind: CausePVE, what: "vzdump"},
		"backup of others meanwhile": {own: []string{task("qmstop", "100", "anna@pve", "OK", 1001, 1003)},
			other: []string{task("vzdump", "", "root@pam", "", 900, 0)}, kind: CauseUser, what: "qmstop", who: "anna@pve"},
		"rollback":                  {own: []string{task("qmrollback", "100", "anna@pve", "OK", 1000, 1001)}, kind: CausePVE, what: "qmrollback", who: "anna@pve"},
		"migrating":                 {config: "lock: migrate\n", own: []string{task("qmigrate", "100", "root@pam", "", 1000, 0)}, kind: CausePVE, what: "migration"},
		"a lock that nobody holds":  {config: "lock: snapshot\n", kind: CauseNone},
		"a backup's lock left over": {config: "lock: backup\n", other: []string{task("vzdump", "", "root@pam", "OK", 900, 950)}, kind: CauseNone},
		"moved away": {config: lost, own: []string{task("qmigrate", "100", "anna@pve", "OK", 1000, 1001)}, kind: CauseGone, what: "qmigrate",
			who: "anna@pve"},
		"removed":       {config: lost, own: []string{task("qmdestroy", "100", "anna@pve", "OK", 1000, 1001)}, kind: CauseUser, what: "qmdestroy", who: "anna@pve"},
		"gone unheard":  {config: lost, kind: CauseGone, what: "its config is not under n1"},
		"killed worker": {own: []string{task("qmstop", "100", "anna@pve", "unexpected status", 1000, 1001)}, kind: CauseNone},
	} {
		files := map[string]string{conf100: "name: a\n" + c.config}
		if c.config == lost {
			files = nil
		}
		f := newFakePVE(t).
			on("GET /nodes/n1/tasks?source=all&vmid=100&limit=50", ok("["+strings.Join(c.own, ",")+"]")).
			on("GET /nodes/n1/tasks?source=all&limit=500", ok("["+strings.Join(append(c.other, c.own...), ",")+"]"))
		got, err := f.driver(t, newTree(files)).StopCause(context.Background(), 100, time.Unix(999, 5e8))
		if err != nil || got.Kind != c.kind || got.What != c.what || got.Who != c.who {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
		if over := !strings.Contains(strings.Join(append(c.other, c.own...), ""), `"RUNNING"`); got.Kind == CausePVE && got.Over != over {
			t.Errorf("%s: over %v, want %v", name, got.Over, over)
		}
		if got.String() == "" || (got.Who != "" && !strings.Contains(got.String(), got.Who)) {
			t.Errorf("%s: says %q", name, got)
		}
	}
}

func TestStopCauseUnknownIsAnError(t *testing.T) {
	f := newFakePVE(t).on("GET /nodes/n1/tasks", answer{code: 403, reason: "Permission check failed"})
	if _, err := f.driver(t, newTree(map[string]string{conf100: ""})).StopCause(context.Background(), 100, time.Now()); err == nil {
		t.Error("no cause was found and no error told")
	}
	tree := newTree(nil).fail("read", conf100, syscall.EIO)
	if _, err := f.driver(t, tree).StopCause(context.Background(), 100, time.Now()); !errors.Is(err, syscall.EIO) {
		t.Errorf("got %v, want EIO", err)
	}
}
