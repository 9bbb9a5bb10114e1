package sim

import (
	"errors"
	"testing"
	"time"

	"bascule/ha"
)

func one(key, value string) []ha.Put { return []ha.Put{{Key: key, Value: []byte(value)}} }

func TestStoreRevisionsAndGuards(t *testing.T) {
	w := newStoreWorld(t, 1, 3, 3)
	r1 := w.put("node1", "guest/1", "a", 0, ha.Guard{Key: "guest/1"})
	r2 := w.put("node2", "guest/2", "b", 0)
	r3 := w.put("node3", "guest/1", "c", 0, ha.Guard{Key: "guest/1", Rev: r1})
	if r2 != r1+1 || r3 != r2+1 {
		t.Errorf("revisions %d %d %d", r1, r2, r3)
	}
	kv, err := w.get("node2", "guest/1")
	if err != nil || kv == nil || kv.CreateRev != r1 || kv.ModRev != r3 || string(kv.Value) != "c" {
		t.Fatalf("%+v, %v", kv, err)
	}
	for _, c := range []struct {
		name string
		tx   ha.Txn
		want error
	}{
		{"must not exist, but does", ha.Txn{Guards: []ha.Guard{{Key: "guest/1"}}, Puts: one("x", "x")}, ha.ErrConflict},
		{"older revision", ha.Txn{Guards: []ha.Guard{{Key: "guest/1", Rev: r1}}, Puts: one("x", "x")}, ha.ErrConflict},
		{"missing key", ha.Txn{Guards: []ha.Guard{{Key: "guest/9", Rev: r1}}, Puts: one("x", "x")}, ha.ErrConflict},
		{"a term without a leader", ha.Txn{Term: 5, Puts: one("x", "x")}, ha.ErrConflict},
		{"a lease that does not exist", ha.Txn{Puts: []ha.Put{{Key: "x", Lease: 77}}}, ha.ErrLeaseGone},
		{"removes what is not there", ha.Txn{Dels: []string{"guest/9"}}, nil},
	} {
		rev, err := w.commit("node1", c.tx)
		if err != c.want || w.s.rev != r3 || c.want == nil && rev != r3 {
			t.Errorf("%s: revision %d of %d, %v", c.name, rev, w.s.rev, err)
		}
	}
	if _, err := w.commit("node1", ha.Txn{Puts: one("a", "x"), Dels: []string{"a"}}); err == nil || errors.Is(err, ha.ErrConflict) {
		t.Errorf("an impossible transaction: %v", err)
	}
	if rev, err := w.commit("node1", ha.Txn{Puts: one("guest/3", "d"), Dels: []string{"guest/1", "guest/2"}}); err != nil || rev != r3+1 || len(w.s.kvs) != 1 {
		t.Errorf("a mixed transaction: %d, %v, %d keys", rev, err, len(w.s.kvs))
	}
	if kv, err := w.get("node1", "guest/1"); kv != nil || err != nil {
		t.Errorf("a removed key: %v, %v", kv, err)
	}
}

func TestStoreCampaign(t *testing.T) {
	w := newStoreWorld(t, 2, 3, 3)
	rec1 := ha.LeaderRecord{Node: "node1", Incarnation: "i1", Lease: w.grant("node1", 20*time.Second)}
	rec2 := ha.LeaderRecord{Node: "node2", Incarnation: "i2", Lease: w.grant("node2", 20*time.Second)}
	if _, err := w.campaign("node1", ha.LeaderRecord{Node: "node1"}); err == nil {
		t.Error("a campaign without a lease")
	}
	t1, err := w.campaign("node1", rec1)
	if err != nil || t1 == 0 {
		t.Fatalf("term %d, %v", t1, err)
	}
	if got, err := w.campaign("node2", rec2); got != 0 || err != nil {
		t.Errorf("the second: term %d, %v", got, err)
	}
	if got, err := w.campaign("node1", rec1); got != t1 || err != nil {
		t.Errorf("the holder again: term %d, %v", got, err)
	}
	reborn := rec1
	reborn.Incarnation = "i3"
	if got, err := w.campaign("node1", reborn); got != 0 || err != nil {
		t.Errorf("the same node's other incarnation: term %d, %v", got, err)
	}
	under := func(term ha.Term) error {
		_, err := w.commit("node3", ha.Txn{Term: term, Puts: one("node/x", "by a leader")})
		return err
	}
	if err := under(t1); err != nil {
		t.Errorf("under the term: %v", err)
	}
	if w.s.Truth().Term != t1 || w.s.Truth().Leader == nil || w.s.Truth().Leader.Node != "node1" {
		t.Errorf("truth: %+v", w.s.Truth())
	}
	resign := func(term ha.Term) error {
		return await(w, func(done func(error)) { w.client["node1"].Resign(term, callTime, done) })
	}
	if err := resign(t1); err != nil {
		t.Fatal(err)
	}
	if err := resign(t1); err != nil {
		t.Errorf("resigning again: %v", err)
	}
	t2, err := w.campaign("node2", rec2)
	if err != nil || t2 <= t1 {
		t.Fatalf("term %d after %d, %v", t2, t1, err)
	}
	if err := under(t1); err != ha.ErrConflict {
		t.Errorf("the old term: %v", err)
	}
	if err := w.revoke("node3", rec2.Lease); err != nil || w.s.Truth().Leader != nil {
		t.Errorf("the leader's lease is revoked: %v, %+v", err, w.s.Truth().Leader)
	}
	if _, err := w.campaign("node2", rec2); err != ha.ErrLeaseGone {
		t.Errorf("with a lease that is gone: %v", err)
	}
}

