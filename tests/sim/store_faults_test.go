package sim

import (
	"testing"
	"time"

	"bascule/ha"
)

// A new raft leader does not know when the old one heard of a lease last: it gives each its full TTL.
func TestStoreNewRaftLeaderRefreshesLeases(t *testing.T) {
	for _, c := range []struct {
		name string
		fail func(w *storeWorld, leader string)
		hold time.Duration // how long the lease of a dead node lives at least, from the fault on
	}{
		{"nothing", func(*storeWorld, string) {}, 0},
		{"killed", func(w *storeWorld, n string) { w.procs[n].Kill() }, 6 * time.Second},
		{"cut off", func(w *storeWorld, n string) { w.isolate(n, true) }, 6 * time.Second},
		{"stopped", func(w *storeWorld, n string) { w.procs[n].Stop() }, 6 * time.Second},
		{"its etcd alone died", func(w *storeWorld, n string) { w.s.VoterDown(n, true) }, 6 * time.Second},
		{"its disk is too slow to lead", func(w *storeWorld, n string) { w.s.SlowFsync(n, 3*time.Second) }, 6 * time.Second},
		{"moved on purpose", func(w *storeWorld, n string) {
			if !w.s.MoveRaftLeaderOff(n) {
				w.t.Error("not moved")
			}
		}, 5 * time.Second},
	} {
		w := newStoreWorld(t, 21, 3, 3)
		id := w.grant(w.other(), 5*time.Second)
		w.run(4 * time.Second) // one second is left
		old, at := w.leader(), w.l.Now()
		c.fail(w, old)
		for w.s.LeaseAlive(id) && w.l.Now() < at+time.Minute {
			w.run(10 * time.Millisecond)
		}
		lived := w.l.Now() - at
		if c.hold == 0 {
			if lived > 1700*time.Millisecond || w.leader() != old {
				t.Errorf("%s: lived %v, %s leads", c.name, lived, w.leader())
			}
			continue
		}
		if lived < c.hold || lived > 9*time.Second || w.leader() == old || w.leader() == "" {
			t.Errorf("%s: lived %v, %q leads after %s", c.name, lived, w.leader(), old)
		}
	}
}

// A leader that restarts before anybody misses it is a follower; its leases are counted anew by whoever wins.
func TestStoreLeaderRestartsAtOnce(t *testing.T) {
	for seed := range uint64(10) {
		w := newStoreWorld(t, seed, 3, 3)
		id := w.grant(w.other(), 5*time.Second)
		w.run(4500 * time.Millisecond)
		old, at := w.leader(), w.l.Now()
		w.procs[old].Kill()
		w.start(old)
		for w.s.LeaseAlive(id) && w.l.Now() < at+time.Minute {
			w.run(10 * time.Millisecond)
		}
		if lived := w.l.Now() - at; lived < 6*time.Second || lived > 9*time.Second {
			t.Errorf("seed %d: the lease lived %v", seed, lived)
		}
	}
}

// Slow or lossy lines between the voters: what raft can bear does not cost the leadership, what it cannot does.
func TestStoreBadLines(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault func(n *Net, leader string)
		kept  bool
	}{
		{"20 % loss", func(n *Net, _ string) { n.Loss(NetCluster, "*", "*", 0.2) }, true},
		{"50 ms", func(n *Net, l string) { n.Delay(NetCluster, l, "*", 50*time.Millisecond) }, true},
		{"95 % loss", func(n *Net, l string) { n.Loss(NetCluster, l, "*", 0.95) }, false},
		{"three seconds", func(n *Net, l string) { n.Delay(NetCluster, "*", l, 3*time.Second) }, false},
	} {
		w := newStoreWorld(t, 28, 3, 3)
		old := w.leader()
		c.fault(w.n, old)
		w.run(6 * time.Second)
		if w.leader() == "" || (w.leader() == old) != c.kept {
			t.Errorf("%s: %q leads after %s", c.name, w.leader(), old)
		}
	}
}

// Whoever does not reach a majority gets no answer; whoever does gets one within the election's time.
func TestStoreMinorityIsUnavailable(t *testing.T) {
	for _, lead := range []bool{true, false} {
		w := newStoreWorld(t, 22, 3, 3)
		id := w.grant("node1", 20*time.Second)
		lone := w.other()
		if lead {
			lone = w.leader()
		}
		rev := w.s.rev
		w.isolate(lone, true)
		if _, err := w.get(lone, "x"); err != ha.ErrUnavailable {
			t.Errorf("leader %v: read at once: %v", lead, err)
		}
		if _, err := w.commit(lone, ha.Txn{Puts: one("x", "lone")}); err != ha.ErrUnavailable && err != ha.ErrAmbiguous {
			t.Errorf("leader %v: write: %v", lead, err)
		}
		w.run(5 * time.Second)
		if _, err := w.commit(lone, ha.Txn{Puts: one("x", "lone")}); err != ha.ErrUnavailable {
			t.Errorf("leader %v: write without any leader: %v", lead, err)
		}
		if err := w.renew(lone, id); err != ha.ErrUnavailable {
			t.Errorf("leader %v: renewal: %v", lead, err)
		}
		if h := w.client[lone].Health(); h.Available || len(h.Answering) != 1 || h.Reason == "" {
			t.Errorf("leader %v: health %+v", lead, h)
		}
		if w.leader() == lone || w.leader() == "" {
			t.Fatalf("leader %v: %q leads", lead, w.leader())
		}
		if err := w.renew(w.leader(), id); err != nil {
			t.Errorf("leader %v: the majority: %v", lead, err)
		}
		if w.s.rev != rev || w.value("x") != "-" {
			t.Errorf("leader %v: a write from the minority took effect while it was cut off", lead)
		}
		w.isolate(lone, false)
		w.run(time.Second)
		if err := w.renew(lone, id); err != nil {
			t.Errorf("leader %v: healed: %v", lead, err)
		}
	}
}

