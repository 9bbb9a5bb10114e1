package etcd

import (
	"testing"

	"pgregory.net/rapid"

	"bascule/ha"
)

func TestWhatAReadProves(t *testing.T) {
	guarded := ha.Txn{Guards: []ha.Guard{{Key: "a", Rev: 7}}, Puts: []ha.Put{{Key: "a", Value: []byte("new")}, {Key: "b", Value: []byte("new"), Lease: 5}}}
	led := ha.Txn{Term: 3, Puts: []ha.Put{{Key: "a", Value: []byte("new")}}}
	create := ha.Txn{Guards: []ha.Guard{{Key: "a"}}, Puts: []ha.Put{{Key: "a", Value: []byte("new")}}}
	resign := ha.Txn{Term: 3, Dels: []string{ha.KeyLeader}}
	bare := ha.Txn{Dels: []string{"a"}}
	kv := func(key, value string, create, mod int64, lease ha.LeaseID) ha.KV {
		return ha.KV{Key: key, Value: []byte(value), CreateRev: create, ModRev: mod, Lease: lease}
	}
	const before = 10
	for what, c := range map[string]struct {
		tx   ha.Txn
		now  []ha.KV
		want verdict
		at   int64
	}{
		"done":                                    {guarded, []ha.KV{kv("a", "new", 7, 11, 0), kv("b", "new", 11, 11, 5)}, happened, 11},
		"two revisions":                           {guarded, []ha.KV{kv("a", "new", 7, 11, 0), kv("b", "new", 11, 12, 5)}, unsettled, 0},
		"another lease":                           {guarded, []ha.KV{kv("a", "new", 7, 11, 0), kv("b", "new", 11, 11, 6)}, unsettled, 0},
		"written over":                            {guarded, []ha.KV{kv("a", "newer", 7, 12, 0), kv("b", "new", 11, 11, 5)}, unsettled, 0},
		"same value from before":                  {led, []ha.KV{kv("leader", "", 3, 3, 1), kv("a", "new", 7, 9, 0)}, unsettled, 0},
		"not yet, may still happen":               {guarded, []ha.KV{kv("a", "old", 7, 7, 0)}, unsettled, 0},
		"not yet, term over":                      {led, []ha.KV{kv("leader", "", 12, 12, 1), kv("a", "old", 7, 7, 0)}, never, 0},
		"not yet, nobody leads":                   {led, []ha.KV{kv("a", "old", 7, 7, 0)}, never, 0},
		"term over, but it may have happened":     {led, []ha.KV{kv("leader", "", 12, 12, 1), kv("a", "newer", 7, 11, 0)}, unsettled, 0},
		"guard lost by a write after it":          {guarded, []ha.KV{kv("a", "x", 7, 11, 0), kv("b", "old", 2, 2, 0)}, never, 0},
		"guard lost, written key unknown":         {guarded, []ha.KV{kv("a", "x", 7, 11, 0)}, unsettled, 0},
		"somebody else's key, could be removed":   {create, []ha.KV{kv("a", "x", 9, 9, 0)}, unsettled, 0},
		"created":                                 {create, []ha.KV{kv("a", "new", 11, 11, 0)}, happened, 11},
		"created and gone, or never":              {create, nil, unsettled, 0},
		"resigned":                                {resign, nil, happened, 0},
		"still leading":                           {resign, []ha.KV{kv("leader", "", 3, 3, 1)}, unsettled, 0},
		"another leads, resigned or lost":         {resign, []ha.KV{kv("leader", "", 12, 12, 1)}, unsettled, 0},
		"unguarded removal might hit a later key": {bare, nil, unsettled, 0},
		"a removed key that was there all along":  {ha.Txn{Puts: guarded.Puts[:1], Dels: []string{"c"}}, []ha.KV{kv("a", "new", 11, 11, 0), kv("c", "", 4, 4, 0)}, unsettled, 0},
		"a removed key that was made again since": {ha.Txn{Puts: guarded.Puts[:1], Dels: []string{"c"}}, []ha.KV{kv("a", "new", 11, 11, 0), kv("c", "", 12, 12, 0)}, happened, 11},
	} {
		now := map[string]ha.KV{}
		for _, kv := range c.now {
			now[kv.Key] = kv
		}
		if got, at := judge(c.tx, before, now); got != c.want || at != c.at {
			t.Errorf("%s: verdict %d at %d, want %d at %d", what, got, at, c.want, c.at)
		}
	}
}

