package storetest

import (
	"errors"
	"testing"
	"time"

	"bascule/ha"
)

const (
	testTTL  = 30 * time.Minute // of leases that are not to end by themselves
	lostCall = 3 * time.Second  // deadline of a call whose answer is lost
	attempts = 10               // of what a stalled machine may have spoilt
)

// commitUnder writes something under a term; it must succeed.
func (s suite) commitUnder(term ha.Term) {
	s.t.Helper()
	if _, err := s.Commit(s.ctx, ha.Txn{Term: term, Puts: []ha.Put{{Key: "node/x", Value: []byte("by the leader")}}}); err != nil {
		s.t.Errorf("under term %d: %v", term, err)
	}
}

func testTerm(t *testing.T, s suite) {
	under := func(term ha.Term) error {
		_, err := s.Commit(s.ctx, ha.Txn{Term: term, Puts: []ha.Put{{Key: "node/x", Value: []byte("old leader")}}})
		return err
	}
	if err := under(1); !errors.Is(err, ha.ErrConflict) {
		t.Errorf("a term while nobody leads: %v", err)
	}
	l1, l2 := s.grant(testTTL), s.grant(testTTL)
	t1, _, err := s.Campaign(s.ctx, ha.LeaderRecord{Node: "node1", Incarnation: "i1", Lease: l1})
	if err != nil || t1 == 0 {
		t.Fatalf("term %d, %v", t1, err)
	}
	s.commitUnder(t1)
	if err := under(t1 + 1); !errors.Is(err, ha.ErrConflict) {
		t.Errorf("a term that does not exist: %v", err)
	}
	if err := s.Revoke(s.ctx, l1); err != nil { // as if it had ended
		t.Fatal(err)
	}
	if err := under(t1); !errors.Is(err, ha.ErrConflict) {
		t.Errorf("the old term while nobody leads: %v", err)
	}
	t2, _, err := s.Campaign(s.ctx, ha.LeaderRecord{Node: "node2", Incarnation: "i2", Lease: l2})
	if err != nil || t2 <= t1 {
		t.Fatalf("term %d after %d, %v", t2, t1, err)
	}
	if err := under(t1); !errors.Is(err, ha.ErrConflict) {
		t.Errorf("the old term under a new leader: %v", err)
	}
	s.commitUnder(t2)
	if got := s.value("node/x"); got != "by the leader" {
		t.Errorf("an old leader has written: %q", got)
	}
}

func testCampaign(t *testing.T, s suite) {
	if _, _, err := s.Campaign(s.ctx, ha.LeaderRecord{Node: "node1"}); err == nil {
		t.Error("a campaign without a lease was accepted")
	}
	r1 := ha.LeaderRecord{Node: "node1", Incarnation: "i1", Lease: s.grant(testTTL)}
	r2 := ha.LeaderRecord{Node: "node2", Incarnation: "i2", Lease: s.grant(testTTL)}
	term, holder, err := s.Campaign(s.ctx, r1)
	if err != nil || term == 0 || holder != nil {
		t.Fatalf("the first: term %d, holder %v, %v", term, holder, err)
	}
	if got, holder, err := s.Campaign(s.ctx, r2); err != nil || got != 0 || holder == nil || *holder != r1 {
		t.Errorf("the second: term %d, holder %v, %v", got, holder, err)
	}
	if got, _, err := s.Campaign(s.ctx, r1); err != nil || got != term {
		t.Errorf("the holder itself: term %d instead of %d, %v", got, term, err)
	}
	reborn := r1
	reborn.Incarnation = "i3"
	if got, holder, err := s.Campaign(s.ctx, reborn); err != nil || got != 0 || holder == nil {
		t.Errorf("the same node's other incarnation: term %d, %v", got, err)
	}
	kv, _, err := s.Get(s.ctx, ha.KeyLeader)
	if err != nil || kv == nil || kv.Lease != r1.Lease || kv.CreateRev != int64(term) {
		t.Fatalf("the leader key: %+v, %v", kv, err)
	}
	if err := s.Resign(s.ctx, term); err != nil {
		t.Fatal(err)
	}
	if err := s.Resign(s.ctx, term); err != nil {
		t.Errorf("resigning a term that is over: %v", err)
	}
	t2, _, err := s.Campaign(s.ctx, r2)
	if err != nil || t2 <= term {
		t.Fatalf("after the resignation: term %d after %d, %v", t2, term, err)
	}
	if err := s.Resign(s.ctx, term); err != nil {
		t.Errorf("resigning an old term: %v", err)
	}
	s.commitUnder(t2)
	if err := s.Revoke(s.ctx, r2.Lease); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Campaign(s.ctx, r2); !errors.Is(err, ha.ErrLeaseGone) {
		t.Errorf("with a lease that is gone: %v", err)
	}
}

