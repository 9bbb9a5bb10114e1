package agent

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/etcd/memstore"
)

// refusing answers commits that write a key with an error.
func refusing(key string, err error) func(ha.Txn) error {
	return func(t ha.Txn) error {
		if _, ok := putOf(t, key); ok {
			return err
		}
		return nil
	}
}

func putOf(t ha.Txn, key string) ([]byte, bool) {
	i := slices.IndexFunc(t.Puts, func(p ha.Put) bool { return p.Key == key })
	if i < 0 {
		return nil, false
	}
	return t.Puts[i].Value, true
}

// intends says whether a transaction stores the intent to switch n2 off.
func intends(t ha.Txn) bool {
	var f ha.FenceRecord
	b, ok := putOf(t, ha.KeyFence("n2"))
	return ok && json.Unmarshal(b, &f) == nil && len(f.Commanded) > 0
}

// An "off" whose intent is not known to be stored is not sent; the ladder hears so and asks again. (That every "off" that is sent
// has its intent stored is watched by the world in all tests.)
func TestCommandWithoutStoredIntentIsNotSent(t *testing.T) {
	for name, break_ := range map[string]func(w *world, s *storePort, first func() bool){
		"conflict": func(w *world, s *storePort, first func() bool) {
			s.before = func(tx ha.Txn) {
				if intends(tx) && first() { // somebody changes the node's record just before
					kv, _, err := w.mem.Get(w.ctx, ha.KeyNode("n2"))
					if err != nil || kv == nil {
						w.t.Fatal(kv, err)
					}
					if _, err := w.mem.Commit(w.ctx, ha.Txn{Puts: []ha.Put{{Key: kv.Key, Value: kv.Value}}}); err != nil {
						w.t.Fatal(err)
					}
				}
			}
		},
		"lost before": func(_ *world, s *storePort, first func() bool) {
			s.fate = func(tx ha.Txn) memstore.Fate { return loseIf(intends(tx) && first(), memstore.LostBefore) }
		},
		"lost after": func(_ *world, s *storePort, first func() bool) {
			s.fate = func(tx ha.Txn) memstore.Fate { return loseIf(intends(tx) && first(), memstore.LostAfter) }
		},
		"unavailable": func(_ *world, s *storePort, first func() bool) {
			s.refuse = func(tx ha.Txn) error {
				if intends(tx) && first() {
					return ha.ErrUnavailable
				}
				return nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inColdWorld(t, 3, func(w *world) {
				w.guest(101, ha.QEMU, "n2", true)
				w.startAll()
				w.settle()
				failed := 0
				var sent []int
				w.store("n1").set(func(s *storePort) {
					break_(w, s, func() bool {
						failed++
						sent = append(sent, len(w.since(0, "sends off")))
						return failed <= 2
					})
				})
				w.isolate("n2", true)
				w.until(30*time.Second, "101 runs elsewhere", func(ha.Snapshot) bool { o := w.where(101); return len(o) == 1 && o[0] != "n2" })
				w.store("n1").set(func(*storePort) {})
				if failed < 3 {
					t.Fatalf("the intent was tried %d times, the test wants two failures and a success", failed)
				}
				if sent[2] != 0 {
					t.Errorf("%d commands were sent before the intent was stored", sent[2])
				}
			})
		})
	}
}

func loseIf(lose bool, f memstore.Fate) memstore.Fate {
	if lose {
		return f
	}
	return memstore.Answered
}

// A leader whose commits are all refused at once must not try them in a circle without a pause.
func TestRefusedCommitsAreNotRepeatedInACircle(t *testing.T) {
	for _, err := range []error{ha.ErrUnavailable, ha.ErrConflict, ha.ErrAmbiguous} {
		inColdWorld(t, 3, func(w *world) {
			w.guest(101, ha.QEMU, "n2", true)
			w.startAll()
			w.settle()
			s := w.store("n1")
			s.set(func(s *storePort) {
				s.refuse = func(tx ha.Txn) error {
					if s.attempts > 1_000_000 {
						panic("a million commits")
					}
					if tx.Term != 0 {
						return err
					}
					return nil
				}
			})
			before := s.tries()
			w.cutPower("n2")
			w.pass(10 * time.Second)
			if n := s.tries() - before; n < 10 || n > 1000 {
				t.Errorf("%v: %d commits were tried in 10 s", err, n)
			}
			if on := w.where(101); len(on) != 0 {
				t.Errorf("%v: 101 runs on %v although nothing could be decided", err, on)
			}
			s.set(func(s *storePort) { s.refuse = nil })
			w.until(10*time.Second, "101 runs elsewhere", func(ha.Snapshot) bool { return len(w.where(101)) == 1 })
		})
	}
}

// A leader whose view stays behind what it committed does not decide on it.
func TestLeaderWaitsForItsOwnView(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(101, ha.QEMU, "n2", true)
		w.startAll()
		w.settle()
		heal := w.store("n1").BreakView()
		w.cutPower("n2")
		w.pass(4 * time.Second)
		before := w.store("n1").tries()
		w.pass(6 * time.Second)
		if n := w.store("n1").tries() - before; n > 100 {
			t.Errorf("%d commits were tried on a view that stands still", n)
		}
		heal()
		w.until(10*time.Second, "101 runs elsewhere", func(ha.Snapshot) bool { return len(w.where(101)) == 1 })
	})
}

// A write of an old leader that raft still carries out changes nothing any more: its term is over.
func TestOldLeadersWriteUnderWayIsHarmless(t *testing.T) {
	inColdWorld(t, 3, func(w *world) {
		w.guest(101, ha.QEMU, "n3", true)
		w.startAll()
		w.settle()
		w.store("n1").set(func(s *storePort) {
			s.fate = func(tx ha.Txn) memstore.Fate { return loseIf(tx.Term != 0, memstore.LostUnderWay) }
		})
		w.cutPower("n3")
		w.pass(3 * time.Second)
		w.kill("n1")
		w.mem.ExpireLease(w.snapshot().Leases["n1"].Rec.Lease)
		w.until(30*time.Second, "101 runs on n2", func(ha.Snapshot) bool { return w.runsAlone(101, "n2") })
		before := w.snapshot()
		w.mem.DeliverUnderWay()
		after := w.snapshot()
		if after.Guests[101].Rev != before.Guests[101].Rev || after.Nodes["n3"].Rev != before.Nodes["n3"].Rev {
			t.Error("a write of a term that is over came through")
		}
	})
}