// TestJudgeIsNeverWrong plays random histories around one transaction whose fate is known and checks that what judge
// claims is true: "happened" only if it did, "never" only if it did not and cannot, even if it is still under way.
func TestJudgeIsNeverWrong(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := world{kvs: map[string]ha.KV{}, rev: 1, values: 0}
		w.mess(t, rapid.IntRange(0, 6).Draw(t, "before"))
		tx := w.draw(t)
		before := w.rev // all that exists is known
		w.mess(t, rapid.IntRange(0, 4).Draw(t, "between"))
		did := rapid.Bool().Draw(t, "sent") && w.apply(tx)
		at := w.rev
		w.mess(t, rapid.IntRange(0, 4).Draw(t, "after"))

		got, rev := judge(tx, before, w.kvs)
		switch {
		case got == happened && !did && len(tx.Puts) > 0:
			t.Fatalf("claims that it happened at %d; it did not", rev)
		case got == happened && did && rev != 0 && rev != at:
			t.Fatalf("claims revision %d, it was %d", rev, at)
		case got == never && did:
			t.Fatal("claims that it never happened; it did")
		case got != unsettled && !did:
			w.mess(t, rapid.IntRange(0, 6).Draw(t, "later"))
			if w.apply(tx) {
				t.Fatalf("verdict %d, but it could still happen", got)
			}
		}
	})
}

// world is just enough of a store, whose other writers never write the transaction's values.
type world struct {
	kvs    map[string]ha.KV
	rev    int64
	values int
}

var keys = []string{"leader", "a", "b", "c"}

func (w *world) mess(t *rapid.T, n int) {
	for range n {
		key := rapid.SampledFrom(keys).Draw(t, "key")
		w.rev++
		if rapid.Bool().Draw(t, "remove") {
			delete(w.kvs, key)
			continue
		}
		w.put(ha.Put{Key: key, Value: []byte("other")})
	}
}

func (w *world) put(p ha.Put) {
	kv := ha.KV{Key: p.Key, Value: p.Value, CreateRev: w.rev, ModRev: w.rev, Lease: p.Lease}
	if old, ok := w.kvs[p.Key]; ok {
		kv.CreateRev = old.CreateRev
	}
	w.kvs[p.Key] = kv
}

// draw makes a transaction as a caller that knows the present state would.
func (w *world) draw(t *rapid.T) ha.Txn {
	var tx ha.Txn
	if lead, ok := w.kvs[ha.KeyLeader]; ok && rapid.Bool().Draw(t, "term") {
		tx.Term = ha.Term(lead.CreateRev)
	}
	for _, key := range keys {
		if rapid.Bool().Draw(t, "guard "+key) {
			tx.Guards = append(tx.Guards, ha.Guard{Key: key, Rev: w.kvs[key].ModRev})
		}
		switch rapid.IntRange(0, 2).Draw(t, "write "+key) {
		case 1:
			tx.Puts = append(tx.Puts, ha.Put{Key: key, Value: []byte("ours")})
		case 2:
			tx.Dels = append(tx.Dels, key)
		}
	}
	return tx
}

func (w *world) apply(tx ha.Txn) bool {
	if tx.Term != 0 && w.kvs[ha.KeyLeader].CreateRev != int64(tx.Term) {
		return false
	}
	for _, g := range tx.Guards {
		if w.kvs[g.Key].ModRev != g.Rev {
			return false
		}
	}
	w.rev++
	for _, p := range tx.Puts {
		w.put(p)
	}
	for _, k := range tx.Dels {
		delete(w.kvs, k)
	}
	return true
}
