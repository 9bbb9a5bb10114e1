package proxmox

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"bascule/ha"
)

const (
	qmigrate = "UPID:n1:00000350:0008664A:6B02134B:qmigrate:100:bascule@pve!n1:"
	conf100  = "nodes/n1/qemu-server/100.conf"
)

// moving is a PVE that migrates VM 100; its config leaves the tree when the task ends.
func moving(t *testing.T, tree *fakeTree, current string, end answer) *fakePVE {
	if end.before == nil {
		end.before = func() { _ = tree.renameNow(conf100, "nodes/n2/qemu-server/100.conf") }
	}
	return newFakePVE(t).
		on("GET /nodes/n1/qemu/100/status/current", ok(`{"status":"`+current+`","vmid":100}`)).
		on("POST /nodes/n1/qemu/100/migrate", ok(`"`+qmigrate+`"`)).
		on("GET /nodes/n1/tasks/"+qmigrate+"/status", ok(running), end).
		on("GET /nodes/n1/tasks/"+qmigrate+"/log?start=0&limit=500", ok(`[{"n":1,"t":"starting"},{"n":2,"t":"moved 1 MiB"}]`)).
		on("GET /nodes/n1/tasks/"+qmigrate+"/log?start=2&limit=500", ok(`[{"n":3,"t":"TASK OK"}]`))
}

func TestMigrateLiveOnlyWhatRuns(t *testing.T) {
	for current, body := range map[string]string{
		"running": `{"target":"n2","online":1}`,
		"stopped": `{"target":"n2"}`,
	} {
		tree := newTree(map[string]string{conf100: "name: web\n"})
		f := moving(t, tree, current, ended("OK"))
		var lines []string
		err := f.driver(t, tree).Migrate(context.Background(), 100, ha.QEMU, "n2", true, func(s string) { lines = append(lines, s) })
		if err != nil {
			t.Fatal(err)
		}
		if f.count("POST /nodes/n1/qemu/100/migrate "+body) != 1 {
			t.Errorf("%s: sent %q", current, f.asked)
		}
		if !slices.Equal(lines, []string{"starting", "moved 1 MiB", "TASK OK"}) {
			t.Errorf("progress %q", lines)
		}
	}
}

func TestContainerMovesByRestart(t *testing.T) {
	upid := strings.Replace(qmigrate, "qmigrate:100", "vzmigrate:200", 1)
	tree := newTree(map[string]string{"nodes/n2/lxc/200.conf": ""})
	f := newFakePVE(t).on("POST /nodes/n1/lxc/200/migrate", ok(`"`+upid+`"`)).
		on("GET /nodes/n1/tasks/"+upid+"/status", ended("OK"))
	if err := f.driver(t, tree).Migrate(context.Background(), 200, ha.LXC, "n2", true); err != nil {
		t.Fatal(err)
	}
	if f.count(`POST /nodes/n1/lxc/200/migrate {"target":"n2","restart":1}`) != 1 {
		t.Errorf("sent %q", f.asked)
	}
}

// A migration to a dead node is accepted and aborts after seconds; the VM stays.
func TestMigrationThatAborts(t *testing.T) {
	tree := newTree(map[string]string{conf100: "name: web\n"})
	end := ended("migration aborted")
	end.before = func() {}
	f := moving(t, tree, "running", end).on("GET /nodes/n1/tasks/"+qmigrate+"/log", ok("[]"))
	var task *TaskError
	if err := f.driver(t, tree).Migrate(context.Background(), 100, ha.QEMU, "n2", true); !errors.As(err, &task) {
		t.Fatalf("got %v, want a TaskError", err)
	}
}

func TestMigrationThatOnlySaysOK(t *testing.T) {
	tree := newTree(map[string]string{conf100: "name: web\n"})
	end := ended("OK")
	end.before = func() {}
	f := moving(t, tree, "running", end)
	if err := f.driver(t, tree).Migrate(context.Background(), 100, ha.QEMU, "n2", true); !errors.Is(err, ErrNoResult) {
		t.Fatalf("got %v, want ErrNoResult", err)
	}
}
