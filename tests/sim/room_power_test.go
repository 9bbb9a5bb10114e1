package sim

import (
	"testing"
	"time"

	"bascule/ha"
)

func TestWritersAreThePhysicalTruth(t *testing.T) {
	r := newRoom(t, 1, 3, dogHW)
	h := r.Host("n1")
	r.wantWriters(101, "n1 ")
	h.Freeze(true)
	r.run(time.Second)
	r.wantWriters(101, "n1 ") // it goes on when the host does
	if r.Progress(101) {
		t.Error("a frozen host's guest makes progress")
	}
	h.Freeze(false)
	if !r.Progress(101) {
		t.Error("no progress after the freeze")
	}
	h.Suspend(5 * time.Second)
	r.wantWriters(101, "n1 ")
	r.run(6 * time.Second)
	if h.Frozen() || !r.Progress(101) {
		t.Error("not awake after the suspension")
	}
	r.Disk("ceph").Revoke(h.Inc())
	r.wantWriters(101, "")
	r.Disk("ceph").Unrevoke(h.Inc())
	r.wantWriters(101, "n1 ")
	r.net.Cut(NetStorage, "n1", "disk:ceph", true)
	r.wantWriters(101, "n1 ") // hung I/O may come through later
	if r.Progress(101) {
		t.Error("progress without the storage")
	}
	h.Crash()
	r.wantWriters(101, "")
	if !h.On() || h.Booted() {
		t.Error("a crashed host is on and runs nothing")
	}
}

func TestPowerResetAndNewBoots(t *testing.T) {
	r := newRoom(t, 2, 3, "")
	h := r.Host("n1")
	var offs, resets []string
	boots := 0
	r.OnPowerOff = func(host, by string) { offs = append(offs, host+" "+by) }
	r.OnReset = func(host, why string) { resets = append(resets, host+" "+why) }
	h.OnBoot = func(*Host) { boots++ }
	p := h.NewProc("agent")
	inc := h.Inc()
	h.Power(false)
	r.wantWriters(101, "")
	if h.Inc() != "" || p.Alive() || len(offs) != 1 || offs[0] != "n1 mains" {
		t.Fatalf("after the power cut: inc %q, process %v, hook %q", h.Inc(), p.Alive(), offs)
	}
	r.run(time.Minute)
	h.Power(true)
	r.run(19 * time.Second)
	if h.Booted() {
		t.Fatal("booted before BootTime")
	}
	r.run(2 * time.Second)
	second := h.Inc()
	if second == "" || second == inc || boots != 1 {
		t.Fatalf("boot: %q after %q, OnBoot %d times", second, inc, boots)
	}
	h.Freeze(true)
	h.Reset("button")
	r.run(21 * time.Second)
	h.Freeze(false) // the freeze was the last boot's
	if h.Inc() == second || !h.Runs() || len(resets) != 1 || resets[0] != "n1 button" || boots != 2 {
		t.Errorf("reset: inc %q, runs %v, hook %q, boots %d", h.Inc(), h.Runs(), resets, boots)
	}
	r.wantWriters(101, "") // nobody started it
}

func TestOnbootGuestsAreStartedByProxmoxItself(t *testing.T) {
	onboot := vm(101)
	onboot.Onboot = true
	quiet := vm(102)
	for _, c := range []struct {
		name  string
		alone bool // the node that boots has no quorum
		check bool
		want  string
	}{{"with quorum", false, false, "n1 "}, {"without quorum", true, false, ""}, {"boot check", false, true, ""}} {
		t.Run(c.name, func(t *testing.T) {
			r := newRoom(t, 3, 3, "", onboot, quiet)
			r.BootCheck = c.check
			if c.alone {
				r.cutOff("n1", true)
				r.net.Cut(NetStorage, "n1", "*", false)
				r.net.Cut(NetStorage, "*", "n1", false)
			}
			r.Host("n1").Reset("test")
			r.run(22 * time.Second)
			r.wantWriters(101, "")
			r.run(90 * time.Second)
			r.wantWriters(101, c.want)
			r.wantWriters(102, "")
		})
	}
}

func TestAKilledProcessWhoseStorageHangsStays(t *testing.T) {
	r := newRoom(t, 4, 3, "")
	h := r.Host("n1")
	gone := 0
	r.OnKilled = func(string, ha.VMID, string) { gone++ }
	r.net.Cut(NetStorage, "*", "disk:ceph", true)
	if err := h.Kill(r.Writers(101)[0].Process.PID); err != nil {
		t.Fatal(err)
	}
	r.run(30 * time.Second)
	r.wantWriters(101, "n1 ")
	r.net.Cut(NetStorage, "*", "disk:ceph", false)
	r.run(time.Second)
	r.wantWriters(101, "")
	if gone != 1 {
		t.Errorf("OnKilled called %d times", gone)
	}
}
