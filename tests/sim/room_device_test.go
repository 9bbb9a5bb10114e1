package sim

import (
	"testing"
	"time"

	"bascule/ha"
)

// withBMC is a room in which n1 has a BMC, and a process on n2 that leads.
func withBMC(t *testing.T, seed uint64) (*room, *Device, *Proc) {
	r := newRoom(t, seed, 3, "")
	return r, r.AddDevice(DeviceSpec{Name: "bmc1", Node: "n1"}), r.Host("n2").NewProc("leader")
}

func (r *room) command(p *Proc, a ha.DeviceAction, timeout time.Duration) ha.DeviceCommand {
	return ha.DeviceCommand{Device: "bmc1", Node: "n1", Action: a, Timeout: timeout, Deadline: p.Clock().Now().Add(4 * time.Second)}
}

// do carries a command out and waits for its answer.
func (r *room) do(p *Proc, a ha.DeviceAction) ha.DeviceReading {
	r.Helper()
	return r.doIt(p, r.command(p, a, 3*time.Second))
}

func (r *room) doIt(p *Proc, c ha.DeviceCommand) ha.DeviceReading {
	r.Helper()
	var out ha.DeviceReading
	n := 0
	r.Do(p, "n2", c, func(got ha.DeviceReading) { out = got; n++ })
	r.await("an answer of the device", 6*time.Second, func() bool { return n > 0 })
	if n != 1 || out.Answered < out.Asked {
		r.Errorf("%d answers, %+v", n, out)
	}
	return out
}

func TestABMCSwitchesAndReads(t *testing.T) {
	r, _, p := withBMC(t, 70)
	if got := r.do(p, ha.DeviceRead); got.Power != ha.PowerOn || got.SystemUUID != "uuid-1" || got.Problem != "" {
		t.Fatalf("%+v", got)
	}
	by := ""
	r.OnPowerOff = func(host, who string) { by = host + " " + who }
	if got := r.do(p, ha.DeviceOff); got.Problem != "" || got.Power != ha.PowerUnknown {
		t.Fatalf("%+v", got)
	}
	r.run(2500 * time.Millisecond)
	if got := r.do(p, ha.DeviceRead); got.Power != ha.PowerOff || by != "n1 bmc1" {
		t.Fatalf("%+v, switched off: %q", got, by)
	}
	r.wantWriters(101, "")
	r.do(p, ha.DeviceOn)
	if got := r.do(p, ha.DeviceRead); got.Power != ha.PowerOn || !r.Host("n1").On() {
		t.Errorf("%+v", got)
	}
	if got := r.doIt(p, ha.DeviceCommand{Device: "bmc1", Node: "n2", Action: ha.DeviceRead, Timeout: time.Second}); got.Problem == "" {
		t.Error("a command for another node was sent")
	}
}

func TestABMCThatLiesOrHasItsHandsElsewhere(t *testing.T) {
	r, d, p := withBMC(t, 71)
	d.Lies(true)
	off := r.do(p, ha.DeviceOff)
	if got := r.do(p, ha.DeviceRead); got.Power != ha.PowerOff || off.Problem != "" || !r.Host("n1").On() {
		t.Errorf("a liar: %+v, really on: %v", got, r.Host("n1").On())
	}
	r.wantWriters(101, "n1 ")
	d.Lies(false)
	if got := r.do(p, ha.DeviceRead); got.Power != ha.PowerOn {
		t.Errorf("an honest one: %+v", got)
	}
	d.WrongMachine("n3")
	got := r.do(p, ha.DeviceRead)
	r.do(p, ha.DeviceOff)
	r.run(3 * time.Second)
	if got.SystemUUID != "uuid-3" || r.Host("n3").On() || !r.Host("n1").On() {
		t.Errorf("wrong machine: %+v, n1 %v, n3 %v", got, r.Host("n1").On(), r.Host("n3").On())
	}
	d.WrongMachine("")
	d.WrongUUID(true)
	if got := r.do(p, ha.DeviceRead); got.SystemUUID == "uuid-1" || got.SystemUUID == "" {
		t.Errorf("wrong UUID: %+v", got)
	}
}

func TestAStuckBMCReadsPoweringOff(t *testing.T) {
	r, d, p := withBMC(t, 72)
	d.Stuck(true)
	r.do(p, ha.DeviceOff)
	r.run(25 * time.Second)
	if got := r.do(p, ha.DeviceRead); got.Power != ha.PowerPoweringOff {
		t.Errorf("%+v", got)
	}
	r.wantWriters(101, "n1 ")
	r.run(40 * time.Second)
	if got := r.do(p, ha.DeviceRead); got.Power != ha.PowerOff {
		t.Errorf("%+v", got)
	}
}

