package agent

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"bascule/ha"
)

// What an adversarial review found.

// deafGuard answers once, then not for one call, then again.
type deafGuard struct {
	Guard
	calls *int
}

func (g deafGuard) Status(ctx context.Context) (ha.GuardStatus, error) {
	if *g.calls++; *g.calls == 2 {
		return ha.GuardStatus{}, errors.New("no answer in a second")
	}
	return g.Guard.Status(ctx)
}

// slowPVE never shows its inventory.
type slowPVE struct{ Proxmox }

func (slowPVE) Inventory(ctx context.Context) (ha.Inventory, error) {
	<-ctx.Done()
	return ha.Inventory{}, ctx.Err()
}

// A restarted daemon that has neither view nor inventory knows what runs here from its guard alone. One answer that got lost must not
// make it send a permit without guests: the guard would watch nothing, and call that clean.
func TestALostAnswerOfTheGuardLeavesNoGuestUnwatched(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(101, ha.QEMU, "n2", true)
		w.guarding("n2", func(g *fakeGuard) { g.driver = "iTCO_wdt" })
		w.startAll()
		w.settle()
		w.kill("n2")
		calls := 0
		w.start("n2", func(c *Config) {
			c.Store.(*storePort).SetUnavailable(true)
			c.Proxmox = slowPVE{c.Proxmox}
			c.Guard = deafGuard{c.Guard, &calls}
		})
		for range 4 {
			w.pass(600 * time.Millisecond)
			w.guarding("n2", func(g *fakeGuard) {
				if len(g.guests) != 1 {
					t.Fatalf("the guard watches %v", g.guests)
				}
			})
		}
		w.pass(time.Minute) // the world's own watch looks for a second place
		if calls < 3 {
			t.Fatalf("the guard was asked %d times only", calls)
		}
	})
}

// slowStore holds up one read of this node's own record.
type slowStore struct {
	*storePort
	key  string
	slow atomic.Bool
	in   chan struct{}
}

func (s *slowStore) Get(ctx context.Context, key string) (*ha.KV, int64, error) {
	if key == s.key && s.slow.CompareAndSwap(true, false) {
		s.in <- struct{}{}
		time.Sleep(30 * time.Millisecond) // of the bubble's time
	}
	return s.storePort.Get(ctx, key)
}

// slowDisarm takes its time.
type slowDisarm struct{ Guard }

func (g slowDisarm) Disarm(ctx context.Context) error {
	time.Sleep(100 * time.Millisecond)
	return g.Guard.Disarm(ctx)
}

// A registration that is on its way while the daemon is stopped in order must not write "armed" over "leaving": the guard is disarmed
// by then, and self-fencing would be counted on.
func TestARegistrationDoesNotUndoLeaving(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(101, ha.QEMU, "n2", true)
		w.guarding("n2", func(g *fakeGuard) { g.driver = "iTCO_wdt" })
		var store *slowStore
		for _, n := range w.names {
			if n != "n2" {
				w.start(n)
				continue
			}
			w.start(n, func(c *Config) {
				store = &slowStore{storePort: c.Store.(*storePort), key: ha.KeyNode("n2"), in: make(chan struct{}, 1)}
				c.Store, c.Guard = store, slowDisarm{c.Guard}
			})
		}
		w.settle()
		for _, n := range w.names {
			w.store(n).SetUnavailable(true)
		}
		w.pass(10 * time.Second) // on peer permits
		s := w.snapshot()
		for _, n := range w.names {
			w.mem.ExpireLease(s.Leases[n].Rec.Lease)
		}
		store.slow.Store(true)
		for _, n := range w.names {
			w.store(n).SetUnavailable(false)
		}
		<-store.in // it registers anew, and has looked at the time before
		ctx, cancel := context.WithTimeout(w.ctx, 10*time.Second)
		defer cancel()
		err := w.agent("n2").Leave(ctx)
		w.kill("n2")
		if rep := w.snapshot().Reports["n2"].Rec; err == nil && (!rep.Leaving || rep.Armed) {
			t.Errorf("left in order, and the store says leaving %v, armed %v", rep.Leaving, rep.Armed)
		}
		w.pass(2 * time.Minute)
	})
}
