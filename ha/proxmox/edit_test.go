package proxmox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bascule/ha"
)

const locked = "#first line\n#lock: backup\nboot: order=scsi0\nlock: %s\nname: web1\n\n[snap]\nlock: keep\nmemory: 64\n"

func conf(name string) map[string]string { return map[string]string{conf100: name} }

func idle(t *testing.T) *fakePVE { return newFakePVE(t).on("GET /nodes/n1/tasks", ok("[]")) }

func TestClearLockRemovesOnlyThatLine(t *testing.T) {
	for _, lock := range removableLocks {
		tree := newTree(conf(fmt.Sprintf(locked, lock)))
		got, err := idle(t).driver(t, tree).ClearLock(context.Background(), 100, ha.QEMU)
		if err != nil || got != lock {
			t.Fatalf("%s: got %q, %v", lock, got, err)
		}
		want := strings.Replace(fmt.Sprintf(locked, lock), "lock: "+lock+"\n", "", 1)
		if lock == "backup" {
			want = "#first line\n#lock: backup\nboot: order=scsi0\nname: web1\n\n[snap]\nlock: keep\nmemory: 64\n"
		}
		if data, _ := tree.get(conf100); data != want {
			t.Errorf("%s: left %q", lock, data)
		}
	}
}

func TestLocksThatStay(t *testing.T) {
	for _, lock := range []string{"create", "disk", "destroyed", "unheard-of"} {
		tree := newTree(conf(fmt.Sprintf(locked, lock)))
		got, err := idle(t).driver(t, tree).ClearLock(context.Background(), 100, ha.QEMU)
		if !errors.Is(err, ErrLocked) || got != lock || !strings.Contains(err.Error(), "qm unlock 100") {
			t.Errorf("%s: got %q, %v", lock, got, err)
		}
		if data, _ := tree.get(conf100); data != fmt.Sprintf(locked, lock) {
			t.Errorf("%s: the config was changed", lock)
		}
	}
}

func TestNothingIsWrittenWithoutNeed(t *testing.T) {
	for _, data := range []string{"name: web1\n", "lock: suspended\nvmstate: shared:vm-100-state\n", "lock:\n"} {
		tree := newTree(conf(data)).fail("write", conf100, syscall.EIO)
		got, err := idle(t).driver(t, tree).ClearLock(context.Background(), 100, ha.QEMU)
		if got != "" || err != nil {
			t.Errorf("%q: got %q, %v", data, got, err)
		}
	}
}

// Of two lines PVE goes by one; the other may be the one that must stay.
func TestOneLockThatStaysKeepsBoth(t *testing.T) {
	const text = "lock: create\nlock: backup\n"
	tree := newTree(conf(text))
	if got, err := idle(t).driver(t, tree).ClearLock(context.Background(), 100, ha.QEMU); !errors.Is(err, ErrLocked) || got != "create" {
		t.Errorf("got %q, %v, want ErrLocked", got, err)
	}
	if data, _ := tree.get(conf100); data != text {
		t.Errorf("left %q", data)
	}
}

// A lock that a running worker of this guest holds is no leftover.
func TestLockOfARunningWorkerStays(t *testing.T) {
	tree := newTree(conf(fmt.Sprintf(locked, "backup")))
	f := newFakePVE(t).on("GET /nodes/n1/tasks?source=active&vmid=100",
		ok(`[{"upid":"UPID:n1:0:0:0:vzdump:100:root@pam:","type":"vzdump","id":"100","status":"RUNNING","saved":"0"}]`))
	if _, err := f.driver(t, tree).ClearLock(context.Background(), 100, ha.QEMU); !errors.Is(err, ErrLocked) {
		t.Fatalf("got %v, want ErrLocked", err)
	}
	if data, _ := tree.get(conf100); data != fmt.Sprintf(locked, "backup") {
		t.Error("the lock was removed")
	}
}

