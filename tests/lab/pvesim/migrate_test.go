package pvesim

import (
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMigrations checks the end of migrations and that no two nodes ever wrote at the same time.
func TestMigrations(t *testing.T) {
	lab := newGuestLab(t, 3, nil)
	for _, path := range []string{vm100, ct200} {
		if got := lab.task("n1", path+"/status/start", nil); got != "OK" {
			t.Fatal(got)
		}
	}
	source := lab.pids("n1", "qemu", 100)
	id, _ := lab.begin("n1", vm100+"/migrate", url.Values{"target": {"n2"}, "online": {"1"}})
	lab.eventually("the target's process exists, paused", func() bool { _, ok := findGuest(lab.nodes["n2"].dir, "qemu", 100); return ok })
	if got := lab.status("n2", "qemu", 100); !strings.Contains(got, "nodes/n2/qemu-server/100.conf' does not exist") {
		t.Errorf("target during the migration: %s", got)
	}
	if r := lab.do("n1", "GET", vm100+"/config", nil); r.data().(map[string]any)["lock"] != "migrate" {
		t.Errorf("source config: %s", r.raw)
	}
	if got := lab.wait(id); got != "OK" {
		t.Fatalf("live migration: %s", got)
	}
	if alive(source.outer) || lab.status("n2", "qemu", 100) != "running" || lab.GuestNode(100) != "n2" {
		t.Error("the VM did not arrive")
	}
	if got := lab.task("n1", ct200+"/migrate", url.Values{"target": {"n2"}, "restart": {"1"}, "timeout": {"5"}}); got != "OK" {
		t.Errorf("restart migration: %s", got)
	}
	lab.eventually("both write on n2", func() bool { return lastNode(lab.lines(100)) == "n2" && lastNode(lab.lines(200)) == "n2" })
	for _, vmid := range []int{100, 200} {
		noOverlap(t, lab.lines(vmid))
	}
	counters := lab.lines(100)
	for i := 1; i < len(counters); i++ {
		if counters[i].counter != counters[i-1].counter+1 {
			t.Errorf("the VM's memory did not come along: counter %d after %d", counters[i].counter, counters[i-1].counter)
		}
	}
	if r := lab.do("n2", "GET", "/nodes/n2/qemu/100/config", nil); r.data().(map[string]any)["lock"] != nil {
		t.Error("still locked")
	}
	lab.task("n2", "/nodes/n2/qemu/100/status/stop", nil)
	if got := lab.task("n2", "/nodes/n2/qemu/100/migrate", url.Values{"target": {"n3"}, "online": {"1"}}); got != "OK" || lab.GuestNode(100) != "n3" {
		t.Errorf("offline migration: %s", got)
	}
}

func lastNode(lines []line) string {
	if len(lines) == 0 {
		return ""
	}
	return lines[len(lines)-1].node
}

// noOverlap fails if a node writes again after another one has.
func noOverlap(t *testing.T, lines []line) {
	t.Helper()
	left := map[string]bool{}
	for i := 1; i < len(lines); i++ {
		if lines[i].node != lines[i-1].node {
			left[lines[i-1].node] = true
		}
		if left[lines[i].node] {
			t.Fatalf("%s wrote again after another node: line %d", lines[i].node, i)
		}
	}
}

func TestMigrationFailures(t *testing.T) {
	lab := newGuestLab(t, 3, func(o *Options) { o.Timing.Migrate = time.Minute }) // none of them gets to its end
	lab.task("n1", vm100+"/status/start", nil)
	lab.task("n1", ct200+"/status/start", nil)
	lab.cut("n3")
	if got := lab.task("n1", vm100+"/migrate", url.Values{"target": {"n3"}, "online": {"1"}}); got != "migration aborted" {
		t.Errorf("to a dead node: %s", got)
	}
	id, _ := lab.begin("n1", vm100+"/migrate", url.Values{"target": {"n2"}, "online": {"1"}})
	lab.eventually("the target's process exists", func() bool { _, ok := findGuest(lab.nodes["n2"].dir, "qemu", 100); return ok })
	sendSignal(lab.pids("n2", "qemu", 100).outer, syscall.SIGKILL)
	if got := lab.wait(id); got != "migration problems" {
		t.Errorf("target process killed: %s", got)
	}
	if lab.status("n1", "qemu", 100) != "running" || lab.GuestNode(100) != "n1" {
		t.Error("the VM must go on running on its source")
	}
	if r := lab.do("n1", "GET", vm100+"/config", nil); r.data().(map[string]any)["lock"] != nil {
		t.Error("the lock was not removed")
	}
	if got := lab.task("n1", ct200+"/migrate", url.Values{"target": {"n2"}, "online": {"1"}}); got != "migration aborted" {
		t.Errorf("live migration of a container: %s", got)
	}
	id, _ = lab.begin("n1", vm100+"/migrate", url.Values{"target": {"n2"}, "online": {"1"}})
	lab.eventually("the target's process exists again", func() bool { _, ok := findGuest(lab.nodes["n2"].dir, "qemu", 100); return ok })
	lab.do("n1", "DELETE", "/nodes/n1/tasks/"+id, nil)
	if got := lab.wait(id); got != "received interrupt" && got != "migration problems" {
		t.Errorf("stopped migration: %q", got)
	}
	lab.eventually("the target's process is gone", func() bool { _, ok := findGuest(lab.nodes["n2"].dir, "qemu", 100); return !ok })
	noOverlap(t, lab.lines(100))
}
