package agent

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"bascule/ha"
)

// TestRandomTroubleBreaksNoRule lets seeded trouble happen to a cluster, heals it, and wants every guest to run once. The world
// watches the safety rules all the while.
func TestRandomTroubleBreaksNoRule(t *testing.T) {
	seeds := 4
	if n, err := strconv.Atoi(os.Getenv("BASCULE_SEEDS")); err == nil {
		seeds = n
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inColdWorld(t, 3, func(w *world) {
				if seed%2 == 1 { // no devices: the nodes' own watchdogs are the proof
					w.opts.Plans = nil
					for _, n := range w.names {
						w.guarding(n, func(g *fakeGuard) { g.driver = "iTCO_wdt" })
					}
				}
				for i := range 6 {
					kind := ha.QEMU
					if i%3 == 2 {
						kind = ha.LXC
					}
					w.guest(ha.VMID(101+i), kind, w.names[i%3], true)
				}
				w.startAll()
				w.settle()
				r := rand.New(rand.NewPCG(uint64(seed), 1))
				for range 15 {
					w.trouble(r)
					w.pass(time.Duration(r.IntN(12000)) * time.Millisecond)
				}
				w.heal()
				w.until(5*time.Minute, "every guest runs once, in order", func(s ha.Snapshot) bool {
					for i := range 6 {
						id := ha.VMID(101 + i)
						g := s.Guests[id].Rec
						if len(w.where(id)) != 1 || w.where(id)[0] != g.Node || g.State != ha.GuestStarted || len(g.Holders) != 1 {
							return false
						}
					}
					return true
				})
			})
		})
	}
}

// trouble does one bad thing to one machine.
func (w *world) trouble(r *rand.Rand) {
	n := w.names[r.IntN(len(w.names))]
	w.mu.Lock()
	m := w.nodes[n]
	on, runs, cut := m.on, m.proc != nil, m.cut
	w.mu.Unlock()
	switch what := r.IntN(9); {
	case !on:
		w.boot(n)
		w.start(n)
	case !runs:
		w.start(n)
	case cut:
		w.isolate(n, false)
	case what == 0:
		w.cutPower(n)
	case what == 1:
		w.isolate(n, true)
	case what == 2:
		w.kill(n)
	case what == 3:
		w.mem.ExpireLease(w.agent(n).Lease().ID)
	case what == 4:
		w.store(n).BreakView()
	case what == 5:
		w.ask(n, ha.RequestDrain, n)
	case what == 6:
		w.ask(n, ha.RequestUndrain, n)
	case what == 7:
		w.fail(fmt.Sprintf("start %s %d", n, 101+r.IntN(6)), 1, errors.New("start failed"))
	case what == 8:
		_ = w.leave(n)
	}
}

// heal gives every machine power, a fresh daemon and the network.
func (w *world) heal() {
	for _, n := range w.names {
		w.mu.Lock()
		on := w.nodes[n].on
		w.mu.Unlock()
		if !on {
			w.boot(n)
		} else {
			w.isolate(n, false)
			w.kill(n)
		}
		w.start(n)
	}
	w.pass(30 * time.Second)
	for _, n := range w.names {
		w.mu.Lock()
		on := w.nodes[n].on
		w.mu.Unlock()
		if !on { // switched off meanwhile
			w.boot(n)
			w.start(n)
		}
		w.ask(n, ha.RequestUndrain, n)
	}
}