func testLease(t *testing.T, s suite) {
	for _, ttl := range []time.Duration{0, -time.Second, 1500 * time.Millisecond} {
		if _, err := s.Grant(s.ctx, ttl); err == nil {
			t.Errorf("a TTL of %v was granted", ttl)
		}
	}
	id := s.grant(testTTL)
	if ttl, err := s.Renew(s.ctx, id); err != nil || ttl < testTTL {
		t.Errorf("renewed for %v, %v", ttl, err)
	}
	s.put("lease/node1", "here", id)
	s.put("node/kept", "here", 0)
	if kv, _, err := s.Get(s.ctx, "lease/node1"); err != nil || kv.Lease != id {
		t.Errorf("%+v, %v", kv, err)
	}
	if err := s.Revoke(s.ctx, id); err != nil {
		t.Fatal(err)
	}
	if s.value("lease/node1") != "-" || s.value("node/kept") != "here" {
		t.Error("a revoked lease must take its own keys with it, and no others")
	}
	if _, err := s.Renew(s.ctx, id); !errors.Is(err, ha.ErrLeaseGone) {
		t.Errorf("renewing a revoked lease: %v", err)
	}
	if err := s.Revoke(s.ctx, id); err != nil {
		t.Errorf("revoking it again: %v", err)
	}
	tx := ha.Txn{Puts: []ha.Put{{Key: "node/first", Value: []byte("x")}, {Key: "lease/node1", Value: []byte("x"), Lease: id}}}
	if _, err := s.Commit(s.ctx, tx); !errors.Is(err, ha.ErrLeaseGone) {
		t.Errorf("writing under a lease that is gone: %v", err)
	}
	if s.value("node/first") != "-" {
		t.Error("a transaction under a lease that is gone was carried out in part")
	}
}

func testExpiry(t *testing.T, s suite) {
	ttl := s.shortest()
	short, _ := s.hold("lease/short", ttl)
	s.put("lease/long", "here", s.grant(testTTL))
	s.until("the lease has ended and its key is gone", nil, func() bool { return s.value("lease/short") == "-" })
	if got := s.value("lease/long"); got != "here" {
		t.Errorf("the other lease's key: %q", got)
	}
	if _, err := s.Renew(s.ctx, short); !errors.Is(err, ha.ErrLeaseGone) {
		t.Errorf("renewing a lease that has ended: %v", err)
	}
	kept, sent := s.hold("lease/kept", ttl)
	over := time.Now().Add(2*ttl + 2*time.Second)
	s.until("a renewed lease outlives its TTL several times", nil, func() bool {
		now := time.Now()
		_, err := s.Renew(s.ctx, kept)
		got := s.value("lease/kept")
		if err != nil || got != "here" {
			if stalled := time.Since(sent); stalled < ttl || err != nil && !errors.Is(err, ha.ErrLeaseGone) {
				t.Fatalf("a lease of %v, %v after its last renewal: %v, its key: %q", ttl, stalled, err, got)
			}
			kept, now = s.hold("lease/kept", ttl) // the machine stalled for longer than the lease may live
			over = time.Now().Add(2*ttl + 2*time.Second)
		}
		sent = now
		return time.Now().After(over)
	})
}

// hold puts a key under a new lease, and says since when the lease may be counting. (A machine that stalls in between loses short leases.)
func (s suite) hold(key string, ttl time.Duration) (ha.LeaseID, time.Time) {
	s.t.Helper()
	for range attempts {
		began := time.Now()
		id := s.grant(ttl)
		_, err := s.Commit(s.ctx, ha.Txn{Puts: []ha.Put{{Key: key, Value: []byte("here"), Lease: id}}})
		if err == nil {
			return id, began
		}
		if !errors.Is(err, ha.ErrLeaseGone) || time.Since(began) < ttl {
			s.t.Fatalf("writing %s under a lease of %v, %v old: %v", key, ttl, time.Since(began), err)
		}
	}
	s.t.Skipf("the machine stalls again and again for longer than %v", ttl)
	return 0, time.Time{}
}

