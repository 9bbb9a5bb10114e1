package proxmox

import (
	"context"
	"errors"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/waittest"
)

// The tests of docs/lies.md that go through the whole driver. Those of one call stand with that call's tests.

// everyCall calls each method that asks Proxmox something, about VM 100 of n1. A method that is missing here fails TestNothingThatLiesIsAsked.
var everyCall = map[string]func(context.Context, *Driver) error{
	"CheckPrivileges": func(ctx context.Context, d *Driver) error { return d.CheckPrivileges(ctx) },
	"Claim":           func(ctx context.Context, d *Driver) error { _, err := d.Claim(ctx, 101, ha.QEMU, "n2"); return err },
	"ClearLock":       func(ctx context.Context, d *Driver) error { _, err := d.ClearLock(ctx, 100, ha.QEMU); return err },
	"ConfigAt":        func(ctx context.Context, d *Driver) error { _, err := d.ConfigAt(ctx, 100, ha.QEMU); return err },
	"Inventory":       func(ctx context.Context, d *Driver) error { _, err := d.Inventory(ctx); return err },
	"Members":         func(ctx context.Context, d *Driver) error { _, err := d.Members(ctx); return err },
	"Migrate":         func(ctx context.Context, d *Driver) error { return d.Migrate(ctx, 100, ha.QEMU, "n2", true) },
	"Running":         func(ctx context.Context, d *Driver) error { _, err := d.Running(ctx, 100, ha.QEMU); return err },
	"SetOnboot": func(ctx context.Context, d *Driver) error {
		_, err := d.SetOnboot(ctx, 100, ha.QEMU, false)
		return err
	},
	"Shutdown": func(ctx context.Context, d *Driver) error { return d.Shutdown(ctx, 100, ha.QEMU, time.Second) },
	"Start":    func(ctx context.Context, d *Driver) error { return d.Start(ctx, 100, ha.QEMU) },
	"Stop":     func(ctx context.Context, d *Driver) error { return d.Stop(ctx, 100, ha.QEMU) },
	"StopCause": func(ctx context.Context, d *Driver) error {
		_, err := d.StopCause(ctx, 100, time.Unix(0, 0))
		return err
	},
	"Volumes": func(ctx context.Context, d *Driver) error { _, err := d.Volumes(ctx, 100, ha.QEMU); return err },
	"StoragesActive": func(ctx context.Context, d *Driver) error {
		_, err := d.StoragesActive(ctx, []string{"shared"})
		return err
	},
	"Version": func(ctx context.Context, d *Driver) error { _, err := d.Version(ctx); return err },
}

// silent are the methods that ask nothing.
var silent = []string{"Close", "String", "GoString"}

// askable are the requests whose answers can be believed: about this node, from this node.
var askable = regexp.MustCompile(`^(GET /access/permissions|GET /nodes/n1/(status|storage|qemu|lxc)|GET /nodes/n1/tasks\?source=\S+|` +
	`GET /nodes/n1/tasks/UPID:n1:[^/]+/(status|log\?\S+)|GET /nodes/n1/(qemu|lxc)/\d+/status/current|` +
	`POST /nodes/n1/(qemu|lxc)/\d+/(status/(start|stop|shutdown)|migrate)( .*)?)$`)

// lyingTree has a guest of this node with a lock that is left over, one of the dead node n2, and a disk on shared storage.
func lyingTree() *fakeTree {
	return newTree(map[string]string{conf100: "name: web1\nlock: backup\nonboot: 1\nscsi0: shared:100/a.raw\n", dead101: "name: dead\n",
		".version": `{"vmlist":3}`, "nodes/n1": "", "nodes/n2": ""})
}

