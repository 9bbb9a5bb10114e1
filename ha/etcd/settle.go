package etcd

import (
	"bytes"
	"context"
	"fmt"

	"bascule/ha"
)

// A transaction whose answer was lost may have been carried out, may never be, or may still be on its way through
// raft: a read that does not show it yet proves nothing. These are the only two things that a read can prove:
//
//   - It happened: all its puts are there with our values and leases, at one revision that is newer than anything seen
//     before it was sent. Or it only removes keys, all of them are gone, and its guards keep it from doing so again.
//   - It never will: one of the keys that it writes is still as it was before (so it has not happened), and one of its
//     guards can never hold again (so it will not). Revisions only grow: a guard on revision 7 of a key that is at 9 is
//     lost for ever; a guard "must not exist" is not, because the key may be removed.
type verdict int

const (
	unsettled verdict = iota
	happened
	never
)

// settle reads back until the fate of the transaction is proven or the context ends.
func (s *Store) settle(ctx context.Context, tx ha.Txn, before int64, cause error) (int64, error) {
	for {
		rev, kvs, err := s.Read(ctx)
		if err != nil {
			return 0, fmt.Errorf("store commit: %w: %w; and reading back: %w", ha.ErrAmbiguous, cause, err)
		}
		now := make(map[string]ha.KV, len(kvs))
		for _, kv := range kvs {
			now[kv.Key] = kv
		}
		switch v, at := judge(tx, before, now); {
		case v == happened && at == 0:
			return rev, nil
		case v == happened:
			return at, nil
		case v == never:
			return 0, fmt.Errorf("store commit: %w (its answer was lost: %w)", ha.ErrConflict, cause)
		}
		if !pause(ctx, retryPause) {
			return 0, fmt.Errorf("store commit: %w: %w", ha.ErrAmbiguous, cause)
		}
	}
}

// judge compares what is there now with the transaction. before is a revision that certainly existed before it was sent;
// the revision returned is the transaction's own, 0 if unknown.
func judge(tx ha.Txn, before int64, now map[string]ha.KV) (verdict, int64) {
	if at, ok := putsDone(tx, before, now); ok {
		return happened, at
	}
	if len(tx.Puts) == 0 && delsDone(tx, now) {
		return happened, 0
	}
	if untouched(tx, before, now) && impossible(tx, now) {
		return never, 0
	}
	return unsettled, 0
}

func putsDone(tx ha.Txn, before int64, now map[string]ha.KV) (int64, bool) {
	var at int64
	for _, p := range tx.Puts {
		kv, ok := now[p.Key]
		if !ok || kv.ModRev <= before || at != 0 && kv.ModRev != at || kv.Lease != p.Lease || !bytes.Equal(kv.Value, p.Value) {
			return 0, false
		}
		at = kv.ModRev
	}
	for _, k := range tx.Dels {
		if kv, ok := now[k]; ok && kv.CreateRev <= at {
			return 0, false
		}
	}
	return at, at != 0
}

func delsDone(tx ha.Txn, now map[string]ha.KV) bool {
	for _, k := range tx.Dels {
		if _, ok := now[k]; ok || !guarded(tx, k) {
			return false
		}
	}
	return len(tx.Dels) > 0
}

// guarded says whether the transaction can remove this key only in the state that it had before.
func guarded(tx ha.Txn, key string) bool {
	if key == ha.KeyLeader && tx.Term != 0 {
		return true
	}
	for _, g := range tx.Guards {
		if g.Key == key && g.Rev > 0 {
			return true
		}
	}
	return false
}

func untouched(tx ha.Txn, before int64, now map[string]ha.KV) bool {
	same := func(key string) bool {
		kv, ok := now[key]
		return ok && kv.ModRev <= before
	}
	for _, p := range tx.Puts {
		if same(p.Key) {
			return true
		}
	}
	for _, k := range tx.Dels {
		if same(k) {
			return true
		}
	}
	return false
}

func impossible(tx ha.Txn, now map[string]ha.KV) bool {
	if tx.Term != 0 && now[ha.KeyLeader].CreateRev != int64(tx.Term) {
		return true
	}
	for _, g := range tx.Guards {
		if g.Rev > 0 && now[g.Key].ModRev != g.Rev {
			return true
		}
	}
	return false
}