func TestADeviceThatDoesNotAnswer(t *testing.T) {
	r, d, p := withBMC(t, 73)
	silent := func(what string) {
		t.Helper()
		from := r.l.Now()
		if got := r.do(p, ha.DeviceRead); got.Problem == "" || got.Power != ha.PowerUnknown || r.l.Now()-from > 4*time.Second {
			t.Errorf("%s: %+v after %v", what, got, r.l.Now()-from)
		}
	}
	answers := func(what string) {
		t.Helper()
		if got := r.do(p, ha.DeviceRead); got.Problem != "" {
			t.Errorf("%s: %+v", what, got)
		}
	}
	d.Dead(true)
	silent("dead")
	d.Dead(false)
	r.net.Cut(NetMgmt, "bmc:bmc1", "n2", true)
	silent("one way cut")
	r.net.Cut(NetMgmt, "bmc:bmc1", "n2", false)
	d.Slow(10 * time.Second)
	silent("slow")
	d.Slow(0)
	r.Host("n1").Power(false)
	answers("power of its own")
	d.DiesWithPower(true)
	silent("without power")
	r.Host("n1").Power(true)
	answers("power is back")
	r.do(p, ha.DeviceOff)
	r.run(3 * time.Second)
	answers("switched off, but plugged in")
}

func TestACommandDiesAtItsDeadlineUnlessTheDeviceHasTakenIt(t *testing.T) {
	r, d, p := withBMC(t, 74)
	late := r.command(p, ha.DeviceOff, 4*time.Second)
	if got := r.doIt(p, late); got.Problem == "" {
		t.Errorf("no time left, yet sent: %+v", got)
	}
	// Stopped before it could send, it finds its deadline past when it goes on.
	r.Do(p, "n2", r.command(p, ha.DeviceOff, 3*time.Second), func(ha.DeviceReading) {})
	r.run(time.Millisecond)
	r.Host("n2").Freeze(true)
	r.run(10 * time.Second)
	r.Host("n2").Freeze(false)
	r.run(5 * time.Second)
	if !r.Host("n1").On() {
		t.Error("sent after the deadline")
	}
	// A caller that dies takes along what is not sent yet.
	r.Do(p, "n2", r.command(p, ha.DeviceOff, 3*time.Second), func(ha.DeviceReading) {})
	r.run(time.Millisecond)
	p.Kill()
	r.run(5 * time.Second)
	if !r.Host("n1").On() {
		t.Error("sent after the caller's death")
	}
	// What the device has taken takes effect.
	p = r.Host("n2").NewProc("leader")
	d.Stuck(true)
	r.Do(p, "n2", r.command(p, ha.DeviceOff, 3*time.Second), func(ha.DeviceReading) {})
	r.run(500 * time.Millisecond)
	p.Kill()
	r.run(time.Minute)
	if r.Host("n1").On() {
		t.Error("what was taken was forgotten")
	}
}

func TestASlowDeviceMayOrMayNotHaveTakenItWhenItsCallerDies(t *testing.T) {
	on := map[bool]int{}
	for seed := uint64(80); seed < 96; seed++ {
		r, d, p := withBMC(t, seed)
		d.Slow(2 * time.Second)
		r.Do(p, "n2", r.command(p, ha.DeviceOff, 3*time.Second), func(ha.DeviceReading) { t.Error("a dead caller heard the answer") })
		r.run(time.Second)
		p.Kill()
		r.run(10 * time.Second)
		on[r.Host("n1").On()]++
	}
	if on[true] == 0 || on[false] == 0 {
		t.Errorf("still on: %v", on)
	}
}

func TestNothingIsTakenAfterTheDeadline(t *testing.T) {
	taken := 0
	for seed := uint64(100); seed < 140; seed++ {
		r, d, p := withBMC(t, seed)
		d.Slow(8 * time.Second)
		c := r.command(p, ha.DeviceOff, 3*time.Second)
		c.Deadline = p.Clock().Now().Add(3050 * time.Millisecond)
		r.Do(p, "n2", c, func(ha.DeviceReading) {})
		r.run(20 * time.Second)
		if d.offFrom > 0 {
			taken++
		}
		if d.offFrom > 3050*time.Millisecond+inFlight+time.Millisecond {
			t.Errorf("seed %d: taken at %v", seed, d.offFrom)
		}
	}
	if taken == 0 || taken == 40 {
		t.Errorf("taken in %d of 40 runs", taken)
	}
}

func TestASecondCommandWaitsForTheFirst(t *testing.T) {
	r, d, p := withBMC(t, 78)
	d.Slow(500 * time.Millisecond)
	var got []ha.DeviceReading
	for range 2 {
		r.Do(p, "n2", r.command(p, ha.DeviceRead, 3*time.Second), func(x ha.DeviceReading) { got = append(got, x) })
	}
	r.run(5 * time.Second)
	if len(got) != 2 || got[1].Asked < got[0].Answered || got[1].Problem != "" {
		t.Errorf("%+v", got)
	}
}