// testShortest: a lease is as long as it was asked for, or there is none.
func testShortest(t *testing.T, s suite) {
	ttl := s.shortest()
	for range attempts {
		began := time.Now()
		id := s.grant(ttl)
		got, err := s.Renew(s.ctx, id)
		if errors.Is(err, ha.ErrLeaseGone) && time.Since(began) >= ttl {
			continue // the machine stalled
		}
		if err != nil || got != ttl {
			t.Errorf("granted for %v, renewed for %v, %v", ttl, got, err)
		}
		break
	}
	if ttl == time.Second {
		t.Skip("this store grants the shortest lease that there can be")
	}
	for range 2 { // what is known already is refused as well
		if id, err := s.Grant(s.ctx, ttl-time.Second); !errors.Is(err, ha.ErrTTL) || id != 0 {
			t.Errorf("asked for %v, less than the store grants: lease %x, %v", ttl-time.Second, int64(id), err)
		}
	}
	if _, err := s.Grant(s.ctx, ttl); err != nil {
		t.Errorf("after a refusal: %v", err)
	}
}

// testLeaderChange: a new leader of raft does not know when a lease was renewed last, and gives it its whole time again.
func testLeaderChange(t *testing.T, s suite) {
	changer, ok := s.bare.(LeaderChanger)
	if !ok {
		t.Skip("this store cannot change raft's leader")
	}
	ttl := s.shortest() + 2*time.Second
	for range attempts {
		id, granted := s.hold("lease/node1", ttl)
		s.until("most of the lease's time is over", nil, func() bool { return time.Since(granted) > ttl-time.Second })
		changed := time.Now()
		if err := changer.ChangeLeader(s.ctx); err != nil {
			t.Fatal(err)
		}
		if time.Since(granted) >= ttl { // the machine stalled: it may have ended before
			continue
		}
		s.until("the lease would have ended without the change", nil, func() bool { return time.Since(granted) > ttl+1500*time.Millisecond })
		got := s.value("lease/node1")
		if time.Since(changed) >= ttl { // the machine stalled: it may have ended after
			continue
		}
		if got != "here" {
			t.Errorf("after %v, %v of them under a new leader, the key of a lease of %v (%x): %q", time.Since(granted), time.Since(changed), ttl, int64(id), got)
		}
		s.until("it ends all the same", nil, func() bool { return s.value("lease/node1") == "-" })
		if took := time.Since(changed); took < ttl-500*time.Millisecond {
			t.Errorf("it ended %v after the change, its time is %v", took, ttl)
		}
		return
	}
	t.Skipf("the machine stalls again and again: nothing can be said of a lease of %v", ttl)
}

// testCreateRevision: the term lasts as long as the key does, whatever is written into it; a key made anew is another term, even by
// the same hands.
func testCreateRevision(t *testing.T, s suite) {
	rec := ha.LeaderRecord{Node: "node1", Incarnation: "i1", Lease: s.grant(testTTL)}
	term, _, err := s.Campaign(s.ctx, rec)
	if err != nil || term == 0 {
		t.Fatalf("term %d, %v", term, err)
	}
	again := ha.Txn{Term: term, Puts: []ha.Put{{Key: ha.KeyLeader, Value: ha.Encode(rec), Lease: rec.Lease}}}
	if _, err := s.Commit(s.ctx, again); err != nil {
		t.Fatal(err)
	}
	kv, _, err := s.Get(s.ctx, ha.KeyLeader)
	if err != nil || kv.CreateRev != int64(term) || kv.ModRev <= kv.CreateRev {
		t.Errorf("written again: %+v, %v", kv, err)
	}
	s.commitUnder(term)
	if err := s.Resign(s.ctx, term); err != nil {
		t.Fatal(err)
	}
	next, _, err := s.Campaign(s.ctx, rec)
	if err != nil || next <= term {
		t.Fatalf("the same record again: term %d after %d, %v", next, term, err)
	}
	if _, err := s.Commit(s.ctx, ha.Txn{Term: term, Puts: []ha.Put{{Key: "node/x", Value: []byte("old")}}}); !errors.Is(err, ha.ErrConflict) {
		t.Errorf("under the first term: %v", err)
	}
	s.commitUnder(next)
}
