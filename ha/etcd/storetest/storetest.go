// Package storetest is the conformance suite of the store port: what everybody who uses the store may rely on, checked
// against the embedded etcd, an external one, and every model of it. It waits, in bounded waits: on the time of a bubble for a model, on
// real time for a real store, where it bears a machine that stalls. It may never look behind the port, except through the optional
// interfaces below.
package storetest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"bascule/ha"
)

// partLimit and untilLimit only guard against hanging.
const (
	partLimit  = 15 * time.Minute
	untilLimit = 5 * time.Minute
)

// Store is the store port.
type Store interface {
	Read(ctx context.Context) (rev int64, kvs []ha.KV, err error)
	Get(ctx context.Context, key string) (*ha.KV, int64, error)
	Commit(ctx context.Context, tx ha.Txn) (rev int64, err error)
	Grant(ctx context.Context, ttl time.Duration) (ha.LeaseID, error)
	Renew(ctx context.Context, id ha.LeaseID) (time.Duration, error)
	Revoke(ctx context.Context, id ha.LeaseID) error
	Campaign(ctx context.Context, rec ha.LeaderRecord) (ha.Term, *ha.LeaderRecord, error)
	Resign(ctx context.Context, term ha.Term) error
	StartView(ctx context.Context, changed func())
	Latest() (rev int64, kvs []ha.KV, ok bool)
}

// AnswerLoser can lose the answer of the next commit.
type AnswerLoser interface{ LoseNextCommit(happened bool) }

// ViewBreaker can keep the view from following until heal is called.
type ViewBreaker interface{ BreakView() (heal func()) }

// Compactor can forget all history up to now.
type Compactor interface {
	Compact(ctx context.Context) error
}

// LeaderChanger can hand raft's leadership to another member.
type LeaderChanger interface {
	ChangeLeader(ctx context.Context) error
}

// Shortest knows the shortest lease that the store grants (etcd: one and a half election timeouts, in whole seconds). Of a store
// that is none it is a second.
type Shortest interface{ ShortestTTL() time.Duration }

// Run checks a real store. open returns an empty one for each part; it cleans up by itself.
func Run(t *testing.T, open func(t *testing.T) Store) {
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) {
			s := open(t)
			p.run(t, patient{s, t}, s)
		})
	}
}

// RunInBubbles is Run for a store that lives on the time package's clock alone: each part has a synctest bubble of its own, in which
// waiting costs nothing and no machine is slow.
func RunInBubbles(t *testing.T, open func(t *testing.T) Store) {
	for _, p := range parts {
		t.Run(p.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := open(t)
				p.run(t, s, s)
			})
		})
	}
}

// part is one thing that is checked.
type part struct {
	name string
	test func(*testing.T, suite)
}

var parts = []part{
	{"reading", testReading},
	{"guards", testGuards},
	{"impossible transactions", testImpossible},
	{"term guard", testTerm},
	{"term is the create revision", testCreateRevision},
	{"campaign", testCampaign},
	{"lease", testLease},
	{"lease expiry", testExpiry},
	{"shortest lease", testShortest},
	{"leases outlive a change of raft's leader", testLeaderChange},
	{"view", testView},
	{"lagging view", testLaggingView},
	{"view after compaction", testViewAfterCompaction},
	{"lost answers", testLostAnswers},
	{"ended context", testEndedContext},
}

func (p part) run(t *testing.T, s, bare Store) {
	ctx, cancel := context.WithTimeout(t.Context(), partLimit)
	defer cancel()
	p.test(t, suite{t, ctx, s, bare})
}

// suite is one part's test, context and store.
type suite struct {
	t   *testing.T
	ctx context.Context
	Store
	bare Store // every answer as it comes; what a store can besides the port it can here
}

// put writes one key under guards and returns the revision; it must succeed.
func (s suite) put(key, value string, lease ha.LeaseID, guards ...ha.Guard) int64 {
	s.t.Helper()
	rev, err := s.Commit(s.ctx, ha.Txn{Guards: guards, Puts: []ha.Put{{Key: key, Value: []byte(value), Lease: lease}}})
	if err != nil {
		s.t.Fatalf("writing %s: %v", key, err)
	}
	return rev
}

// value is a key's value, or "-" when it does not exist.
func (s suite) value(key string) string {
	s.t.Helper()
	kv, _, err := s.Get(s.ctx, key)
	if err != nil {
		s.t.Fatalf("reading %s: %v", key, err)
	}
	if kv == nil {
		return "-"
	}
	return string(kv.Value)
}

// shortest is the shortest lease that the store grants.
func (s suite) shortest() time.Duration {
	if x, ok := s.bare.(Shortest); ok {
		return x.ShortestTTL()
	}
	return time.Second
}

func (s suite) grant(ttl time.Duration) ha.LeaseID {
	s.t.Helper()
	id, err := s.Grant(s.ctx, ttl)
	if err != nil {
		s.t.Fatal(err)
	}
	return id
}

// until polls, woken early by wake, which may be nil.
func (s suite) until(what string, wake <-chan struct{}, ok func() bool) {
	s.t.Helper()
	deadline := time.After(untilLimit)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-wake:
		case <-tick.C:
		case <-deadline:
			s.t.Fatalf("waited in vain until %s", what)
		}
	}
}
