package etcd

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"

	"bascule/ha"
	"bascule/ha/etcd/storetest"
)

// quickLab has the shortest elections, and so the shortest leases.
func quickLab(t *testing.T, voters int) *lab {
	t.Helper()
	l := newLab(t, voters)
	var err error
	if l.timing, err = ha.Profile("fast"); err != nil {
		t.Fatal(err)
	}
	return l
}

// own is a store with its server inside, one of three.
type own struct {
	*Store
	all []*Store
}

// ShortestTTL implements storetest.Shortest: one and a half of half a second's election timeout.
func (o own) ShortestTTL() time.Duration { return time.Second }

// ChangeLeader implements storetest.LeaderChanger.
func (o own) ChangeLeader(ctx context.Context) error {
	var servers []*embed.Etcd
	for _, s := range o.all {
		servers = append(servers, s.server.Load().etcd)
	}
	return changeLeader(ctx, servers)
}

// TestConformanceOwnMember runs the suite against a store with its server inside, each part under a prefix of its own.
func TestConformanceOwnMember(t *testing.T) {
	t.Parallel()
	l := quickLab(t, 3)
	all := l.all()
	storetest.Run(t, func(t *testing.T) storetest.Store {
		part := &Store{cfg: all[0].cfg, prefix: fmt.Sprintf("/bascule/v1/own%d/", clusters.Add(1)), pool: all[0].pool}
		part.server.Store(all[0].server.Load())
		part.ctx, part.stop = context.WithCancel(context.Background())
		t.Cleanup(func() { part.stop(); part.loops.Wait() })
		return own{part, all}
	})
}

// TestConformanceThroughFaults runs the suite as a node without a member would see it: through two proxies that can
// lose answers and break watches.
func TestConformanceThroughFaults(t *testing.T) {
	t.Parallel()
	l := quickLab(t, 1)
	direct := l.open("node1")
	l.ready(direct)
	target := hostPort(l.host(1), l.ports[1])
	storetest.Run(t, func(t *testing.T) storetest.Store {
		f := &faulty{t: t, shortest: time.Second, compact: func(ctx context.Context, rev int64) error {
			_, err := direct.pool.current()[0].client.Compact(ctx, rev)
			return err
		}}
		var voters []Voter
		for i := 250; i <= 251; i++ {
			f.proxies = append(f.proxies, newProxy(t, hostPort(l.host(i), l.ports[1]), target))
			voters = append(voters, Voter{Name: ha.NodeName(fmt.Sprintf("proxy%d", i)), Address: l.host(i)})
		}
		f.Store = l.client(t, voters)
		f.bypass = l.client(t, l.voters)
		f.bypass.prefix = f.prefix
		return f
	})
}

var clusters atomic.Int32

// client opens a store of its own cluster name, and so an empty one, without a member.
func (l *lab) client(t *testing.T, voters []Voter) *Store {
	t.Helper()
	cfg := l.config("witness")
	cfg.Voters, cfg.Cluster = voters, fmt.Sprintf("part%d", clusters.Add(1))
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(context.Background()) })
	return s
}

// faulty is a store that can be disturbed.
type faulty struct {
	*Store
	t        *testing.T
	compact  func(ctx context.Context, rev int64) error
	bypass   *Store // the same cluster name, around the proxies
	around   atomic.Bool
	proxies  []*proxy
	shortest time.Duration
}

// ShortestTTL implements storetest.Shortest.
func (f *faulty) ShortestTTL() time.Duration { return f.shortest }

// LoseNextCommit makes the open connections silent, so that the commit's is among them; new ones work.
func (f *faulty) LoseNextCommit(happened bool) {
	until(f.t, "an endpoint is connected", func() bool { return f.pool.order()[0].ready() })
	for _, p := range f.proxies {
		p.swallow(happened)
	}
}

// BreakView cuts all connections and refuses new ones; calls go around, the watch does not.
func (f *faulty) BreakView() (heal func()) {
	for _, p := range f.proxies {
		p.refuse.Store(true)
		p.cut()
	}
	f.around.Store(true)
	return func() {
		f.around.Store(false)
		for _, p := range f.proxies {
			p.refuse.Store(false)
		}
	}
}

// Compact forgets everything up to now.
func (f *faulty) Compact(ctx context.Context) error {
	_, rev, err := f.bypass.Get(ctx, "x")
	if err != nil {
		return err
	}
	return f.compact(ctx, rev)
}

// Commit and Read go around the proxies while the view is broken.
func (f *faulty) Commit(ctx context.Context, tx ha.Txn) (int64, error) {
	if f.around.Load() {
		return f.bypass.Commit(ctx, tx)
	}
	return f.Store.Commit(ctx, tx)
}
