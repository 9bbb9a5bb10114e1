package pvesim

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"bascule/ha/waittest"
)

// newGuestLab has VM 100 and CT 200 on n1, both on shared storage.
func newGuestLab(t *testing.T, nodes int, change func(*Options)) *testLab {
	t.Helper()
	t.Parallel()
	lab := newTestLab(t, "n", nodes, change)
	lab.guest(GuestSpec{VMID: 100, Kind: "qemu", Name: "web1", Node: "n1", Storage: "shared", Tags: []string{"ha"}})
	lab.guest(GuestSpec{VMID: 200, Kind: "lxc", Name: "ct200", Node: "n1", Storage: "shared", Tags: []string{"ha"}})
	return lab.on()
}

const vm100, ct200 = "/nodes/n1/qemu/100", "/nodes/n1/lxc/200"

func (l *testLab) pids(node, kind string, vmid int) guestPIDs {
	l.t.Helper()
	pids, ok := findGuest(l.nodes[node].dir, kind, vmid)
	if !ok {
		l.t.Fatalf("guest %d does not run on %s", vmid, node)
	}
	return pids
}

func TestGuestLives(t *testing.T) {
	lab := newGuestLab(t, 1, nil)
	if err := os.WriteFile(filepath.Join(lab.nodes["n1"].dir, "root/run/bascule/guests.json"), []byte(`{"100":{"generation":7}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	boot, err := os.ReadFile(filepath.Join(lab.nodes["n1"].dir, "boot_id"))
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range []struct {
		kind, path, title string
		vmid              int
		generation        int64
	}{{"qemu", vm100, "/usr/bin/kvm -id 100 -name web1,debug-threads=on", 100, 7}, {"lxc", ct200, "[lxc monitor] /var/lib/lxc 200", 200, 0}} {
		if got := lab.status("n1", g.kind, g.vmid); got != "stopped" {
			t.Errorf("%d before: %s", g.vmid, got)
		}
		if got := lab.task("n1", g.path+"/status/start", nil); got != "OK" {
			t.Fatalf("start of %d: %s", g.vmid, got)
		}
		if got := lab.status("n1", g.kind, g.vmid); got != "running" {
			t.Errorf("%d after the start: %s", g.vmid, got)
		}
		pids := lab.pids("n1", g.kind, g.vmid)
		if title := strings.Join(cmdline(pids.outer), " "); !strings.HasPrefix(title, g.title) {
			t.Errorf("title %q", title)
		}
		sid, err := syscall.Getpgid(pids.outer)
		if err != nil || sid != pids.outer {
			t.Errorf("guest %d is not in a session of its own: %d %v", g.vmid, sid, err)
		}
		lab.eventually("three lines", func() bool { return len(lab.lines(g.vmid)) > 3 })
		first := lab.lines(g.vmid)[0]
		if first.node != "n1" || first.incarnation != strings.TrimSpace(string(boot)) || first.generation != g.generation || first.counter != 0 {
			t.Errorf("first line %+v", first)
		}
		if got := lab.task("n1", g.path+"/status/shutdown", url.Values{"timeout": {"5"}}); got != "OK" {
			t.Errorf("shutdown of %d: %s", g.vmid, got)
		}
		if alive(pids.outer) || alive(pids.inner) {
			t.Error("a process is left")
		}
		if got := lab.task("n1", g.path+"/status/start", nil); got != "OK" {
			t.Errorf("second start of %d: %s", g.vmid, got)
		}
		if got := lab.task("n1", g.path+"/status/stop", nil); got != "OK" {
			t.Errorf("stop of %d: %s", g.vmid, got)
		}
		if got := lab.status("n1", g.kind, g.vmid); got != "stopped" {
			t.Errorf("%d after the stop: %s", g.vmid, got)
		}
	}
}

func TestContainerDiesWithItsMonitor(t *testing.T) {
	lab := newGuestLab(t, 1, nil)
	lab.task("n1", ct200+"/status/start", nil)
	pids := lab.pids("n1", "lxc", 200)
	if pids.inner == pids.outer || !alive(pids.inner) {
		t.Fatalf("no init of its own: %+v", pids)
	}
	sendSignal(pids.outer, syscall.SIGKILL)
	lab.eventually("init is gone", func() bool { return !alive(pids.inner) })
	if got := lab.status("n1", "lxc", 200); got != "stopped" {
		t.Error(got)
	}
}

// TestTaskVerdicts: what is accepted and fails later, and what is refused at once.
func TestTaskVerdicts(t *testing.T) {
	lab := newGuestLab(t, 2, nil)
	lab.guest(GuestSpec{VMID: 103, Kind: "qemu", Name: "tmpl", Node: "n1", Storage: "shared", Template: true})
	lab.guest(GuestSpec{VMID: 104, Kind: "qemu", Name: "deaf", Node: "n1", Storage: "shared", IgnoreShutdown: true})
	disk := filepath.Join(lab.opt.Dir, "storage/volumes/shared/100/vm-100-disk-0.qcow2")
	start := func(path string) func() string {
		return func() string { return lab.task("n1", path+"/status/start", nil) }
	}
	lock := func(vmid int, lock string) {
		t.Helper()
		if err := lab.SetLock(vmid, lock); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name   string
		before func()
		do     func() string
		want   string
	}{
		{"unknown VMID", nil, start("/nodes/n1/qemu/999"), "Configuration file 'nodes/n1/qemu-server/999.conf' does not exist"},
		{"unknown CT", nil, start("/nodes/n1/lxc/999"), "Configuration file 'nodes/n1/lxc/999.conf' does not exist"},
		{"wrong node", nil, start("/nodes/n2/qemu/100"), "Configuration file 'nodes/n2/qemu-server/100.conf' does not exist"},
		{"template", nil, start("/nodes/n1/qemu/103"), "you can't start a vm if it's a template"},
		{"locked", func() { lock(100, "backup") }, start(vm100), "VM is locked (backup)"},
		{"locked CT", func() { lock(200, "backup") }, start(ct200), "CT is locked (backup)"},
		{"mounted CT starts", func() { lock(200, "mounted") }, start(ct200), "OK"},
		{"CT refused at once", func() { lock(200, "") }, func() string { return lab.do("n1", "POST", ct200+"/status/start", nil).reason }, "CT 200 already running"},
		{"stop CT", nil, func() string { return lab.task("n1", ct200+"/status/stop", nil) }, "OK"},
		{"stop CT again", nil, func() string { return lab.do("n1", "POST", ct200+"/status/stop", nil).reason }, "CT 200 not running"},
		{"missing disk", func() { lock(100, ""); os.Rename(disk, disk+"x") }, start(vm100), "volume 'shared:100/vm-100-disk-0.qcow2' does not exist"},
		{"storage not mounted", func() { os.Rename(disk+"x", disk); lab.SetMounted("shared", "n1", false) }, start(vm100),
			"unable to activate storage 'shared' - directory is expected to be a mount point but is not mounted: '/mnt/shared'"},
		{"storage network cut", func() { lab.SetMounted("shared", "n1", true); lab.CutStorage("n1", true) }, start(vm100), "storage 'shared' is not online"},
		{"fault asked for", func() {
			lab.CutStorage("n1", false)
			lab.FailNext("n1", 100, "start", "start failed: QEMU exited with code 1")
		}, start(vm100), "start failed: QEMU exited with code 1"},
		{"only once", nil, start(vm100), "OK"},
		{"already running", nil, start(vm100), "VM 100 already running"},
		{"stop of a locked VM", func() { lock(100, "migrate") }, func() string { return lab.task("n1", vm100+"/status/stop", nil) }, "VM is locked (migrate)"},
		{"stop", func() { lock(100, "") }, func() string { return lab.task("n1", vm100+"/status/stop", nil) }, "OK"},
		{"stop of a stopped VM", nil, func() string { return lab.task("n1", vm100+"/status/stop", nil) }, "OK"},
		{"deaf guest", func() { lab.task("n1", "/nodes/n1/qemu/104/status/start", nil) }, func() string {
			return lab.task("n1", "/nodes/n1/qemu/104/status/shutdown", url.Values{"timeout": {"0"}})
		}, "VM quit/powerdown failed - got timeout"},
		{"deaf guest, forced", nil, func() string {
			return lab.task("n1", "/nodes/n1/qemu/104/status/shutdown", url.Values{"timeout": {"0"}, "forceStop": {"1"}})
		}, "OK"},
	}
	for _, tt := range tests {
		if tt.before != nil {
			tt.before()
		}
		if got := tt.do(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// begin starts a task and does not wait.
func (l *testLab) begin(node, path string, form url.Values) (string, upid) {
	l.t.Helper()
	r := l.do(node, "POST", path, form)
	id, _ := r.data().(string)
	u, ok := parseUPID(id)
	if !ok {
		l.t.Fatalf("%s: %d %s", path, r.status, r.reason)
	}
	return id, u
}

func TestWorkerIsAProcess(t *testing.T) {
	lab := newGuestLab(t, 1, func(o *Options) { o.Timing.Start = time.Minute })
	id, u := lab.begin("n1", vm100+"/status/start", nil)
	if title := strings.Join(cmdline(u.pid), " "); title != "task "+id {
		t.Errorf("title %q", title)
	}
	if st, err := statPid(u.pid); err != nil || st.start != u.pstart {
		t.Errorf("start time %d of the UPID, %d of the process (%v)", u.pstart, st.start, err)
	}
	r := lab.do("n1", "GET", "/nodes/n1/tasks/"+id+"/status", nil)
	row := r.data().(map[string]any)
	if _, has := row["exitstatus"]; has || row["status"] != "running" || row["tokenid"] != "node1" || row["user"] != "bascule@pve" {
		t.Errorf("running: %v", row)
	}
	if r := lab.do("n1", "GET", "/nodes/n1/tasks", nil); len(r.data().([]any)) != 0 {
		t.Errorf("the archive lists a running task: %s", r.raw)
	}
	if r := lab.do("n1", "GET", "/nodes/n1/tasks?source=active", nil); len(r.data().([]any)) != 1 {
		t.Errorf("source=active: %s", r.raw)
	}
	sendSignal(u.pid, syscall.SIGKILL)
	if got := lab.wait(id); got != "unexpected status" {
		t.Errorf("killed worker: %q", got)
	}
	if got := lab.status("n1", "qemu", 100); got != "stopped" {
		t.Errorf("the worker was killed before it started kvm, but the VM is %s", got)
	}
	if r := lab.do("n1", "GET", "/nodes/n1/tasks/"+id+"/log", nil); !strings.Contains(r.raw, "no content") {
		t.Errorf("log %s", r.raw)
	}
}

func TestTaskStoppedByUser(t *testing.T) {
	lab := newGuestLab(t, 1, func(o *Options) { o.Timing.Shutdown = time.Minute })
	lab.task("n1", vm100+"/status/start", nil)
	id, _ := lab.begin("n1", vm100+"/status/shutdown", url.Values{"timeout": {"120"}})
	if r := lab.do("n1", "DELETE", "/nodes/n1/tasks/"+id, nil); r.status != 200 {
		t.Fatal(r.reason)
	}
	if got := lab.wait(id); got != "received interrupt" {
		t.Errorf("%q", got)
	}
	id, _ = lab.begin("n1", vm100+"/status/shutdown", url.Values{"timeout": {"120"}})
	if got := lab.task("n1", vm100+"/status/stop", url.Values{"overrule-shutdown": {"1"}}); got != "OK" {
		t.Errorf("overruling stop: %s", got)
	}
	if got := lab.wait(id); got != "received interrupt" {
		t.Errorf("overruled: %q", got)
	}
}

func TestTasksSurviveThePowerCut(t *testing.T) {
	lab := newGuestLab(t, 1, func(o *Options) { o.Timing.Start = time.Minute })
	id, _ := lab.begin("n1", vm100+"/status/start", nil)
	lab.cut("n1")
	if _, err := lab.Operator("n1", 100, "start"); err == nil {
		t.Error("a node that is off started a worker")
	}
	lab.powerOn("n1")
	if got := lab.wait(id); got != "unexpected status" {
		t.Errorf("%q", got)
	}
	again, err := openTaskStore(lab.nodes["n1"].tasks.dir)
	if err != nil || again.find(id) == nil || again.find(id).status != "unexpected status" {
		t.Errorf("the index on disk does not have it: %v", err)
	}
	if got := lab.status("n1", "qemu", 100); got != "stopped" {
		t.Error(got)
	}
}

func TestStorageCutHoldsWritesBack(t *testing.T) {
	lab := newGuestLab(t, 1, nil)
	lab.task("n1", vm100+"/status/start", nil)
	lab.eventually("lines", func() bool { return len(lab.lines(100)) > 2 })
	waittest.BestOf(t, func() string { // a guest that stalls is silent, too, and is held up by nothing
		lab.CutStorage("n1", true)
		var before int
		lab.eventually("no more lines", func() bool {
			was := before
			before = len(lab.lines(100))
			time.Sleep(3 * quick.GuestTick) // the absence of lines can only be seen by waiting
			return was == before
		})
		cut := time.Now().UnixNano()
		lab.CutStorage("n1", false)
		lab.eventually("lines again", func() bool { return len(lab.lines(100)) > before })
		if late := lab.lines(100)[before]; late.at > cut {
			return "the held-back line was made after the cut; it must be the old one"
		}
		return ""
	})
}

func TestUPID(t *testing.T) {
	const id = "UPID:n1:000001A3:0008207C:6B021298:qmstart:100:bascule@pve!node1:"
	u, ok := parseUPID(id)
	if !ok || u.String() != id || u.pid != 0x1a3 || u.id != strconv.Itoa(100) {
		t.Errorf("%+v %v", u, ok)
	}
	for _, bad := range []string{"", "UPID-garbage", strings.TrimSuffix(id, ":"), strings.Replace(id, "1A3", "1G3", 1), fmt.Sprint(id, "/")} {
		if _, ok := parseUPID(bad); ok {
			t.Errorf("%q passed", bad)
		}
	}
}