// lyingPVE answers every question: those that can be believed with the truth (VM 100 is stopped, its tasks end badly), the others with
// what Proxmox shows for minutes after a death: all is well.
func lyingPVE(t *testing.T) *fakePVE {
	const running = `[{"id":"qemu/100","vmid":100,"node":"n1","type":"qemu","status":"running"},{"id":"storage/n2/shared","type":"storage","status":"available"}]`
	f := newFakePVE(t).
		on("GET /cluster/resources", ok(running)).on("GET /cluster/tasks", ok("[]")).on("GET /nodes", ok(`[{"node":"n2","status":"online"}]`)).
		on("GET /cluster/status", ok(`[{"type":"node","name":"n2","online":1}]`)).
		on("GET /nodes/n1/qemu/100/migrate", ok(`{"allowed_nodes":["n2"],"running":0}`)).
		on("GET /nodes/n1/qemu/100/config", ok(`{"name":"web1"}`)).
		on("GET /nodes/n2/qemu/101/config", ok(`{"name":"dead"}`)).
		on("GET /nodes/n1/tasks", ok("[]")).
		on("GET /nodes/n1/status", ok(nodeStatus)).on("GET /nodes/n1/storage", ok(storageList)).
		on("GET /nodes/n1/qemu", ok(running)).on("GET /nodes/n1/lxc", ok("[]")).
		on("GET /nodes/n1/qemu/100/status/current", ok(`{"status":"stopped","vmid":100}`))
	for action, kind := range map[string]string{"status/start": "qmstart", "status/stop": "qmstop", "status/shutdown": "qmshutdown", "migrate": "qmigrate"} {
		upid := "UPID:n1:000001A3:0008207C:6B021298:" + kind + ":100:bascule@pve!n1:"
		f.on("POST /nodes/n1/qemu/100/"+action, ok(`"`+upid+`"`)).
			on("GET /nodes/n1/tasks/"+upid+"/status", ended("it failed")).on("GET /nodes/n1/tasks/"+upid+"/log", ok("[]"))
	}
	return f
}

// /cluster/resources is stale for five minutes, migrate's preconditions list dead nodes, the tasks' default source leaves out those that
// run, another node's API hangs when that node is dead: nothing of it is asked, by no method.
func TestNothingThatLiesIsAsked(t *testing.T) {
	methods := reflect.TypeFor[*Driver]()
	for i := range methods.NumMethod() {
		name := methods.Method(i).Name
		call, listed := everyCall[name]
		if !listed {
			if !slices.Contains(silent, name) {
				t.Errorf("%s is in neither list of this test: add it", name)
			}
			continue
		}
		f := lyingPVE(t)
		err := call(context.Background(), f.driver(t, lyingTree(), func(c *Config) { c.Protect.All = true }))
		var task *TaskError
		if err != nil && !errors.As(err, &task) {
			t.Errorf("%s: %v", name, err)
		}
		for _, line := range f.asked {
			if !askable.MatchString(line) {
				t.Errorf("%s asked %q", name, line)
			}
		}
	}
}

// Right after a config's rename every list says that the guest runs here; it does not.
func TestStaleListsMakeNothingRun(t *testing.T) {
	d := lyingPVE(t).driver(t, lyingTree(), func(c *Config) { c.Protect.VMIDs = []ha.VMID{100} })
	if running, err := d.Running(context.Background(), 100, ha.QEMU); running || err != nil {
		t.Errorf("Running: %t, %v", running, err)
	}
	inv, err := d.Inventory(context.Background())
	if err != nil || len(inv.Guests) != 1 || inv.Guests[0].Running {
		t.Errorf("Inventory: %+v, %v", inv.Guests, err)
	}
}

// needsAPI are the methods that cannot do without the API.
var needsAPI = []string{"CheckPrivileges", "ClearLock", "Inventory", "Migrate", "Running", "Shutdown", "Start", "Stop", "StopCause", "StoragesActive"}

