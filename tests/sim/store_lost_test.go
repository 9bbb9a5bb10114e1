package sim

import (
	"testing"
	"time"

	"bascule/ha"
)

// The answer of a write is lost: it has happened, never will, or happens after the caller was told that nobody knows.
func TestStoreAmbiguousWrites(t *testing.T) {
	fates := map[string]int{}
	for seed := range uint64(60) {
		w := newStoreWorld(t, seed, 3, 3)
		before := w.put("node1", "guest/1", "a", 0)
		w.s.Ambiguous("node1", 1)
		_, err := w.commit("node1", ha.Txn{Guards: []ha.Guard{{Key: "guest/1", Rev: before}}, Puts: one("guest/1", "b")})
		told := w.value("guest/1")
		w.run(10 * time.Second)
		later := w.value("guest/1")
		switch {
		case err == nil && told == "b":
			fates["read back"]++
		case err == ha.ErrAmbiguous && told == "b": // between the last look and the answer
			fates["just before"]++
		case err == ha.ErrAmbiguous && told == "a" && later == "b":
			fates["later"]++
		case err == ha.ErrAmbiguous && told == "a" && later == "a":
			fates["never"]++
		default:
			t.Errorf("seed %d: %v, %s, then %s", seed, err, told, later)
		}
	}
	if fates["read back"] < 10 || fates["later"] < 5 || fates["never"] < 3 {
		t.Errorf("%v", fates)
	}
}

// A call ends with its process; while that is stopped, the answer waits. What was sent goes on without it.
func TestStoreCallsEndWithTheirProcess(t *testing.T) {
	for _, c := range []struct {
		name     string
		then     func(w *storeWorld, p *Proc)
		soon, in int // answers after half a second, in the end
	}{
		{"it lives", func(*storeWorld, *Proc) {}, 1, 1},
		{"it dies", func(_ *storeWorld, p *Proc) { p.Kill() }, 0, 0},
		{"it is stopped for three seconds", func(w *storeWorld, p *Proc) {
			p.Stop()
			w.l.After(3*time.Second, p.Continue)
		}, 0, 1},
	} {
		w := newStoreWorld(t, 27, 3, 4)
		answers := 0
		w.client["node4"].Commit(ha.Txn{Puts: one("x", "1")}, callTime, func(int64, error) { answers++ })
		w.run(700 * time.Microsecond) // on its way, or done
		c.then(w, w.procs["node4"])
		w.run(500 * time.Millisecond)
		if answers != c.soon {
			t.Errorf("%s: %d answers soon", c.name, answers)
		}
		w.run(10 * time.Second)
		if answers != c.in || w.value("x") != "1" {
			t.Errorf("%s: %d answers, x is %s", c.name, answers, w.value("x"))
		}
	}
}

// A short cut that costs no leadership: the write waits for its majority, and is answered late.
func TestStoreWriteWaitsForTheMajority(t *testing.T) {
	w := newStoreWorld(t, 29, 3, 3)
	old, at := w.leader(), w.l.Now()
	w.isolate(old, true)
	w.l.After(400*time.Millisecond, func() { w.isolate(old, false) })
	if _, err := w.commit(old, ha.Txn{Puts: one("x", "1")}); err != nil {
		t.Error(err)
	}
	if d := w.l.Now() - at; d < 400*time.Millisecond || d > 600*time.Millisecond || w.leader() != old {
		t.Errorf("after %v, %s leads after %s", d, w.leader(), old)
	}
	w.s.SlowFsync(old, 300*time.Millisecond)
	at = w.l.Now()
	w.put(w.other(), "x", "2", 0)
	if d := w.l.Now() - at; d < 300*time.Millisecond || d > 400*time.Millisecond {
		t.Errorf("on a slow disk: %v", d)
	}
}

// A member that is stopped says nothing: repeatable calls go to the next one as well, writes wait, and may be carried out
// when it goes on.
func TestStoreSilentMember(t *testing.T) {
	w := newStoreWorld(t, 30, 3, 4)
	w.s.MoveRaftLeaderOff("node1")
	w.grant("node4", 20*time.Second) // connects to node1, its first
	w.procs["node1"].Stop()
	if _, err := w.commit("node4", ha.Txn{Puts: one("x", "1")}); err != ha.ErrAmbiguous || w.value("x") != "-" {
		t.Errorf("%v, x is %s", err, w.value("x"))
	}
	w.procs["node1"].Continue()
	w.run(time.Second)
	if w.value("x") != "1" {
		t.Error("the write is not carried out when the member goes on")
	}
	w.run(30 * time.Second) // forgiven
	w.put("node4", "y", "1", 0)
	id := w.grant("node4", 20*time.Second)
	w.procs["node1"].Stop()
	for i, within := range []time.Duration{600 * time.Millisecond, 10 * time.Millisecond} { // the second call knows
		at := w.l.Now()
		if err := w.renew("node4", id); err != nil || w.l.Now()-at > within {
			t.Errorf("renewal %d: %v after %v", i, err, w.l.Now()-at)
		}
	}
}

// Reading back must not take what was there before for the write whose answer was lost.
func TestStoreTheSameValueWrittenAgain(t *testing.T) {
	unknown := 0
	for seed := range uint64(30) {
		w := newStoreWorld(t, seed, 3, 3)
		before := w.put("node1", "x", "1", 0)
		w.s.Ambiguous("node1", 1)
		rev, err := w.commit("node1", ha.Txn{Puts: one("x", "1")})
		if err == nil && (rev <= before || w.s.kvs["x"].ModRev != rev) {
			t.Errorf("seed %d: revision %d after %d", seed, rev, before)
		}
		if err == ha.ErrAmbiguous {
			unknown++
		}
	}
	if unknown == 0 {
		t.Error("always known")
	}
}

// A leader that is cut off with a write in its hands: the write is lost with it, or comes out of the election.
func TestStoreWriteInTheHandsOfALostLeader(t *testing.T) {
	var lost, applied int
	for seed := range uint64(60) {
		w := newStoreWorld(t, seed, 3, 3)
		old := w.leader()
		var err error
		answered := false
		w.client[old].Commit(ha.Txn{Puts: one("x", "1")}, callTime, func(_ int64, e error) { err, answered = e, true })
		w.run(200 * time.Microsecond)
		w.isolate(old, true)
		w.run(900 * time.Millisecond)
		if w.value("x") != "-" {
			t.Fatalf("seed %d: a minority has written", seed)
		}
		w.run(6 * time.Second)
		if !answered || err != ha.ErrAmbiguous {
			t.Fatalf("seed %d: answered %v, %v", seed, answered, err)
		}
		if w.leader() == old {
			t.Fatalf("seed %d: no election", seed)
		}
		if w.value("x") == "1" {
			applied++
		} else {
			lost++
		}
	}
	if lost < 10 || applied < 10 {
		t.Errorf("%d lost, %d applied", lost, applied)
	}
}