func TestOneCommandAtATime(t *testing.T) {
	r, d, p := withBMC(t, 75)
	d.Dead(true)
	n := 0
	var order []time.Duration
	for range 3 {
		r.Do(p, "n2", r.command(p, ha.DeviceRead, time.Second), func(got ha.DeviceReading) {
			n++
			order = append(order, r.l.Now())
			if got.Problem == "" {
				t.Error("a dead device answered")
			}
		})
	}
	r.run(5 * time.Second)
	if n != 3 || order[2] > 2100*time.Millisecond {
		t.Errorf("%d answers at %v", n, order)
	}
	d.Dead(false)
	if got := r.do(p, ha.DeviceRead); got.Problem != "" {
		t.Errorf("its turn is lost: %+v", got)
	}
}

func TestAStorageDeviceTakesOneIncarnationsAccess(t *testing.T) {
	r := newRoom(t, 76, 3, "")
	r.AddDevice(DeviceSpec{Name: "ceph1", Node: "n1", Kind: ha.StorageDevice, Storages: []string{"ceph"}})
	p := r.Host("n2").NewProc("leader")
	c := ha.DeviceCommand{Device: "ceph1", Node: "n1", Action: ha.DeviceRead, Timeout: 3 * time.Second, Clients: r.Host("n1").Clients()}
	access := func() ha.StorageAccess {
		t.Helper()
		c.Action = ha.DeviceRead
		got := r.doIt(p, c)
		if len(got.Storages) != 1 || len(got.Clients) != 1 {
			t.Fatalf("%+v", got)
		}
		return got.Storages[0].Access
	}
	if got := access(); got != ha.AccessOpen {
		t.Errorf("before: %s", got)
	}
	c.Action, c.Deadline = ha.DeviceRevoke, p.Clock().Now().Add(4*time.Second)
	if got := r.doIt(p, c); got.Problem != "" {
		t.Fatalf("%+v", got)
	}
	r.run(600 * time.Millisecond)
	if got := access(); got != ha.AccessRevoked {
		t.Errorf("after: %s", got)
	}
	r.wantWriters(101, "")
	if r.Progress(101) {
		t.Error("progress without access")
	}
	r.Host("n1").Reset("test")
	r.run(25 * time.Second)
	c.Clients = r.Host("n1").Clients()
	if got := access(); got != ha.AccessOpen {
		t.Errorf("the next boot: %s", got)
	}
}

func TestAPoisonPillEndsItsVictim(t *testing.T) {
	for _, c := range []struct {
		name, dog string
		before    func(r *room)
		reset     string
	}{
		{"reads it", dogHW, func(*room) {}, "poison pill"},
		{"frozen", dogHW, func(r *room) { r.Host("n1").Freeze(true) }, "watchdog"},
		{"blind", dogHW, func(r *room) { r.net.Cut(NetStorage, "n1", "*", true) }, "watchdog"},
		{"no watchdog", "", func(*room) {}, "poison pill"},
		{"blind without watchdog", "", func(r *room) { r.net.Cut(NetStorage, "n1", "*", true) }, ""},
		{"its guard is gone", dogHW, func(r *room) { r.Host("n1").GuardProc().Stop() }, "watchdog"},
	} {
		r := newRoom(t, 77, 3, c.dog)
		reset := ""
		r.OnReset = func(host, why string) { reset += why }
		r.AddDevice(DeviceSpec{Name: "sbd1", Node: "n1", Kind: ha.PoisonDevice, Storages: []string{"d1", "d2", "d3"}})
		r.Device("sbd1").pills[1] = true // of an earlier boot
		r.Host("n1").StartGuard()
		r.run(2 * time.Second)
		if c.dog != "" {
			r.arm("n1")
		}
		if reset != "" || r.Device("sbd1").pills[1] {
			t.Fatalf("%s: reset by %q before the message", c.name, reset)
		}
		p := r.Host("n2").NewProc("leader")
		cmd := ha.DeviceCommand{Device: "sbd1", Node: "n1", Action: ha.DevicePoison, Timeout: 3 * time.Second, Deadline: p.Clock().Now().Add(4 * time.Second)}
		c.before(r)
		r.net.Cut(NetStorage, "*", "disk:d3", true)
		if got := r.doIt(p, cmd); got.Problem != "" {
			t.Fatalf("%s: %+v", c.name, got)
		}
		cmd.Action = ha.DeviceRead
		if got := r.doIt(p, cmd); got.Pills != 2 || got.Disks != 3 {
			t.Errorf("%s: read back %+v", c.name, got)
		}
		r.run(15 * time.Second)
		if reset != c.reset {
			t.Errorf("%s: reset by %q", c.name, reset)
		}
	}
}