func TestStoreLeases(t *testing.T) {
	w := newStoreWorld(t, 3, 3, 3)
	var gone []Applied
	w.s.OnApply(func(a Applied) {
		if len(a.Gone) > 0 {
			gone = append(gone, a)
		}
	})
	id := w.grant("node1", 5*time.Second)
	w.put("node1", "lease/node1", "{}", id)
	w.put("node1", "leader", "{}", id)
	w.put("node1", "node/kept", "{}", 0)
	before := w.s.rev
	if err := w.renew("node1", id); err != nil {
		t.Fatal(err)
	}
	if err := w.revoke("node2", id); err != nil {
		t.Fatal(err)
	}
	if w.s.rev != before+1 || len(gone) != 1 || len(gone[0].Gone) != 2 || gone[0].Op != "revoke" || gone[0].By != "node2" {
		t.Errorf("revision %d after %d, %+v", w.s.rev, before, gone)
	}
	if w.value("lease/node1") != "-" || w.value("node/kept") != "{}" {
		t.Error("a revoked lease takes its own keys, and no others")
	}
	if err := w.renew("node1", id); err != ha.ErrLeaseGone {
		t.Errorf("renewing it: %v", err)
	}
	if err := w.revoke("node1", id); err != nil {
		t.Errorf("revoking it again: %v", err)
	}
	bad := await(w, func(done func(error)) {
		w.client["node1"].Grant(1500*time.Millisecond, callTime, func(_ ha.LeaseID, err error) { done(err) })
	})
	if bad == nil {
		t.Error("a TTL of one and a half seconds was granted")
	}
}

// Expiry is counted by raft's leader from its receipt and noticed within half a second; the keys go in one revision.
func TestStoreExpiryIsNoticedWithinHalfASecond(t *testing.T) {
	latest := time.Duration(0)
	for seed := range uint64(20) {
		w := newStoreWorld(t, seed, 3, 3)
		var at time.Duration
		w.s.OnApply(func(a Applied) {
			if a.Op == "expire" {
				at = a.At
			}
		})
		id := w.grant("node1", 5*time.Second)
		w.put("node1", "lease/node1", "{}", id)
		w.run(3*time.Second + time.Duration(seed)*17*time.Millisecond)
		sent := w.l.Now()
		if err := w.renew("node1", id); err != nil {
			t.Fatal(err)
		}
		received := w.l.Now()
		w.run(10 * time.Second)
		if at < sent+5*time.Second || at > received+5*time.Second+600*time.Millisecond {
			t.Errorf("seed %d: renewed at %v, gone at %v", seed, sent, at)
		}
		latest = max(latest, at-received-5*time.Second)
	}
	if latest < 200*time.Millisecond {
		t.Errorf("expiry is never noticed late: %v", latest)
	}
}

// A renewal that comes after the end, but before it is noticed, does not save the lease.
func TestStoreRenewalOfAnExpiredLease(t *testing.T) {
	w := newStoreWorld(t, 5, 3, 3)
	id := w.grant("node1", 5*time.Second)
	l := w.s.lease(id)
	for w.l.Now() < l.ends {
		w.run(time.Millisecond)
	}
	if !w.s.LeaseAlive(id) {
		t.Fatal("noticed at once with this seed: take another one")
	}
	if err := w.renew("node1", id); err != ha.ErrLeaseGone {
		t.Errorf("%v", err)
	}
	if w.s.LeaseAlive(id) {
		t.Error("the lease lives on")
	}
}

func TestStoreDeterminism(t *testing.T) {
	run := func(seed uint64) uint64 {
		w := newStoreWorld(t, seed, 3, 4)
		busy(w, 4)
		w.s.Ambiguous("node2", 0.2)
		w.s.LagWatch("node3", 30*time.Millisecond)
		w.run(5 * time.Second)
		w.isolate(w.leader(), true)
		w.run(10 * time.Second)
		w.n.Loss(NetCluster, "*", "node1", 0.2)
		w.run(10 * time.Second)
		return w.l.Hash()
	}
	a, b, c := run(11), run(11), run(12)
	if a != b {
		t.Errorf("the same seed: %x and %x", a, b)
	}
	if a == c {
		t.Error("another seed gives the same trace")
	}
}

// busy lets every node hold a lease that it renews each second, and write now and then.
func busy(w *storeWorld, nodes int) {
	for i := range nodes {
		node := w.s.clientNode(i)
		c := w.client[node]
		c.Watch(func() {})
		c.Grant(5*time.Second, callTime, func(id ha.LeaseID, _ error) {
			var renew func()
			n := 0
			renew = func() {
				n++
				c.Renew(id, callTime, func(time.Duration, error) {})
				if n%5 == 0 {
					rec := ha.LeaseRecord{Node: ha.NodeName(node), Incarnation: "i", Lease: id}
					c.Commit(ha.Txn{Puts: []ha.Put{{Key: ha.KeyLease(rec.Node), Value: ha.Encode(rec), Lease: id}}}, callTime, func(int64, error) {})
				}
				c.proc.After(time.Second, renew)
			}
			renew()
		})
	}
}

func (s *Store) clientNode(i int) string { return s.clients[i].node }

func BenchmarkStoreLeases150s(b *testing.B) {
	for i := range b.N {
		w := newStoreWorld(&testing.T{}, uint64(i), 3, 3)
		busy(w, 3)
		w.run(150 * time.Second)
		if len(w.s.leases) != 3 {
			b.Fatalf("%d leases", len(w.s.leases))
		}
	}
}
