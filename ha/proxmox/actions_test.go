package proxmox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha"
)

const (
	startUPID = "UPID:n1:000001A3:0008207C:6B021298:qmstart:100:bascule@pve!n1:"
	taskPath  = "GET /nodes/n1/tasks/" + startUPID
	running   = `{"status":"running","type":"qmstart","pid":419,"id":"100","node":"n1"}`
)

func ended(exit string) answer {
	return ok(fmt.Sprintf(`{"status":"stopped","exitstatus":%q,"pid":"419","id":"100","node":"n1"}`, exit))
}

// starting is a PVE that accepts a start of VM 100 and then tells its task's states in turn.
func starting(t *testing.T, states ...answer) *fakePVE {
	return newFakePVE(t).
		on("POST /nodes/n1/qemu/100/status/start", ok(`"`+startUPID+`"`)).
		on(taskPath+"/status", states...).
		on(taskPath+"/log", ok(`[{"t":"kvm: no such disk","n":1},{"n":2,"t":"TASK ERROR: it failed"}]`))
}

func TestStartFollowsTheTaskToItsEnd(t *testing.T) {
	for _, exit := range []string{"OK", "WARNINGS: 2", "VM 100 already running"} {
		f := starting(t, ok(running), ok(running), ended(exit))
		if err := f.driver(t, newTree(nil)).Start(context.Background(), 100, ha.QEMU); err != nil {
			t.Errorf("%s: %v", exit, err)
		}
		if n := f.count(taskPath + "/status"); n != 3 {
			t.Errorf("%s: asked %d times", exit, n)
		}
	}
}

func TestAcceptedIsNotDone(t *testing.T) {
	for exit, want := range map[string]error{
		"start failed: QEMU exited with code 1":                               nil,
		"VM is locked (backup)":                                               ErrLocked,
		"Configuration file 'nodes/n1/qemu-server/100.conf' does not exist":   ErrConfigGone,
		"volume 'shared:100/vm-100-disk-0.qcow2' does not exist":              nil,
		"you can't start a vm if it's a template":                             nil,
		"VM 1001 already running":                                             nil, // another guest's sentence
		"can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout": ErrBusy,
	} {
		f := starting(t, ended(exit))
		err := f.driver(t, newTree(nil)).Start(context.Background(), 100, ha.QEMU)
		var task *TaskError
		if !errors.As(err, &task) || task.ExitStatus != exit || task.UPID != startUPID || task.Action != "start" {
			t.Errorf("%s: got %v", exit, err)
			continue
		}
		if want != nil && !errors.Is(err, want) {
			t.Errorf("%v is not %v", err, want)
		}
		if !slices.Equal(task.Log, []string{"kvm: no such disk", "TASK ERROR: it failed"}) {
			t.Errorf("log %q", task.Log)
		}
		if !strings.Contains(err.Error(), "kvm: no such disk") || !strings.Contains(err.Error(), "VM 100 on n1") {
			t.Errorf("%v tells too little", err)
		}
	}
}

func TestKilledWorkerHasNoResult(t *testing.T) {
	f := starting(t, ended("unexpected status")).on(taskPath+"/log", ok(`[{"n":1,"t":"no content"}]`))
	err := f.driver(t, newTree(nil)).Start(context.Background(), 100, ha.QEMU)
	var task *TaskError
	if !errors.Is(err, ErrNoResult) || !errors.As(err, &task) || len(task.Log) != 0 {
		t.Fatalf("got %v, want ErrNoResult without a log", err)
	}
	// The end may be read before its last line is on disk; then it is asked again.
	f = starting(t, ended("unexpected status"), ok(`{"status":"stopped"}`), ended("OK"))
	if err := f.driver(t, newTree(nil)).Start(context.Background(), 100, ha.QEMU); err != nil {
		t.Fatal(err)
	}
}

func TestLostTaskHasNoResult(t *testing.T) {
	f := starting(t, answer{code: 400, reason: "Parameter verification failed.",
		body: `{"message":"Parameter verification failed.\n","errors":{"upid":"no such task"},"data":null}`})
	if err := f.driver(t, newTree(nil)).Start(context.Background(), 100, ha.QEMU); !errors.Is(err, ErrNoResult) {
		t.Fatalf("got %v, want ErrNoResult", err)
	}
}

// PVE's daemons restart at updates while workers run on.
func TestWaitingOutlivesAPauseOfTheAPI(t *testing.T) {
	f := starting(t, answer{code: 595, reason: "Connection refused"}, answer{drop: true}, ok("null"),
		answer{code: 503, reason: "x"}, ok(running), ended("OK"))
	if err := f.driver(t, newTree(nil)).Start(context.Background(), 100, ha.QEMU); err != nil {
		t.Fatal(err)
	}
	if n := f.count("POST"); n != 1 {
		t.Errorf("started %d times", n)
	}
}

