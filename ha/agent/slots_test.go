package agent

import (
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha"
)

// slotted is a world of one node whose guard sees its slot.
func slotted(t *testing.T, f func(w *world, watches func() bool, released func() bool)) {
	inColdWorld(t, 1, func(w *world) {
		w.guarding("n1", func(g *fakeGuard) { g.slots, g.seen = []string{"sbd"}, true })
		w.startAll()
		w.settle()
		w.pass(3 * time.Second)
		f(w, func() bool { return slices.Equal(w.snapshot().Reports["n1"].Rec.Watches, []string{"sbd"}) },
			func() (is bool) { w.guarding("n1", func(g *fakeGuard) { is = g.released }); return is })
	})
}

// The world itself watches that the guard is never released while the store says that messages end the node.
func TestLostSlotsAreTakenBackInTheStoreFirst(t *testing.T) {
	slotted(t, func(w *world, watches, released func() bool) {
		if !watches() || released() {
			t.Fatalf("watches %v, released %v", watches(), released())
		}
		w.guarding("n1", func(g *fakeGuard) { g.seen = false })
		w.pass(3 * time.Second)
		if watches() || !released() {
			t.Fatalf("lost: watches %v, released %v", watches(), released())
		}
		if p := strings.Join(w.snapshot().Reports["n1"].Rec.Problems, "\n"); !strings.Contains(p, "look at the disks") {
			t.Errorf("the operator is told %q", p)
		}
		w.guarding("n1", func(g *fakeGuard) { g.seen = true })
		w.pass(3 * time.Second)
		if !watches() || released() {
			t.Fatalf("seen again: watches %v, released %v", watches(), released())
		}
	})
}

func TestWithoutTheStoreNothingIsReleased(t *testing.T) {
	for _, fault := range []error{ha.ErrAmbiguous, ha.ErrUnavailable} {
		slotted(t, func(w *world, watches, released func() bool) {
			s := w.store("n1")
			s.set(func(s *storePort) { s.refuse = refusing(ha.KeyReport("n1"), fault) })
			w.guarding("n1", func(g *fakeGuard) { g.seen = false })
			w.pass(20 * time.Second)
			if !watches() || released() {
				t.Fatalf("watches %v, released %v", watches(), released())
			}
			s.set(func(s *storePort) { s.refuse = nil })
			w.pass(3 * time.Second)
			if watches() || !released() {
				t.Fatalf("the store is back: watches %v, released %v", watches(), released())
			}
		})
	}
}

// While the answer to a report that names the slots is lost, an older report without them proves nothing.
func TestALostAnswerIsNoReport(t *testing.T) {
	inColdWorld(t, 1, func(w *world) {
		w.guarding("n1", func(g *fakeGuard) { g.slots, g.deaf = []string{"sbd"}, true })
		w.startAll()
		w.settle()
		w.pass(3 * time.Second)
		s := w.store("n1")
		s.set(func(s *storePort) { s.refuse = refusing(ha.KeyReport("n1"), ha.ErrAmbiguous) })
		w.guarding("n1", func(g *fakeGuard) { g.seen, g.deaf = true, false })
		w.pass(3 * time.Second)
		w.guarding("n1", func(g *fakeGuard) { g.seen = false })
		w.pass(10 * time.Second)
		w.guarding("n1", func(g *fakeGuard) {
			if g.released {
				t.Error("released although the store may say that messages end the node")
			}
		})
	})
}

// A guard that does not take the word is asked again, and until then no report says so.
func TestTheGuardObeysBeforeTheStoreSaysSo(t *testing.T) {
	slotted(t, func(w *world, watches, released func() bool) {
		w.guarding("n1", func(g *fakeGuard) { g.seen = false })
		w.pass(3 * time.Second)
		w.guarding("n1", func(g *fakeGuard) { g.seen, g.deaf = true, true })
		w.pass(5 * time.Second)
		if watches() || !released() {
			t.Fatalf("watches %v, released %v", watches(), released())
		}
		w.guarding("n1", func(g *fakeGuard) { g.deaf = false })
		w.pass(3 * time.Second)
		if !watches() || released() {
			t.Fatalf("watches %v, released %v", watches(), released())
		}
	})
}
