package memstore

import (
	"context"
	"errors"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/etcd/storetest"
)

func TestConformance(t *testing.T) {
	storetest.RunInBubbles(t, func(t *testing.T) storetest.Store {
		m := NewMemory(time.Now)
		done, ended := make(chan struct{}), make(chan struct{})
		go func() { // time passes: the model is told so
			defer close(ended)
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					m.Tick()
				case <-done:
					return
				}
			}
		}()
		t.Cleanup(func() { close(done); <-ended })
		return raft{m}
	})
}

// raft is a model whose leases are refreshed as by a change of raft's leader.
type raft struct{ *Memory }

// ChangeLeader implements storetest.LeaderChanger.
func (r raft) ChangeLeader(context.Context) error { r.RefreshLeases(); return nil }

// clock is a test's own time.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func newMemory() (*clock, *Memory) {
	c := &clock{time.Unix(1000, 0)}
	return c, NewMemory(c.now)
}

func TestLeasesEndByTheInjectedClock(t *testing.T) {
	c, m := newMemory()
	ctx := t.Context()
	id, err := m.Grant(ctx, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Commit(ctx, ha.Txn{Puts: []ha.Put{{Key: "lease/n", Lease: id}}}); err != nil {
		t.Fatal(err)
	}
	woken := 0
	m.StartView(ctx, func() { woken++ })
	c.t = c.t.Add(4 * time.Second)
	m.RefreshLeases()
	c.t = c.t.Add(5*time.Second - 1)
	m.Tick()
	if _, kvs, _ := m.Latest(); len(kvs) != 1 {
		t.Error("the lease ended early")
	}
	c.t = c.t.Add(1)
	m.Tick()
	if _, kvs, _ := m.Latest(); len(kvs) != 0 || woken != 2 {
		t.Errorf("the lease did not end in time: %v, woken %d times", kvs, woken)
	}
}

func TestACutHandleNeitherReadsNorFollows(t *testing.T) {
	c, a := newMemory()
	b := a.Another()
	ctx := t.Context()
	b.StartView(ctx, func() {})
	b.SetUnavailable(true)
	rev, err := a.Commit(ctx, ha.Txn{Puts: []ha.Put{{Key: "k"}}})
	if err != nil {
		t.Fatal(err)
	}
	c.t = c.t.Add(time.Second)
	if _, _, err := b.Read(ctx); !errors.Is(err, ha.ErrUnavailable) {
		t.Errorf("read: %v", err)
	}
	if at, _, _ := b.Latest(); at >= rev {
		t.Error("the view of a cut handle moved")
	}
	if age, ok := b.ViewAge(); !ok || age != time.Second {
		t.Errorf("age %v", age)
	}
	b.SetUnavailable(false)
	if at, _, _ := b.Latest(); at != rev {
		t.Errorf("the view stands at %d instead of %d", at, rev)
	}
}

func TestACommitUnderWayHappensLaterOnlyIfItsGuardsHold(t *testing.T) {
	_, m := newMemory()
	ctx := t.Context()
	put := func(key, value string, rev int64) error {
		_, err := m.Commit(ctx, ha.Txn{Guards: []ha.Guard{{Key: key, Rev: rev}}, Puts: []ha.Put{{Key: key, Value: []byte(value)}}})
		return err
	}
	m.Lose(LostUnderWay, LostUnderWay)
	for _, k := range []string{"a", "b"} {
		if err := put(k, "late", 0); !errors.Is(err, ha.ErrAmbiguous) {
			t.Fatal(err)
		}
	}
	if err := put("a", "first", 0); err != nil {
		t.Fatal(err)
	}
	m.DeliverUnderWay()
	for k, want := range map[string]string{"a": "first", "b": "late"} {
		if kv, _, err := m.Get(ctx, k); err != nil || kv == nil || string(kv.Value) != want {
			t.Errorf("%s: %+v, %v", k, kv, err)
		}
	}
}

func TestExpireLease(t *testing.T) {
	_, m := newMemory()
	id, err := m.Grant(context.Background(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	m.ExpireLease(id)
	if _, err := m.Renew(t.Context(), id); !errors.Is(err, ha.ErrLeaseGone) {
		t.Errorf("%v", err)
	}
}
