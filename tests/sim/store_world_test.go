package sim

import (
	"fmt"
	"testing"
	"time"

	"bascule/ha"
)

// storeWorld is a store with a daemon and a client on each node.
type storeWorld struct {
	t      *testing.T
	l      *Loop
	n      *Net
	s      *Store
	procs  map[string]*Proc
	client map[string]*Client
}

const callTime = time.Second

// newStoreWorld starts nodes node1…nodeN, the first of which vote, and waits until the store serves.
func newStoreWorld(t *testing.T, seed uint64, voters, nodes int) *storeWorld {
	t.Helper()
	l := NewLoop(seed, nil)
	n := NewNet(l)
	timing, err := ha.Profile("normal")
	if err != nil {
		t.Fatal(err)
	}
	w := &storeWorld{t: t, l: l, n: n, procs: map[string]*Proc{}, client: map[string]*Client{}}
	var names []string
	for i := range nodes {
		names = append(names, fmt.Sprintf("node%d", i+1))
	}
	w.s = NewStore(l, n, names[:voters], timing)
	for _, name := range names {
		w.start(name)
	}
	w.run(3 * time.Second)
	if w.s.RaftLeader() == "" {
		t.Fatal("nobody leads raft")
	}
	return w
}

// start starts a node's daemon anew.
func (w *storeWorld) start(node string) *Client {
	p := NewProc(w.l, NewClock(w.l, 0), node)
	w.procs[node] = p
	w.s.SetProc(node, p)
	w.client[node] = w.s.Client(node, p)
	return w.client[node]
}

func (w *storeWorld) run(d time.Duration) { w.l.Run(w.l.Now() + d) }

// leader is raft's leader, other a voter that is not.
func (w *storeWorld) leader() string { return w.s.RaftLeader() }

func (w *storeWorld) other() string {
	for _, v := range w.s.voters {
		if v != w.s.leader {
			return v.node
		}
	}
	return ""
}

// isolate cuts a node off from everybody.
func (w *storeWorld) isolate(node string, on bool) {
	w.n.Cut(NetCluster, node, "*", on)
	w.n.Cut(NetCluster, "*", node, on)
}

// await runs until an asynchronous call has answered, at most for a minute.
func await[T any](w *storeWorld, call func(done func(T))) T {
	w.t.Helper()
	var got T
	answers := 0
	call(func(v T) { got = v; answers++ })
	if answers != 0 {
		w.t.Fatal("answered inside the call")
	}
	for end := w.l.Now() + time.Minute; answers == 0 && w.l.Now() < end; {
		w.run(100 * time.Microsecond)
	}
	if answers != 1 {
		w.t.Fatalf("%d answers", answers)
	}
	return got
}

type revErr struct {
	rev int64
	err error
}

func (w *storeWorld) commit(node string, tx ha.Txn) (int64, error) {
	w.t.Helper()
	a := await(w, func(done func(revErr)) {
		w.client[node].Commit(tx, callTime, func(rev int64, err error) { done(revErr{rev, err}) })
	})
	return a.rev, a.err
}

// put writes one key; it must succeed.
func (w *storeWorld) put(node, key, value string, lease ha.LeaseID, guards ...ha.Guard) int64 {
	w.t.Helper()
	rev, err := w.commit(node, ha.Txn{Guards: guards, Puts: []ha.Put{{Key: key, Value: []byte(value), Lease: lease}}})
	if err != nil {
		w.t.Fatalf("writing %s: %v", key, err)
	}
	return rev
}

func (w *storeWorld) get(node, key string) (*ha.KV, error) {
	w.t.Helper()
	type answer struct {
		kv  *ha.KV
		err error
	}
	a := await(w, func(done func(answer)) {
		w.client[node].Get(key, callTime, func(kv *ha.KV, _ int64, err error) { done(answer{kv, err}) })
	})
	return a.kv, a.err
}

// value is a key's true value, "-" when it does not exist.
func (w *storeWorld) value(key string) string {
	if kv, ok := w.s.kvs[key]; ok {
		return string(kv.Value)
	}
	return "-"
}

func (w *storeWorld) grant(node string, ttl time.Duration) ha.LeaseID {
	w.t.Helper()
	type answer struct {
		id  ha.LeaseID
		err error
	}
	a := await(w, func(done func(answer)) {
		w.client[node].Grant(ttl, callTime, func(id ha.LeaseID, err error) { done(answer{id, err}) })
	})
	if a.err != nil {
		w.t.Fatal(a.err)
	}
	return a.id
}

func (w *storeWorld) renew(node string, id ha.LeaseID) error {
	w.t.Helper()
	return await(w, func(done func(error)) {
		w.client[node].Renew(id, callTime, func(_ time.Duration, err error) { done(err) })
	})
}

func (w *storeWorld) revoke(node string, id ha.LeaseID) error {
	w.t.Helper()
	return await(w, func(done func(error)) { w.client[node].Revoke(id, callTime, done) })
}

func (w *storeWorld) campaign(node string, r ha.LeaderRecord) (ha.Term, error) {
	w.t.Helper()
	type answer struct {
		term ha.Term
		err  error
	}
	a := await(w, func(done func(answer)) {
		w.client[node].Campaign(r, callTime, func(term ha.Term, err error) { done(answer{term, err}) })
	})
	return a.term, a.err
}