func TestOnlyTheOwnDirectoryIsEdited(t *testing.T) {
	tree := newTree(map[string]string{"nodes/n2/qemu-server/100.conf": "lock: backup\n"})
	d := idle(t).driver(t, tree)
	_, err1 := d.ClearLock(context.Background(), 100, ha.QEMU)
	_, err2 := d.SetOnboot(context.Background(), 100, ha.QEMU, true)
	if !errors.Is(err1, ErrConfigGone) || !errors.Is(err2, ErrConfigGone) {
		t.Errorf("got %v and %v, want ErrConfigGone", err1, err2)
	}
}

func TestEditWithoutQuorum(t *testing.T) {
	tree := newTree(conf("onboot: 1\n")).fail("write", conf100, syscall.EACCES)
	if _, err := idle(t).driver(t, tree).SetOnboot(context.Background(), 100, ha.QEMU, false); !errors.Is(err, ErrNoQuorum) {
		t.Errorf("got %v, want ErrNoQuorum", err)
	}
	tree = newTree(conf("onboot: 1\n")).fail("write", conf100, syscall.EEXIST)
	if _, err := idle(t).driver(t, tree).SetOnboot(context.Background(), 100, ha.QEMU, false); !errors.Is(err, ErrConfigElsewhere) {
		t.Errorf("got %v, want ErrConfigElsewhere", err)
	}
}

func TestSetOnboot(t *testing.T) {
	for _, c := range []struct {
		before, after string
		old, on       bool
	}{
		{"name: a\nonboot: 1\nstartup: 1\n", "name: a\nonboot: 0\nstartup: 1\n", true, false},
		{"name: a\nonboot: 0\n", "name: a\nonboot: 1\n", false, true},
		{"name: a\n\n[sn]\nonboot: 1\n", "name: a\nonboot: 1\n\n[sn]\nonboot: 1\n", false, true},
		{"name: a\n[sn]\nonboot: 1\n", "name: a\n[sn]\nonboot: 1\n", false, false},
		{"name: a", "name: a\nonboot: 1", false, true},
		{"[PENDING]\nonboot: 1\n", "onboot: 1\n[PENDING]\nonboot: 1\n", false, true},
		{"name: a\r\nonboot: 1\r\n", "name: a\r\nonboot: 0\r\n", true, false},
		{"onboot: 1\nonboot: maybe\n", "onboot: 1\nonboot: 0\n", true, false}, // PVE would read 1
		{"[s]\nonboot: 1\n", "[s]\nonboot: 0\n", true, false},                 // no snapshot has so short a name
	} {
		tree := newTree(conf(c.before))
		old, err := idle(t).driver(t, tree).SetOnboot(context.Background(), 100, ha.QEMU, c.on)
		data, _ := tree.get(conf100)
		if err != nil || old != c.old || data != c.after {
			t.Errorf("%q: got %t, %q, %v", c.before, old, data, err)
		}
	}
}

// The flock that PVE takes around every change of a config is taken too, and waited for within bounds.
func TestPVEsOwnLockIsRespected(t *testing.T) {
	for kind, c := range map[ha.GuestKind]struct{ config, lock string }{
		ha.QEMU: {conf100, "var/lock/qemu-server/lock-100.conf"},
		ha.LXC:  {"nodes/n1/lxc/100.conf", "run/lock/lxc/pve-config-100.lock"},
	} {
		tree := newTree(map[string]string{c.config: "onboot: 1\n"})
		waits := 0
		var holder *os.File
		d := idle(t).driver(t, tree, func(cfg *Config) {
			holder = hold(t, filepath.Join(cfg.HostRoot, c.lock))
			cfg.Sleep = func(context.Context, time.Duration) error { waits++; return nil }
		})
		if _, err := d.SetOnboot(context.Background(), 100, kind, false); !errors.Is(err, ErrBusy) {
			t.Fatalf("%s: got %v, want ErrBusy", kind, err)
		}
		if waits != lockAttempts {
			t.Errorf("%s: waited %d times", kind, waits)
		}
		if data, _ := tree.get(c.config); data != "onboot: 1\n" {
			t.Errorf("%s: written without the lock", kind)
		}
		_ = holder.Close()
		if _, err := d.SetOnboot(context.Background(), 100, kind, false); err != nil {
			t.Errorf("%s: after the holder has gone: %v", kind, err)
		}
	}
}

