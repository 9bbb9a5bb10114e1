package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bascule/ha"
)

func testReading(t *testing.T, s suite) {
	if rev, kvs, err := s.Read(s.ctx); err != nil || rev < 1 || len(kvs) != 0 {
		t.Fatalf("an empty store: rev %d, %v, %v", rev, kvs, err)
	}
	if kv, _, err := s.Get(s.ctx, "node/a"); kv != nil || err != nil {
		t.Fatalf("a key that does not exist: %v, %v", kv, err)
	}
	r1 := s.put("node/b", "one", 0)
	r2 := s.put("node/a", "two", 0)
	r3 := s.put("node/b", "three", 0)
	if r1 >= r2 || r2 >= r3 {
		t.Errorf("revisions do not grow: %d %d %d", r1, r2, r3)
	}
	rev, kvs, err := s.Read(s.ctx)
	if err != nil || rev < r3 {
		t.Fatalf("rev %d, %v", rev, err)
	}
	want := []ha.KV{
		{Key: "node/a", Value: []byte("two"), CreateRev: r2, ModRev: r2},
		{Key: "node/b", Value: []byte("three"), CreateRev: r1, ModRev: r3},
	}
	if diff := cmp.Diff(want, kvs); diff != "" {
		t.Error(diff)
	}
	if _, err := s.Commit(s.ctx, ha.Txn{Dels: []string{"node/b", "node/none"}}); err != nil {
		t.Fatal(err)
	}
	if got := s.value("node/b"); got != "-" {
		t.Errorf("a removed key still holds %q", got)
	}
	if again := s.put("node/b", "four", 0); again <= r3 {
		t.Errorf("a key made anew has revision %d, not above %d", again, r3)
	}
}

