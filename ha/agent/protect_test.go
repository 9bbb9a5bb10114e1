package agent

import (
	"errors"
	"testing"
	"time"

	"bascule/ha"
)

func TestRunningGuestIsAdoptedUntouched(t *testing.T) {
	inColdWorld(t, 1, func(w *world) {
		w.guest(101, ha.QEMU, "n1", true).onboot = true
		w.startAll()
		w.settle()
		g := w.snapshot().Guests[101].Rec
		if g.State != ha.GuestStarted || g.Requested != ha.RequestedStarted || g.Node != "n1" || g.Incarnation != w.inc("n1") || g.Generation != 1 {
			t.Errorf("record %+v", g)
		}
		if n := len(w.since(0, "runs 101")) + len(w.since(0, "ends 101")); n != 0 {
			t.Errorf("an adopted guest was started or ended %d times", n)
		}
		if rep := w.snapshot().GuestReports["n1"][101].Rec; rep.Phase != ha.PhaseRunning || rep.Generation != 1 {
			t.Errorf("report %+v", rep)
		}
	})
}

// onboot's old value is in the store before the config is edited, and comes back when the protection ends.
func TestOnbootIsKeptThenTakenThenGivenBack(t *testing.T) {
	inColdWorld(t, 1, func(w *world) {
		w.guest(101, ha.QEMU, "n1", true).onboot = true
		w.startAll()
		w.settle()
		w.order(0, "n1 wrote onboot/101", "n1 onboot 101 false")
		if o := w.snapshot().Onboot[101].Rec; !o.Old {
			t.Errorf("kept %+v", o)
		}
		mark := w.mark()
		w.edit(101, func(g *guest) { g.protected = false })
		w.until(10*time.Second, "101 is no longer recorded", func(s ha.Snapshot) bool { _, has := s.Guests[101]; return !has })
		w.until(10*time.Second, "onboot is put back", func(s ha.Snapshot) bool { _, kept := s.Onboot[101]; return !kept })
		w.order(mark, "n1 onboot 101 true", "n1 removed onboot/101")
		if !w.runsAlone(101, "n1") {
			t.Error("losing its protection stopped the guest")
		}
	})
}

// While the old value cannot be stored the config is not touched.
func TestOnbootStaysWhileItCannotBeKept(t *testing.T) {
	inColdWorld(t, 1, func(w *world) {
		w.guest(101, ha.QEMU, "n1", true).onboot = true
		w.start("n1", func(c *Config) {
			c.Store.(*storePort).refuse = refusing(ha.KeyOnboot(101), ha.ErrUnavailable)
		})
		w.settle()
		w.pass(20 * time.Second)
		if n := len(w.since(0, "onboot 101")); n != 0 {
			t.Fatal("onboot was changed although its old value is not stored")
		}
		w.store("n1").set(func(s *storePort) { s.refuse = nil })
		w.until(10*time.Second, "onboot is taken", func(ha.Snapshot) bool { return len(w.since(0, "onboot 101 false")) == 1 })
	})
}

// A boot after protection starts nothing by itself: the world calls it a broken rule if it does.
func TestBootStartsNothingWithoutPermit(t *testing.T) {
	inColdWorld(t, 1, func(w *world) {
		w.guest(101, ha.QEMU, "n1", true).onboot = true
		w.startAll()
		w.settle()
		w.cutPower("n1")
		w.pass(10 * time.Second)
		mark := w.mark()
		w.boot("n1")
		w.start("n1")
		w.until(15*time.Second, "101 runs again after the boot", func(ha.Snapshot) bool { return w.runsAlone(101, "n1") })
		w.order(mark, "n1 was granted lease", "n1 runs 101 by start")
		if g := w.snapshot().Guests[101].Rec; g.Incarnation != w.inc("n1") {
			t.Errorf("the guest belongs to boot %s, this is %s", g.Incarnation, w.inc("n1"))
		}
	})
}

func TestStoppedGuestThatStartsAtBootIsStarted(t *testing.T) {
	inColdWorld(t, 1, func(w *world) {
		w.guest(101, ha.QEMU, "n1", false).onboot = true
		w.guest(102, ha.QEMU, "n1", false)
		w.startAll()
		w.settle()
		if !w.runsAlone(101, "n1") || len(w.where(102)) != 0 {
			t.Errorf("101 runs on %v, 102 on %v; want 101 only", w.where(101), w.where(102))
		}
		if g := w.snapshot().Guests[102].Rec; g.State != ha.GuestStopped || g.Requested != ha.RequestedStopped {
			t.Errorf("102: %+v", g)
		}
	})
}

// Starting daemons know of no guest before Proxmox was looked at: nothing is released or started on a guess.
func TestNothingIsSaidBeforeTheFirstLook(t *testing.T) {
	inColdWorld(t, 1, func(w *world) {
		w.guest(101, ha.QEMU, "n1", true)
		w.startAll()
		w.settle()
		w.kill("n1")
		w.fail("inventory n1", 5, errors.New("pveproxy: connection refused"))
		mark := w.mark()
		w.start("n1")
		w.pass(4 * time.Second)
		if n := len(w.since(mark, "wrote guestreport/n1/101")); n != 0 {
			t.Error("something was said about a guest before the first look")
		}
		if p := w.snapshot().Reports["n1"].Rec.Problems; len(p) == 0 {
			t.Error("a Proxmox that does not answer is not among the node's problems")
		}
		w.pass(30 * time.Second)
		if p := w.snapshot().Reports["n1"].Rec.Problems; len(p) != 0 {
			t.Errorf("problems are left: %q", p)
		}
		if len(w.since(mark, "101")) != len(w.since(mark, "wrote ")) && !w.runsAlone(101, "n1") {
			t.Error("the guest was touched")
		}
	})
}
