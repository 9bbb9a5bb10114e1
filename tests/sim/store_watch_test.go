package sim

import (
	"reflect"
	"testing"
	"time"

	"bascule/ha"
)

func TestStoreWatchFollows(t *testing.T) {
	for _, c := range []struct {
		name       string
		fault      func(w *storeWorld)
		soon, late time.Duration // it shows the new value not before and not after
	}{
		{"healthy", func(*storeWorld) {}, 0, 10 * time.Millisecond},
		{"lags", func(w *storeWorld) { w.s.LagWatch("node3", 2*time.Second) }, 2 * time.Second, 2100 * time.Millisecond},
		{"broken", func(w *storeWorld) { w.s.BreakWatch("node3", 3*time.Second) }, 2900 * time.Millisecond, 3300 * time.Millisecond},
		{"broken, and history forgotten", func(w *storeWorld) { w.s.BreakWatch("node3", 3*time.Second); w.s.Compact() }, 2900 * time.Millisecond, 3300 * time.Millisecond},
		{"lags, and history forgotten", func(w *storeWorld) {
			w.s.LagWatch("node3", 20*time.Second)
			w.l.After(time.Second, w.s.Compact)
		}, time.Second, 1300 * time.Millisecond},
		{"cut off for four seconds", func(w *storeWorld) {
			w.isolate("node3", true)
			w.l.After(4*time.Second, func() { w.isolate("node3", false) })
		}, 4 * time.Second, 6 * time.Second},
		{"stopped for two seconds", func(w *storeWorld) {
			w.procs["node3"].Stop()
			w.l.After(2*time.Second, w.procs["node3"].Continue)
		}, 2 * time.Second, 2500 * time.Millisecond},
		{"its member died", func(w *storeWorld) { w.s.VoterDown("node3", true) }, 0, 5 * time.Second},
	} {
		w := newStoreWorld(t, 31, 3, 3)
		if w.leader() == "node3" {
			w.s.MoveRaftLeaderOff("node3")
		}
		cl := w.client["node3"]
		if _, ok := cl.Snapshot(); ok {
			t.Error("there is a copy before the watch began")
		}
		calls := 0
		cl.Watch(func() { calls++ })
		w.put("node1", "request/a", `{"id":"a"}`, 0)
		w.run(time.Second)
		old, ok := cl.Snapshot()
		if !ok || len(old.Requests) != 1 || calls == 0 {
			t.Fatalf("%s: no copy: %+v", c.name, old)
		}
		c.fault(w)
		at := w.l.Now()
		rev := w.put("node1", "request/b", `{"id":"b"}`, 0)
		for w.l.Now() < at+30*time.Second {
			if s, _ := cl.Snapshot(); s.Revision >= rev {
				break
			}
			w.run(time.Millisecond)
		}
		now, _ := cl.Snapshot()
		if d := w.l.Now() - at; d < c.soon || d > c.late || len(now.Requests) != 2 {
			t.Errorf("%s: after %v, %d requests", c.name, d, len(now.Requests))
		}
		if len(old.Requests) != 1 {
			t.Errorf("%s: an old snapshot has changed", c.name)
		}
	}
}

// Restoring a copy takes content and revision back; its leases live again, with their full time.
func TestStoreRestore(t *testing.T) {
	w := newStoreWorld(t, 41, 3, 3)
	cl := w.client["node2"]
	cl.Watch(func() {})
	kept := w.grant("node1", 5*time.Second)
	w.put("node1", "lease/node1", `{"node":"node1"}`, kept)
	w.put("node1", "event/1", `{}`, 0)
	w.put("node1", "event/2", `{}`, 0)
	w.put("node1", "event/3", `{}`, 0)
	w.s.Backup()
	rev := w.s.rev
	w.put("node1", "event/4", `{}`, 0)
	if err := w.revoke("node1", kept); err != nil {
		t.Fatal(err)
	}
	fresh := w.grant("node1", 5*time.Second)
	w.run(10 * time.Second)
	beforehand, _ := cl.Snapshot()
	w.s.LagWatch("node2", 4*time.Second)
	w.put("node1", "event/4", `{"of":"the history that is undone"}`, 0)
	at := w.l.Now()
	w.s.Restore()
	w.run(3 * time.Second)
	if w.s.rev != rev || w.value("lease/node1") == "-" || w.value("event/4") != "-" || w.s.LeaseAlive(fresh) {
		t.Errorf("revision %d of %d", w.s.rev, rev)
	}
	if s, _ := cl.Snapshot(); s.Revision != rev || len(s.Events) != 3 {
		t.Errorf("the watched copy: %+v", s)
	}
	w.put("node1", "event/5", `{}`, 0)
	if len(beforehand.Events) != 4 || beforehand.Events[3] != "event/4" {
		t.Errorf("an old snapshot has changed: %v", beforehand.Events)
	}
	for range 30 {
		w.run(100 * time.Millisecond)
		if s, _ := cl.Snapshot(); s.Revision > rev+1 || len(s.Events) > 4 {
			t.Fatalf("the undone history shows: %+v", s)
		}
	}
	for w.s.LeaseAlive(kept) && w.l.Now() < at+time.Minute {
		w.run(10 * time.Millisecond)
	}
	if lived := w.l.Now() - at; lived < 5*time.Second || lived > 9*time.Second {
		t.Errorf("a restored lease lives %v", lived)
	}
}

// The snapshot that grows revision by revision is the one that a full read would give.
func TestStoreSnapshotIsWhatAFullReadGives(t *testing.T) {
	w := newStoreWorld(t, 51, 3, 3)
	keys := []string{"leader", "lease/a", "report/a", "node/a", "node/b", "guest/1", "guest/2", "fence/a", "request/r", "event/1", "event/2",
		"event/3", "onboot/1", "guestreport/a/1", "guestreport/a/2", "guestreport/b/1", "unknown/x", "guest/none"}
	values := []string{`{}`, `{"schema":1,"node":"a"}`, `{"schema":1,"node":"b"}`, `{"schema":9}`, `broken`}
	rng := w.l.Rand("test")
	var shots []*ha.Snapshot
	var texts []string
	for i := range 600 {
		tx := ha.Txn{}
		n := rng.IntN(len(keys))
		if rng.IntN(3) == 0 {
			tx.Dels = []string{keys[n]}
		} else {
			many := len(values)
			if rng.IntN(10) != 0 {
				many = 3 // mostly sound ones
			}
			tx.Puts = one(keys[n], values[rng.IntN(many)])
		}
		tx.Puts = append(tx.Puts, one("request/other", `{}`)...)
		if _, err := w.s.applyTxn(&storeRequest{txn: &tx}); err != nil {
			t.Fatal(err)
		}
		want, _ := ha.DecodeSnapshot(w.s.rev, w.s.all())
		got := *w.s.Truth()
		if len(got.Events) == 0 {
			got.Events = nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("step %d, %+v:\n%+v\nwant\n%+v", i, tx, got, want)
		}
		shots, texts = append(shots, w.s.Truth()), append(texts, string(ha.Encode(got)))
	}
	for i, s := range shots {
		if now := string(ha.Encode(s)); len(s.Events) > 0 && now != texts[i] {
			t.Fatalf("snapshot %d has changed from\n%s to\n%s", i, texts[i], now)
		}
	}
}
