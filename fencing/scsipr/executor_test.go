package scsipr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/fencing/fencingtest"
	"bascule/fencing/scsipr/scsitest"
	"bascule/ha"
	"bascule/ha/waittest"
)

// Through the executor and the child process, to a target over iSCSI.
func TestThroughTheExecutor(t *testing.T) {
	d := array("x")
	target := (&scsitest.Target{Disks: []*scsitest.Disk{d}}).Serve(t)
	a, b := newNode(t, "node1", target.URL(0)), newNode(t, "node2", target.URL(0))
	a.mustRegister()
	b.mustRegister()
	spec := fencing.Spec{Name: "san", Node: "node2", Method: "scsi-pr", Settings: a.settings}
	e, err := fencing.NewExecutor([]fencing.Spec{spec}, fencing.Methods{Method}, fencingtest.Child().Switch, fencing.BootNow)
	if err != nil {
		t.Fatal(err)
	}
	do := func(a ha.DeviceAction) ha.DeviceReading {
		cmd := ha.DeviceCommand{Device: "san", Node: "node2", Incarnation: b.boot, Action: a, Clients: b.clients(), Timeout: 40 * time.Second}
		if a != ha.DeviceRead {
			cmd.Deadline = fencing.BootNow().Add(2 * time.Minute)
		}
		return e.Do(context.Background(), cmd)
	}
	want := func(access ha.StorageAccess) {
		t.Helper()
		if r := do(ha.DeviceRead); r.Problem != "" || len(r.Storages) != 1 || r.Storages[0].Access != access {
			t.Fatalf("%+v, want %s", r, access)
		}
	}
	want(ha.AccessOpen)
	if r := do(ha.DeviceRevoke); r.Problem != "" {
		t.Fatal(r.Problem)
	}
	want(ha.AccessRevoked)
	target.Stop()
	if r := do(ha.DeviceRead); !strings.Contains(r.Problem, fencing.ErrUnreachable.Error()) || len(r.Storages) != 0 {
		t.Fatalf("%+v", r)
	}
	if r := do(ha.DeviceRevoke); !strings.Contains(r.Problem, "Next: ") {
		t.Fatalf("%+v", r)
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	d := array("x")
	target := (&scsitest.Target{Disks: []*scsitest.Disk{d}}).Serve(t)
	a, b := newNode(t, "node1", target.URL(0)), newNode(t, "node2", target.URL(0))
	a.mustRegister()
	b.mustRegister()
	d.Break(scsitest.Hangs)
	before := runtime.NumGoroutine()
	for range 5 {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		_, err := a.device().Read(ctx, b.clients())
		fails(t, err, fencing.ErrTimeout, "iscsi://")
		fails(t, a.device().Revoke(ctx, b.clients()), fencing.ErrTimeout, "")
		cancel()
	}
	cancelled, cancel := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	if err := a.device().Revoke(cancelled, b.clients()); !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
	goroutines := 0
	waittest.Until(t, waittest.Hang, "no connection and no goroutine is left", func() bool {
		goroutines = runtime.NumGoroutine()
		return target.Open() == 0 && goroutines <= before
	}, &goroutines, &before)
	if left, err := os.ReadDir("/proc/self/task"); err != nil || len(left) > 200 {
		t.Fatalf("%d threads, %v", len(left), err)
	}
}

// The number of this node's registrations does not grow on a target that binds them to a session.
func TestTargetThatForgetsSessions(t *testing.T) {
	d := array("x")
	target := (&scsitest.Target{Disks: []*scsitest.Disk{d}, Forget: true}).Serve(t)
	a := newNode(t, "node1", target.URL(0))
	a.mustRegister()
	a.mustRegister()
	for i := range 3 {
		b := newNode(t, ha.NodeName(fmt.Sprintf("victim%d", i)), target.URL(0))
		b.mustRegister()
		a.wants(b, ha.AccessOpen)
		a.fence(b)
		a.wants(b, ha.AccessRevoked)
	}
	if len(d.Keys()) != 1 {
		t.Fatalf("left %v", d.Keys())
	}
	c := newNode(t, "node3", target.URL(0))
	c.mustRegister()
	c.fence(a) // the holder: the path that took the reservation over has to stay
	if typ, key := d.Reservation(); typ != 5 || Key(key) != c.key() {
		t.Fatalf("reservation %d by %x", typ, key)
	}
	c.wants(a, ha.AccessRevoked)
}

// A target ends a session when another one logs in from the same port: this node's own commands must not do that to each other.
func TestSideBySide(t *testing.T) {
	target := (&scsitest.Target{Disks: []*scsitest.Disk{array("x"), array("y")}}).Serve(t)
	luns := target.URL(0) + "," + target.URL(1)
	a := newNode(t, "node1", luns)
	a.mustRegister()
	var all sync.WaitGroup
	for i := range 6 {
		b := newNode(t, ha.NodeName(fmt.Sprintf("victim%d", i)), luns)
		b.mustRegister()
		all.Go(func() {
			a.wants(b, ha.AccessOpen)
			a.fence(b)
			a.wants(b, ha.AccessRevoked)
		})
	}
	all.Go(a.mustRegister)
	all.Wait()
}