// A dead proxy target answers after 3 to 30 s, or never: each call ends at its own deadline, and a command's end is then open.
func TestEveryMethodEndsAtItsDeadline(t *testing.T) {
	for name, call := range everyCall {
		limit := 100 * time.Millisecond
		if !slices.Contains(needsAPI, name) {
			limit = waittest.Hang
		}
		f := newFakePVE(t).on("GET /access/permissions", answer{hang: true})
		for _, path := range []string{"status", "storage", "tasks", "qemu", "lxc", "qemu/100/status/current"} {
			f.on("GET /nodes/n1/"+path, answer{hang: true})
		}
		for _, action := range []string{"status/start", "status/stop", "status/shutdown", "migrate"} {
			f.on("POST /nodes/n1/qemu/100/"+action, answer{hang: true})
		}
		d := f.driver(t, lyingTree(), func(c *Config) { c.CallTimeout, c.Protect.All = limit, true })
		err := call(context.Background(), d)
		switch {
		case !slices.Contains(needsAPI, name):
			if err != nil || len(f.asked) > 0 {
				t.Errorf("%s needs no API: %v, asked %q", name, err, f.asked)
			}
		case f.count("POST") > 0 && !errors.Is(err, ErrStillRunning), !errors.Is(err, ErrNoAnswer), !errors.Is(err, ha.ErrTryAgain):
			t.Errorf("%s: got %v, asked %q", name, err, f.asked)
		}
	}
}

// Codes that the client library takes for success are errors for every method, with an empty body as PVE sends it.
func TestNoMethodTakesADeadProxysAnswerForSuccess(t *testing.T) {
	for _, code := range []int{404, 503, 595, 596, 597, 599} {
		for _, name := range needsAPI {
			f := lyingPVE(t)
			f.all = &answer{code: code, reason: "x"}
			if err := everyCall[name](context.Background(), f.driver(t, lyingTree())); err == nil {
				t.Errorf("%s: %d was a success", name, code)
			}
			if f.count("POST") > 1 {
				t.Errorf("%s: sent %q", name, f.asked)
			}
		}
	}
}

// An answer that is cut off, empty, null or not JSON is none, and leaves a command's end open.
func TestNonsenseIsNoAnswer(t *testing.T) {
	for what, a := range map[string]answer{
		"cut off":   {code: 200, reason: "OK", body: `{"data":{"status":"run`, cut: 40},
		"empty":     {code: 200, reason: "OK"},
		"null":      ok("null"),
		"a page":    {code: 200, reason: "OK", body: "<html>please log in</html>"},
		"no data":   {code: 200, reason: "OK", body: `{"success":0,"message":"no"}`},
		"wrong":     ok(`[[1]]`),
		"true":      ok(`true`),
		"half JSON": {code: 200, reason: "OK", body: `{"data":{"status":"running"`},
	} {
		f := newFakePVE(t)
		f.all = &a
		d := f.driver(t, newTree(nil))
		if running, err := d.Running(context.Background(), 100, ha.QEMU); running || !errors.Is(err, ErrNoAnswer) {
			t.Errorf("%s: Running is %t, %v", what, running, err)
		}
		if inactive, err := d.StoragesActive(context.Background(), []string{"shared"}); !errors.Is(err, ErrNoAnswer) {
			t.Errorf("%s: StoragesActive is %q, %v", what, inactive, err)
		}
		if err := d.Start(context.Background(), 100, ha.QEMU); !errors.Is(err, ErrStillRunning) {
			t.Errorf("%s: Start is %v", what, err)
		}
		if n := f.count("POST"); n != 1 {
			t.Errorf("%s: sent %d times", what, n)
		}
	}
}

// A redirect would make the client send the POST again.
func TestRedirectIsNotFollowed(t *testing.T) {
	for _, code := range []int{301, 302, 307, 308} {
		f := newFakePVE(t).on("POST /nodes/n1/qemu/100/status/start", answer{code: code, reason: "Moved\r\nLocation: /api2/json/nodes/n1/qemu/100/status/start"})
		err := f.driver(t, newTree(nil)).Start(context.Background(), 100, ha.QEMU)
		var status *StatusError
		if !errors.As(err, &status) || status.Code != code || f.count("POST") != 1 || f.count("GET") != 0 {
			t.Errorf("%d: got %v, sent %q", code, err, strings.Join(f.asked, "; "))
		}
	}
}
