package sim

import (
	"strings"
	"testing"
	"time"

	"bascule/ha"
)

// move begins a live migration of 101 from n1 to n2.
func (r *room) move() *answer {
	_, c := r.pve("n1")
	a, done := r.answer()
	c.Migrate(101, ha.QEMU, "n2", true, done)
	return a
}

// filling waits until the target's process is there and waits for the switch-over.
func (r *room) filling() Process {
	r.Helper()
	var p Process
	r.await("a process that waits on n2", 10*time.Second, func() bool {
		found, _ := r.Host("n2").Find([]ha.GuestRef{{ID: 101}})
		for _, f := range found {
			if f.What == "guest" && f.Incoming {
				p = f
			}
		}
		return p.PID != 0
	})
	return p
}

func TestALiveMigrationHasOneWriterAtEveryMoment(t *testing.T) {
	r := newRoom(t, 20, 3, "")
	a := r.move()
	r.filling()
	r.wantWriters(101, "n1 ")
	switched := false
	r.await("the end", time.Minute, func() bool {
		w := r.writers(101)
		if w != "n1 " && w != "n2 " {
			t.Fatalf("writers %q", w)
		}
		if w == "n2 " && r.ConfigNode(101) == "n1" {
			switched = true // the target runs before the config has moved
		}
		return a.n > 0
	})
	if a.err != nil || r.ConfigNode(101) != "n2" || r.writers(101) != "n2 " || r.tree.files[101].lock != "" {
		t.Errorf("%v, config at %s, writers %q, lock %q", a.err, r.ConfigNode(101), r.writers(101), r.tree.files[101].lock)
	}
	if !switched {
		t.Error("the switch-over comes before the rename")
	}
	if found, _ := r.Host("n1").Find([]ha.GuestRef{{ID: 101}}); len(found) != 0 {
		t.Errorf("left on the source: %+v", found)
	}
	found, _ := r.Host("n2").Find([]ha.GuestRef{{ID: 101}})
	if len(found) != 1 || found[0].Incoming {
		t.Errorf("on the target: %+v", found)
	}
	r.IncomingByCmdline = true
	if found, _ = r.Host("n2").Find([]ha.GuestRef{{ID: 101}}); !found[0].Incoming {
		t.Error("its command line says -incoming for ever")
	}
}

func TestTheSourceDiesBeforeTheSwitchOver(t *testing.T) {
	fates := map[int]bool{}
	for seed := uint64(21); seed < 33; seed++ {
		r := newRoom(t, seed, 3, "")
		r.move()
		r.filling()
		r.Host("n1").Power(false)
		r.run(30 * time.Second)
		r.wantWriters(101, "") // whoever waits does not write
		if r.ConfigNode(101) != "n1" || r.tree.files[101].lock != "migrate" {
			t.Errorf("config at %s, lock %q", r.ConfigNode(101), r.tree.files[101].lock)
		}
		found, _ := r.Host("n2").Find([]ha.GuestRef{{ID: 101}})
		fates[len(found)] = true
	}
	if !fates[0] || !fates[1] {
		t.Errorf("the waiting process both stays and goes in practice: %v", fates)
	}
}

func TestTheSourceDiesAfterTheSwitchOver(t *testing.T) {
	r := newRoom(t, 33, 3, "")
	r.move()
	r.await("the switch-over", time.Minute, func() bool { return r.writers(101) == "n2 " })
	r.Host("n1").Power(false)
	r.run(20 * time.Second)
	r.wantWriters(101, "n2 ")
	if r.ConfigNode(101) != "n1" {
		t.Error("nobody was left to move the config")
	}
}

func TestTheTargetDiesAndTheSourceRunsOn(t *testing.T) {
	r := newRoom(t, 34, 3, "")
	a := r.move()
	r.filling()
	r.Host("n2").Power(false)
	if err := r.wait(a, time.Minute); err == nil || !strings.Contains(err.Error(), "aborted") {
		t.Errorf("ended with %v", err)
	}
	r.run(10 * time.Second)
	r.wantWriters(101, "n1 ")
	if r.ConfigNode(101) != "n1" || r.tree.files[101].lock != "" {
		t.Errorf("config at %s, lock %q", r.ConfigNode(101), r.tree.files[101].lock)
	}
}