func TestContextEndLeavesTheWorkerRunning(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	last := ok(running)
	last.before = cancel
	f := starting(t, ok(running), last)
	err := f.driver(t, newTree(nil)).Start(ctx, 100, ha.QEMU)
	var still *StillRunningError
	if !errors.As(err, &still) || still.UPID != startUPID || !errors.Is(err, ErrStillRunning) || !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if f.count("DELETE") != 0 {
		t.Error("the worker was touched")
	}
}

func TestTaskThatMayNotBeReadIsOpen(t *testing.T) {
	f := starting(t, answer{code: 403, reason: "Permission check failed (/nodes/n1, Sys.Audit)"})
	if err := f.driver(t, newTree(nil)).Start(context.Background(), 100, ha.QEMU); !errors.Is(err, ErrStillRunning) {
		t.Fatalf("got %v, want ErrStillRunning", err)
	}
}

func TestTaskElsewhereIsOpen(t *testing.T) {
	f := newFakePVE(t).on("POST /nodes/n1/qemu/100/status/start", ok(`"`+strings.Replace(startUPID, "n1", "n2", 1)+`"`))
	err := f.driver(t, newTree(nil)).Start(context.Background(), 100, ha.QEMU)
	if !errors.Is(err, ErrStillRunning) || !strings.Contains(err.Error(), "n2") || f.count("GET") > 0 {
		t.Fatalf("got %v, asked %q", err, f.asked)
	}
}