// hold takes a lock as PVE does.
func hold(t *testing.T, name string) *os.File {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		t.Fatal(err)
	}
	return f
}

// The lock is kept as long as a write that was left behind may still happen.
func TestLockOutlastsAPendingWrite(t *testing.T) {
	done := make(chan struct{})
	tree := newTree(conf("onboot: 1\n")).fail("write", conf100, &PendingError{Begun: true, Done: done, Err: context.Canceled})
	d := idle(t).driver(t, tree)
	if _, err := d.SetOnboot(context.Background(), 100, ha.QEMU, false); !errors.Is(err, ErrStillRunning) {
		t.Fatalf("got %v, want ErrStillRunning", err)
	}
	if _, err := d.SetOnboot(context.Background(), 100, ha.QEMU, false); !errors.Is(err, ErrBusy) {
		t.Fatalf("got %v, want ErrBusy while the write is pending", err)
	}
	close(done)
	d.sleep = realSleep
	if _, err := d.SetOnboot(context.Background(), 100, ha.QEMU, false); err != nil {
		t.Fatalf("after the write has ended: %v", err)
	}
}

// What pmxcfs refuses leaves the config as it was, and is told apart.
func TestRefusedWrites(t *testing.T) {
	for errno, want := range map[syscall.Errno]error{
		syscall.EACCES: ErrNoQuorum, syscall.EPERM: ErrNoQuorum, // afterwards; in flight
		syscall.EFBIG: syscall.EFBIG, syscall.EEXIST: ErrConfigElsewhere, syscall.ENOTCONN: syscall.ENOTCONN,
	} {
		tree := newTree(conf("onboot: 1\n")).fail("write", conf100, errno)
		_, err := idle(t).driver(t, tree).SetOnboot(context.Background(), 100, ha.QEMU, false)
		if !errors.Is(err, want) || errors.Is(err, ErrNoQuorum) != (want == ErrNoQuorum) {
			t.Errorf("%v: got %v", errno, err)
		}
		if data, _ := tree.get(conf100); data != "onboot: 1\n" {
			t.Errorf("%v: left %q", errno, data)
		}
	}
}

// A node that has just come back answers EBUSY in passing; when ctx ends first, nothing was done and it may be tried again.
func TestEditOutlastsEBUSY(t *testing.T) {
	tree := newTree(conf("onboot: 1\n")).fail("write", conf100, syscall.EBUSY, syscall.EBUSY)
	if _, err := idle(t).driver(t, tree).SetOnboot(context.Background(), 100, ha.QEMU, false); err != nil {
		t.Fatal(err)
	}
	if data, _ := tree.get(conf100); data != "onboot: 0\n" {
		t.Errorf("left %q", data)
	}
	ctx, cancel := context.WithCancel(context.Background())
	tree = newTree(conf("onboot: 1\n")).fail("write", conf100, syscall.EBUSY, syscall.EBUSY)
	tree.onCall = func(op, _ string) {
		if op == "write" {
			cancel()
		}
	}
	if _, err := idle(t).driver(t, tree).SetOnboot(ctx, 100, ha.QEMU, false); !errors.Is(err, syscall.EBUSY) || !errors.Is(err, ha.ErrTryAgain) {
		t.Errorf("got %v, want EBUSY and ErrTryAgain", err)
	}
}

// No token can remove a lock, and LXC knows no skiplock: the API is not even asked to.
func TestLocksAreNeverClearedThroughTheAPI(t *testing.T) {
	for kind, name := range map[ha.GuestKind]string{ha.QEMU: conf100, ha.LXC: "nodes/n1/lxc/100.conf"} {
		f, tree := idle(t), newTree(map[string]string{name: "lock: migrate\n"})
		if lock, err := f.driver(t, tree).ClearLock(context.Background(), 100, kind); err != nil || lock != "migrate" {
			t.Errorf("%s: got %q, %v", kind, lock, err)
		}
		if f.count("GET") != len(f.asked) {
			t.Errorf("%s: sent %q", kind, f.asked)
		}
		if data, _ := tree.get(name); data != "" {
			t.Errorf("%s: left %q", kind, data)
		}
	}
}