func TestAFrozenTargetDoesNotSwitchOver(t *testing.T) {
	r := newRoom(t, 35, 3, "")
	a := r.move()
	r.filling()
	r.Host("n2").Freeze(true)
	if err := r.wait(a, time.Minute); err == nil {
		t.Error("it went through")
	}
	r.wantWriters(101, "n1 ")
	r.Host("n2").Freeze(false)
	r.run(10 * time.Second)
	r.wantWriters(101, "n1 ")
}

func TestACutNetworkAbortsAMigration(t *testing.T) {
	r := newRoom(t, 43, 3, "")
	a := r.move()
	r.filling()
	r.net.Cut(NetCluster, "n1", "n2", true)
	if err := r.wait(a, time.Minute); err == nil || !strings.Contains(err.Error(), "aborted") {
		t.Errorf("ended with %v", err)
	}
	r.run(5 * time.Second)
	r.wantWriters(101, "n1 ")
	if r.ConfigNode(101) != "n1" {
		t.Errorf("config at %s", r.ConfigNode(101))
	}
}

func TestWithoutQuorumASwitchedMigrationLeavesItsConfig(t *testing.T) {
	r := newRoom(t, 44, 3, "")
	a := r.move()
	r.filling()
	for _, to := range []string{"n2", "n3"} {
		r.net.Cut(NetCorosync, "n1", to, true)
	}
	r.net.Cut(NetCorosync, "n2", "n3", true)
	if err := r.wait(a, time.Minute); err == nil {
		t.Error("it went through")
	}
	r.wantWriters(101, "n2 ")
	if r.ConfigNode(101) != "n1" {
		t.Errorf("config at %s", r.ConfigNode(101))
	}
}

func TestAKilledWorkerLeavesTheLock(t *testing.T) {
	r := newRoom(t, 36, 3, "")
	a := r.move()
	r.filling()
	found, _ := r.Host("n1").Find([]ha.GuestRef{{ID: 101}})
	for _, p := range found {
		if p.What == "worker" {
			_ = r.Host("n1").Kill(p.PID)
		}
	}
	if err := r.wait(a, 10*time.Second); err == nil {
		t.Error("a killed worker cannot succeed")
	}
	r.run(30 * time.Second)
	r.wantWriters(101, "n1 ")
	if r.tree.files[101].lock != "migrate" {
		t.Errorf("lock %q", r.tree.files[101].lock)
	}
}

func TestAFailedMigrationAndARefusedOne(t *testing.T) {
	g := vm(101)
	g.FailMigrations = 1
	r := newRoom(t, 37, 3, "", g)
	if err := r.wait(r.move(), time.Minute); err == nil {
		t.Error("it was to fail")
	}
	r.wantWriters(101, "n1 ")
	r.Host("n2").Power(false)
	r.run(10 * time.Second)
	if err := r.wait(r.move(), time.Minute); err == nil || !strings.Contains(err.Error(), "no route") {
		t.Errorf("to a dead node: %v", err)
	}
}

func TestAContainerMovesByRestart(t *testing.T) {
	g := vm(101)
	g.Kind = ha.LXC
	for seed := uint64(38); seed < 42; seed++ {
		r := newRoom(t, seed, 3, "", g)
		a := r.move()
		r.await("the end", time.Minute, func() bool {
			if w := r.writers(101); w == "n1 n2 " {
				t.Fatal("two writers")
			}
			return a.n > 0
		})
		if a.err != nil || r.ConfigNode(101) != "n2" || r.writers(101) != "n2 " {
			t.Errorf("%v, config at %s, writers %q", a.err, r.ConfigNode(101), r.writers(101))
		}
	}
}