// A hastart task ends OK as soon as it is queued.
func TestGuestOfPVEsHAIsNotTouched(t *testing.T) {
	tree := newTree(map[string]string{"ha/resources.cfg": "vm: 100\n\tstate started\n\nct: 200\n\tstate ignored\n"})
	f := starting(t, ended("OK"))
	d := f.driver(t, tree)
	for name, call := range map[string]func() error{
		"start":    func() error { return d.Start(context.Background(), 100, ha.QEMU) },
		"stop":     func() error { return d.Stop(context.Background(), 100, ha.QEMU) },
		"shutdown": func() error { return d.Shutdown(context.Background(), 100, ha.QEMU, time.Minute) },
		"migrate":  func() error { return d.Migrate(context.Background(), 100, ha.QEMU, "n2", false) },
	} {
		if err := call(); !errors.Is(err, ErrManagedByHA) || !strings.Contains(err.Error(), "ha-manager remove vm:100") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if f.count("POST") != 0 {
		t.Error("a command was sent")
	}
	f.on("POST /nodes/n1/lxc/200/status/start", fails("CT 200 already running"))
	if err := d.Start(context.Background(), 200, ha.LXC); err != nil {
		t.Errorf("ignored by PVE's HA: %v", err)
	}
}

func TestDivertedTaskIsNoSuccess(t *testing.T) {
	f := starting(t, ended("OK")).
		on("POST /nodes/n1/qemu/100/status/start", ok(`"`+strings.Replace(startUPID, "qmstart", "hastart", 1)+`"`))
	if err := f.driver(t, newTree(nil)).Start(context.Background(), 100, ha.QEMU); !errors.Is(err, ErrManagedByHA) {
		t.Fatalf("got %v, want ErrManagedByHA", err)
	}
}

func TestNothingToDoIsSuccess(t *testing.T) {
	f := newFakePVE(t).
		on("POST /nodes/n1/lxc/200/status/start", fails("CT 200 already running")).
		on("POST /nodes/n1/lxc/200/status/stop", fails("CT 200 not running")).
		on("POST /nodes/n1/lxc/200/status/shutdown", fails("CT 200 not running"))
	d, ctx := f.driver(t, newTree(nil)), context.Background()
	if err := errors.Join(d.Start(ctx, 200, ha.LXC), d.Stop(ctx, 200, ha.LXC), d.Shutdown(ctx, 200, ha.LXC, time.Second)); err != nil {
		t.Fatal(err)
	}
}

func TestShutdownNeverForces(t *testing.T) {
	const upid = "UPID:n1:000001F2:00083D82:6B0212E3:qmshutdown:100:bascule@pve!n1:"
	f := newFakePVE(t).on("POST /nodes/n1/qemu/100/status/shutdown", ok(`"`+upid+`"`)).
		on("GET /nodes/n1/tasks/"+upid+"/status", ended("VM quit/powerdown failed - got timeout")).
		on("GET /nodes/n1/tasks/"+upid+"/log", ok("null"))
	err := f.driver(t, newTree(nil)).Shutdown(context.Background(), 100, ha.QEMU, 90*time.Second)
	if !errors.Is(err, ErrShutdownTimeout) {
		t.Fatalf("got %v, want ErrShutdownTimeout", err)
	}
	if f.count(`POST /nodes/n1/qemu/100/status/shutdown {"forceStop":0,"timeout":90}`) != 1 {
		t.Errorf("sent %q", f.asked)
	}
}

// An older PVE refuses overrule-shutdown: nothing was done, so it may be asked again without.
func TestStopOverrulesAShutdown(t *testing.T) {
	const upid = "UPID:n1:000001F9:00083FA0:6B0212E8:qmstop:100:bascule@pve!n1:"
	f := newFakePVE(t).on("POST /nodes/n1/qemu/100/status/stop", answer{code: 400, reason: "Parameter verification failed.",
		body: `{"data":null,"errors":{"overrule-shutdown":"property is not defined in schema and the schema does not allow additional properties"},"message":"Parameter verification failed.\n"}`},
		ok(`"`+upid+`"`)).on("GET /nodes/n1/tasks/"+upid+"/status", ended("OK"))
	if err := f.driver(t, newTree(nil)).Stop(context.Background(), 100, ha.QEMU); err != nil {
		t.Fatal(err)
	}
	if f.count(`POST /nodes/n1/qemu/100/status/stop {"overrule-shutdown":1}`) != 1 || f.count("POST") != 2 {
		t.Errorf("sent %q", f.asked)
	}
}

func TestRunningBelievesOnlyStatusCurrent(t *testing.T) {
	const path = "GET /nodes/n1/qemu/100/status/current"
	for data, want := range map[string]struct {
		running bool
		err     error
	}{
		`{"status":"running","qmpstatus":"running","vmid":100,"clipboard":null}`: {running: true},
		`{"status":"running","vmid":"100"}`:                                      {running: true},
		`{"status":"stopped","vmid":100}`:                                        {},
		`{"status":"unknown","vmid":100}`:                                        {err: ErrNoAnswer},
		`{"status":"running","vmid":101}`:                                        {err: ErrNoAnswer},
		`{}`:                                                                     {err: ErrNoAnswer},
	} {
		f := newFakePVE(t).on(path, ok(data))
		got, err := f.driver(t, newTree(nil)).Running(context.Background(), 100, ha.QEMU)
		if got != want.running || !errors.Is(err, want.err) {
			t.Errorf("%s: got %t, %v", data, got, err)
		}
		if f.count("GET") != 1 {
			t.Errorf("asked %q", f.asked)
		}
	}
	f := newFakePVE(t).on(path, fails("Configuration file 'nodes/n1/qemu-server/100.conf' does not exist"))
	if _, err := f.driver(t, newTree(nil)).Running(context.Background(), 100, ha.QEMU); !errors.Is(err, ErrConfigGone) {
		t.Errorf("got %v, want ErrConfigGone", err)
	}
}

func TestOddIDsNeverReachAPath(t *testing.T) {
	f := newFakePVE(t)
	d := f.driver(t, newTree(nil))
	for _, err := range []error{
		d.Start(context.Background(), 99, ha.QEMU), d.Start(context.Background(), 100, "../../access"),
		d.Migrate(context.Background(), 100, ha.QEMU, "n2/../x", false), d.Migrate(context.Background(), 100, ha.QEMU, "n1", false),
	} {
		if err == nil {
			t.Error("accepted")
		}
	}
	if len(f.asked) > 0 {
		t.Errorf("asked %q", f.asked)
	}
}

// Stopping a stopped VM is accepted, and its task ends OK.
func TestStoppingTheStoppedIsSuccess(t *testing.T) {
	const upid = "UPID:n1:000001F9:00083FA0:6B0212E8:qmstop:100:bascule@pve!n1:"
	f := newFakePVE(t).on("POST /nodes/n1/qemu/100/status/stop", ok(`"`+upid+`"`)).on("GET /nodes/n1/tasks/"+upid+"/status", ended("OK"))
	if err := f.driver(t, newTree(nil)).Stop(context.Background(), 100, ha.QEMU); err != nil {
		t.Fatal(err)
	}
}

// Without quorum PVE says so in several ways, at once or in the task. All are that, and no failure of the guest.
func TestNoQuorumInAllItsWords(t *testing.T) {
	for _, words := range []string{
		"cluster not ready - no quorum?",
		"cfs-lock 'file-user_cfg' error: no quorum!",
		"unable to open file '/etc/pve/nodes/n1/qemu-server/100.conf.tmp.202' - Permission denied",
	} {
		at := newFakePVE(t).on("POST /nodes/n1/qemu/100/status/start", fails(words))
		if err := at.driver(t, newTree(nil)).Start(context.Background(), 100, ha.QEMU); !errors.Is(err, ErrNoQuorum) || errors.Is(err, ErrStillRunning) {
			t.Errorf("%s, at once: got %v", words, err)
		}
		if err := starting(t, ended(words)).driver(t, newTree(nil)).Start(context.Background(), 100, ha.QEMU); !errors.Is(err, ErrNoQuorum) {
			t.Errorf("%s, in the task: got %v", words, err)
		}
	}
	err := starting(t, ended("unable to open file '/srv/x' - Permission denied")).driver(t, newTree(nil)).Start(context.Background(), 100, ha.QEMU)
	if err == nil || errors.Is(err, ErrNoQuorum) {
		t.Errorf("a file elsewhere: got %v", err)
	}
}
