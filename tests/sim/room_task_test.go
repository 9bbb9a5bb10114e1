package sim

import (
	"strings"
	"testing"
	"time"

	"bascule/ha"
)

func TestAWorkerGoesOnAfterItsCallersDeath(t *testing.T) {
	r := newRoom(t, 11, 3, "", stopped(vm(101)))
	p, c := r.pve("n1")
	a, done := r.answer()
	started := ""
	r.OnStart = func(host string, _ ha.Incarnation, id ha.VMID) { started = host }
	c.Start(101, ha.QEMU, done)
	r.run(60 * time.Millisecond)
	p.Kill()
	r.run(2 * time.Second)
	r.wantWriters(101, "n1 ")
	if a.n != 0 || started != "n1" {
		t.Errorf("the dead caller heard %d answers; OnStart %q", a.n, started)
	}
}

func TestStartsAndTheirRefusals(t *testing.T) {
	only := stopped(vm(104))
	only.OnlyOn = "n2"
	fails := stopped(vm(105))
	fails.FailStarts = 1
	none := stopped(vm(106))
	none.NoConfig = true
	r := newRoom(t, 12, 3, "", vm(101), stopped(vm(102)), stopped(vm(103)), only, fails, none)
	_, c := r.pve("n1")
	start := func(id ha.VMID) string {
		t.Helper()
		a, done := r.answer()
		c.Start(id, ha.QEMU, done)
		if err := r.wait(a, time.Minute); err != nil {
			return err.Error()
		}
		return ""
	}
	want := func(id ha.VMID, words, writers string) {
		t.Helper()
		if got := start(id); words == "" && got != "" || !strings.Contains(got, words) {
			t.Errorf("start %d: %q, want %q", id, got, words)
		}
		r.wantWriters(id, writers)
	}
	want(101, "", "n1 ") // it runs already
	r.SetLock(102, "migrate")
	want(102, "is locked (migrate)", "")
	r.SetLock(102, "")
	r.net.Cut(NetStorage, "n1", "*", true)
	want(102, "storage 'ceph' is not online", "")
	r.net.Cut(NetStorage, "n1", "*", false)
	want(102, "", "n1 ")
	r.LieStart("n1", 1)
	want(103, "", "") // accepted, ended well, not running
	want(103, "", "n1 ")
	want(104, "only on n2", "")
	want(105, "exited with code 1", "")
	r.FailStart("n1", 105, 1)
	want(105, "exited with code 1", "")
	want(105, "", "n1 ")
	want(106, "does not exist", "")
}

func TestAHungTaskHoldsTheGuestAndAKilledOneEnds(t *testing.T) {
	r := newRoom(t, 13, 3, "", stopped(vm(101)))
	_, c := r.pve("n1")
	r.HangTask("n1", 40*time.Second)
	a, done := r.answer()
	c.Start(101, ha.QEMU, done)
	r.run(10 * time.Second)
	found, err := c.Find([]ha.GuestRef{{ID: 101, Kind: ha.QEMU}})
	if err != nil || len(found) != 1 || found[0].What != "worker" || a.n != 0 {
		t.Fatalf("found %+v, %v; answers %d", found, err, a.n)
	}
	if err := c.Kill(found[0].PID); err != nil {
		t.Fatal(err)
	}
	if err := r.wait(a, 5*time.Second); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("killed worker: %v", err)
	}
	r.run(time.Minute)
	r.wantWriters(101, "")
}

func TestStopsAndTheirCauses(t *testing.T) {
	hard := vm(102)
	hard.NeverStops = true
	r := newRoom(t, 14, 3, "", vm(101), hard, vm(103), vm(104))
	_, c := r.pve("n1")
	cause := func(id ha.VMID) (got ha.StopCause) {
		c.StopCause(id, 10*time.Minute, func(s ha.StopCause, _ string, err error) { got = s })
		r.run(time.Second)
		return got
	}
	r.QmStop("n1", 101)
	r.run(3 * time.Second)
	r.wantWriters(101, "")
	if got := cause(101); got != ha.CauseUser {
		t.Errorf("a user's stop: %s", got)
	}
	a, done := r.answer()
	c.Stop(102, ha.QEMU, done)
	if err := r.wait(a, time.Minute); err == nil {
		t.Error("a process that cannot end was stopped")
	}
	r.wantWriters(102, "n1 ")
	r.CrashGuest(103)
	r.run(time.Second)
	r.wantWriters(103, "")
	if got := cause(103); got != ha.CauseNone {
		t.Errorf("a crash: %s", got)
	}
	b, done := r.answer()
	c.Migrate(104, ha.QEMU, "n2", true, done)
	if err := r.wait(b, time.Minute); err != nil {
		t.Fatal(err)
	}
	if got := cause(104); got != ha.CausePassing {
		t.Errorf("a migration: %s", got)
	}
}

func TestPeopleAtProxmox(t *testing.T) {
	r := newRoom(t, 15, 3, "", vm(101), stopped(vm(102)))
	r.ManualMove(101, "n2")
	r.wantWriters(101, "n2 ")
	if r.ConfigNode(101) != "n2" {
		t.Error("the config stayed")
	}
	r.QmStart("n1", 102)
	r.run(2 * time.Second)
	r.wantWriters(102, "n1 ")
	r.SetProtected(102, false)
	_, c := r.pve("n1")
	var seen ha.Inventory
	c.Inventory(func(inv ha.Inventory, err error) { seen = inv })
	r.run(time.Second)
	if len(seen.Guests) != 1 || seen.Guests[0].Protected || !seen.Guests[0].Running || len(seen.Storages) != 2 {
		t.Errorf("inventory %+v", seen)
	}
	r.Destroy(102)
	r.run(time.Second)
	r.wantWriters(102, "")
	if r.ConfigNode(102) != "" {
		t.Error("its config stayed")
	}
}

func TestAnUnreachableStorageShowsAfterAWhile(t *testing.T) {
	r := newRoom(t, 16, 3, "")
	_, c := r.pve("n1")
	r.net.Cut(NetStorage, "n1", "disk:ceph", true)
	active := func() (got bool) {
		c.Inventory(func(inv ha.Inventory, err error) { got = inv.Storages[0].Active })
		r.run(100 * time.Millisecond)
		return got
	}
	if !active() {
		t.Error("Proxmox cannot know so soon")
	}
	r.run(11 * time.Second)
	if active() {
		t.Error("still shown as active")
	}
	var inactive []string
	a, done := r.answer()
	c.StoragesActive([]string{"ceph", "local"}, func(names []string, err error) { inactive = names; done(err) })
	if err := r.wait(a, 11*time.Second); err != nil || len(inactive) != 1 || inactive[0] != "ceph" {
		t.Errorf("inactive %v, %v", inactive, err)
	}
}

func TestOnlyLeftoverLocksAreCleared(t *testing.T) {
	r := newRoom(t, 17, 3, "", stopped(vm(101)))
	_, c := r.pve("n1")
	clear := func() (lock string, err error) {
		a, done := r.answer()
		c.ClearLock(101, ha.QEMU, func(l string, e error) { lock = l; done(e) })
		return lock, r.wait(a, time.Second)
	}
	r.SetLock(101, "create")
	if _, err := clear(); err == nil {
		t.Error("create was cleared")
	}
	r.SetLock(101, "backup")
	if _, err := clear(); err != nil || r.tree.files[101].lock != "" {
		t.Errorf("backup: %v, lock %q", err, r.tree.files[101].lock)
	}
}