func TestStoreVotersCount(t *testing.T) {
	for _, c := range []struct {
		name           string
		voters, killed int
		serves         bool
	}{
		{"one of one", 1, 0, true},
		{"one of two dies", 2, 1, false},
		{"one of three dies", 3, 1, true},
		{"two of three die", 3, 2, false},
		{"two of five die", 5, 2, true},
	} {
		w := newStoreWorld(t, 23, c.voters, c.voters+1)
		for i := range c.killed {
			w.procs[w.s.voters[i].node].Kill()
		}
		w.run(4 * time.Second)
		client := w.s.clientNode(c.voters) // has no vote
		_, err := w.get(client, "x")
		if (err == nil) != c.serves {
			t.Errorf("%s: %v", c.name, err)
		}
		for i := range c.killed {
			w.start(w.s.voters[i].node)
		}
		w.run(4 * time.Second)
		if _, err := w.get(client, "x"); err != nil {
			t.Errorf("%s: all run again: %v", c.name, err)
		}
	}
}

func TestStoreDownAndUp(t *testing.T) {
	w := newStoreWorld(t, 24, 3, 3)
	rev := w.put("node1", "x", "1", 0)
	w.s.Down(true)
	w.s.Down(true)
	w.s.Down(false)
	w.run(5 * time.Second)
	if _, err := w.get("node1", "x"); err != ha.ErrUnavailable {
		t.Errorf("down: %v", err)
	}
	if _, err := w.commit("node1", ha.Txn{Puts: one("x", "2")}); err != ha.ErrUnavailable {
		t.Errorf("a write that never left: %v", err)
	}
	w.s.Down(false)
	w.run(3 * time.Second)
	if kv, err := w.get("node1", "x"); err != nil || kv.ModRev != rev || string(kv.Value) != "1" {
		t.Errorf("what was stored: %+v, %v", kv, err)
	}
}

// One direction is enough to lose: a voter who is not heard by the others, or does not hear them, is no use to its clients.
func TestStoreOneWayCut(t *testing.T) {
	for _, c := range []struct{ from, to string }{{"leader", "*"}, {"*", "leader"}} {
		w := newStoreWorld(t, 25, 3, 3)
		old := w.leader()
		name := func(s string) string {
			if s == "leader" {
				return old
			}
			return s
		}
		w.n.Cut(NetCluster, name(c.from), name(c.to), true)
		w.run(2 * time.Second)
		if c.to == "leader" && w.leader() != "" { // the others hear it and wait until it resigns
			t.Errorf("%s leads after two seconds", w.leader())
		}
		w.run(3 * time.Second)
		if w.leader() == old || w.leader() == "" {
			t.Errorf("%s -> %s: %q leads", c.from, c.to, w.leader())
			continue
		}
		if _, err := w.get(old, "x"); err != ha.ErrUnavailable {
			t.Errorf("%s -> %s: read: %v", c.from, c.to, err)
		}
		if _, err := w.get(w.leader(), "x"); err != nil {
			t.Errorf("%s -> %s: the others: %v", c.from, c.to, err)
		}
	}
}

// A daemon whose own member is down, or cut off from the others but not from it, uses another member.
func TestStoreClientUsesAnotherMember(t *testing.T) {
	w := newStoreWorld(t, 26, 3, 3)
	node := w.other()
	w.s.VoterDown(node, true)
	w.run(time.Second)
	if _, err := w.commit(node, ha.Txn{Puts: one("x", "1")}); err != nil {
		t.Errorf("own member down: %v", err)
	}
	w.procs[w.leader()].Stop() // two of three are away now
	w.run(4 * time.Second)
	if _, err := w.get(node, "x"); err != ha.ErrUnavailable {
		t.Errorf("no majority: %v", err)
	}
	w.s.VoterDown(node, false)
	w.run(4 * time.Second)
	if kv, err := w.get(node, "x"); err != nil || string(kv.Value) != "1" {
		t.Errorf("own member again: %+v, %v", kv, err)
	}
}

func TestStoreShortestTTL(t *testing.T) {
	patient, err := ha.Profile("patient")
	if err != nil {
		t.Fatal(err)
	}
	w := newStoreWorld(t, 32, 3, 3)
	w.s.timing = patient
	err = await(w, func(done func(error)) {
		w.client["node1"].Grant(5*time.Second, callTime, func(_ ha.LeaseID, err error) { done(err) })
	})
	w.run(time.Second)
	if err != ha.ErrTTL || len(w.s.leases) != 0 {
		t.Errorf("a TTL of 5 s where elections take 5 s: %v, %d leases are left", err, len(w.s.leases))
	}
	if l := w.s.lease(w.grant("node1", 8*time.Second)); l.ttl != 8*time.Second {
		t.Errorf("a TTL of 8 s: %v", l.ttl)
	}
}