func testGuards(t *testing.T, s suite) {
	rev := s.put("guest/1", "a", 0, ha.Guard{Key: "guest/1"})
	for what, guards := range map[string][]ha.Guard{
		"must not exist, but does": {{Key: "guest/1"}},
		"older revision":           {{Key: "guest/1", Rev: rev - 1}},
		"missing key":              {{Key: "guest/2", Rev: rev}},
		"one of two":               {{Key: "guest/1", Rev: rev}, {Key: "guest/2", Rev: 3}},
	} {
		tx := ha.Txn{Guards: guards, Puts: []ha.Put{{Key: "guest/1", Value: []byte("x")}, {Key: "guest/3", Value: []byte("x")}}}
		if _, err := s.Commit(s.ctx, tx); !errors.Is(err, ha.ErrConflict) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if s.value("guest/1") != "a" || s.value("guest/3") != "-" {
		t.Error("a refused transaction has written something")
	}
	next := s.put("guest/1", "b", 0, ha.Guard{Key: "guest/1", Rev: rev}, ha.Guard{Key: "guest/2"})
	tx := ha.Txn{Guards: []ha.Guard{{Key: "guest/1", Rev: next}}, Dels: []string{"guest/1"}, Puts: []ha.Put{{Key: "guest/2", Value: []byte("c")}}}
	if _, err := s.Commit(s.ctx, tx); err != nil {
		t.Fatal(err)
	}
	if s.value("guest/1") != "-" || s.value("guest/2") != "c" {
		t.Error("a transaction was carried out in part")
	}
}

func testImpossible(t *testing.T, s suite) {
	put := ha.Put{Key: "a", Value: []byte("x")}
	many := make([]string, ha.MaxTxnOps+1)
	for i := range many {
		many[i] = "event/" + string(rune('a'+i%26)) + string(rune('a'+i/26))
	}
	guards := make([]ha.Guard, ha.MaxTxnOps)
	for i := range guards {
		guards[i].Key = many[i]
	}
	for what, tx := range map[string]ha.Txn{
		"written twice":       {Puts: []ha.Put{put, put}},
		"written and removed": {Puts: []ha.Put{put}, Dels: []string{"a"}},
		"empty key":           {Puts: []ha.Put{{Value: []byte("x")}}},
		"too many":            {Dels: many},
		"the term counts":     {Term: 1, Guards: guards, Puts: []ha.Put{put}},
	} {
		_, err := s.Commit(s.ctx, tx)
		if err == nil || errors.Is(err, ha.ErrConflict) || errors.Is(err, ha.ErrAmbiguous) || errors.Is(err, ha.ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if s.value("a") != "-" {
		t.Error("an impossible transaction has written something")
	}
	if _, err := s.Commit(s.ctx, ha.Txn{Dels: many[:ha.MaxTxnOps]}); err != nil {
		t.Errorf("as many writes as allowed: %v", err)
	}
}

func testEndedContext(t *testing.T, s suite) {
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	if _, _, err := s.bare.Read(ctx); !errors.Is(err, ha.ErrUnavailable) {
		t.Errorf("read: %v", err)
	}
	if _, err := s.bare.Renew(ctx, 1); !errors.Is(err, ha.ErrUnavailable) {
		t.Errorf("renew: %v", err)
	}
	_, err := s.bare.Commit(ctx, ha.Txn{Puts: []ha.Put{{Key: "a", Value: []byte("x")}}})
	if !errors.Is(err, ha.ErrUnavailable) && !errors.Is(err, ha.ErrAmbiguous) {
		t.Errorf("commit: %v", err)
	}
}

func testLostAnswers(t *testing.T, s suite) {
	loser, ok := s.bare.(AnswerLoser)
	if !ok {
		t.Skip("this store cannot lose answers")
	}
	s.losing(func(tx ha.Txn, limit time.Duration) bool {
		loser.LoseNextCommit(false)
		_, err := s.short(tx, limit)
		if err == nil || errors.Is(err, ha.ErrUnavailable) {
			t.Logf("again after: %v", err) // the machine stalled: the lost connection was found out before, or there was no time to send anything
			return false
		}
		if !errors.Is(err, ha.ErrAmbiguous) {
			t.Errorf("a commit that never arrived: %v", err)
		}
		if got := s.value("guest/1"); got != "a" {
			t.Errorf("a commit that never arrived has written %q", got)
		}
		return true
	})
	s.losing(func(tx ha.Txn, limit time.Duration) bool {
		loser.LoseNextCommit(true)
		at, err := s.short(tx, limit)
		kv, _, gerr := s.Get(s.ctx, "guest/1")
		switch {
		case gerr != nil:
			t.Fatal(gerr)
		case errors.Is(err, ha.ErrUnavailable) && string(kv.Value) == "a":
			t.Logf("again after: %v", err) // the machine stalled: there was no time to send anything
			return false
		case err != nil && !errors.Is(err, ha.ErrAmbiguous), string(kv.Value) != "b", err == nil && at != kv.ModRev:
			t.Errorf("a commit that happened: revision %d, %v, but %+v", at, err, kv)
		}
		return true
	})

	rec := ha.LeaderRecord{Node: "node1", Incarnation: "i", Lease: s.grant(testTTL)}
	loser.LoseNextCommit(true)
	ctx, cancel := context.WithTimeout(s.ctx, lostCall)
	defer cancel()
	term, holder, err := s.bare.Campaign(ctx, rec)
	if err != nil && (errors.Is(err, ha.ErrAmbiguous) || errors.Is(err, ha.ErrUnavailable)) {
		term, holder, err = s.Campaign(s.ctx, rec) // the next try finds that it has won
	}
	if err != nil || holder != nil || term == 0 {
		t.Fatalf("a campaign whose answer was lost: term %d, holder %v, %v", term, holder, err)
	}
	s.commitUnder(term)
}

// losing tries until the machine gave the loss its chance: with a guest's record that says a, a transaction that makes it b, and more
// time for each try.
func (s suite) losing(try func(tx ha.Txn, limit time.Duration) bool) {
	s.t.Helper()
	limit := lostCall
	for range attempts {
		rev := s.put("guest/1", "a", 0)
		if try(ha.Txn{Guards: []ha.Guard{{Key: "guest/1", Rev: rev}}, Puts: []ha.Put{{Key: "guest/1", Value: []byte("b")}}}, limit) {
			return
		}
		limit = min(2*limit, 20*lostCall)
	}
	s.t.Errorf("no answer was lost in %d attempts", attempts)
}

// short commits with a deadline that a lost answer may use up.
func (s suite) short(tx ha.Txn, limit time.Duration) (int64, error) {
	ctx, cancel := context.WithTimeout(s.ctx, limit)
	defer cancel()
	return s.bare.Commit(ctx, tx)
}
