package storetest

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bascule/ha"
)

// watch starts the view; the channel receives after every batch.
func (s suite) watch() <-chan struct{} {
	changed := make(chan struct{}, 1)
	s.StartView(s.ctx, func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	return changed
}

// same waits until the view equals what a read returns.
func (s suite) same(what string, changed <-chan struct{}) {
	s.t.Helper()
	rev, want, err := s.Read(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	var got []ha.KV
	defer func() {
		if s.t.Failed() {
			s.t.Log(cmp.Diff(want, got))
		}
	}()
	s.until(what, changed, func() bool {
		var at int64
		var ok bool
		at, got, ok = s.Latest()
		return ok && at <= rev && len(got) == len(want) && (len(want) == 0 || cmp.Equal(want, got))
	})
}

func testView(t *testing.T, s suite) {
	if _, _, ok := s.Latest(); ok {
		t.Error("there is a view before it was started")
	}
	s.put("node/b", "before", 0)
	changed := s.watch()
	s.same("the view shows what was there", changed)
	id := s.grant(testTTL)
	s.put("lease/a", "x", id)
	rev := s.put("node/b", "after", 0)
	s.same("the view shows what was written", changed)
	if at, _, _ := s.Latest(); at < rev {
		t.Errorf("the view is at revision %d, what it shows was written at %d", at, rev)
	}
	if err := s.Revoke(s.ctx, id); err != nil {
		t.Fatal(err)
	}
	s.same("the view loses the lease's key", changed)
	tx := ha.Txn{Dels: []string{"node/b"}}
	for i := range 50 {
		tx.Puts = append(tx.Puts, ha.Put{Key: fmt.Sprintf("guest/%d", i), Value: []byte("x")})
	}
	if _, err := s.Commit(s.ctx, tx); err != nil {
		t.Fatal(err)
	}
	s.until("a transaction shows whole", changed, func() bool {
		_, kvs, _ := s.Latest()
		if len(kvs) != 1 && len(kvs) != 50 {
			t.Fatalf("a part of a transaction shows: %d keys", len(kvs))
		}
		return len(kvs) == 50
	})
}

func testViewAfterCompaction(t *testing.T, s suite) {
	breaker, ok1 := s.bare.(ViewBreaker)
	compactor, ok2 := s.bare.(Compactor)
	if !ok1 || !ok2 {
		t.Skip("this store cannot break its view or compact")
	}
	s.put("node/a", "1", 0)
	s.put("node/gone", "1", 0)
	changed := s.watch()
	s.same("the view shows what was there", changed)
	heal := breaker.BreakView()
	if err := func() error { // behind the broken view's back
		for i := range 5 {
			s.put("node/a", fmt.Sprint(i+2), 0)
		}
		_, err := s.Commit(s.ctx, ha.Txn{Dels: []string{"node/gone"}})
		return err
	}(); err != nil {
		t.Fatal(err)
	}
	if err := compactor.Compact(s.ctx); err != nil {
		t.Fatal(err)
	}
	if _, kvs, _ := s.Latest(); len(kvs) != 2 || string(kvs[0].Value) != "1" {
		t.Errorf("the view is not broken: %v", kvs)
	}
	heal()
	s.same("the view has caught up with what was compacted away", changed)
	s.put("node/a", "last", 0)
	s.same("the view follows again", changed)
}

// testLaggingView: a view that is behind shows an older state whole, never a mixture, and never goes back.
func testLaggingView(t *testing.T, s suite) {
	breaker, ok := s.bare.(ViewBreaker)
	if !ok {
		t.Skip("this store cannot keep its view behind")
	}
	pair := func(value string) {
		tx := ha.Txn{Puts: []ha.Put{{Key: "guest/1", Value: []byte(value)}, {Key: "guest/2", Value: []byte(value)}}}
		if _, err := s.Commit(s.ctx, tx); err != nil {
			t.Fatal(err)
		}
	}
	pair("0")
	changed := s.watch()
	s.same("the view shows what was there", changed)
	var last int64
	look := func() (value string) {
		rev, kvs, _ := s.Latest()
		if rev < last {
			t.Fatalf("the view went back from revision %d to %d", last, rev)
		}
		last = rev
		if len(kvs) != 2 || string(kvs[0].Value) != string(kvs[1].Value) || kvs[0].ModRev != kvs[1].ModRev {
			t.Fatalf("a state that never was: %+v", kvs)
		}
		return string(kvs[0].Value)
	}
	heal := breaker.BreakView()
	for i := 1; i <= 5; i++ {
		pair(fmt.Sprint(i))
		if got := look(); got != "0" {
			t.Fatalf("the view is not behind: %s", got)
		}
	}
	heal()
	s.until("the view has caught up", changed, func() bool { return look() == "5" })
}
