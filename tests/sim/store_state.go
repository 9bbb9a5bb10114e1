package sim

import (
	"fmt"
	"slices"

	"bascule/ha"
)

// applyTxn carries out a transaction whole or not at all and returns the revision it was written at.
func (s *Store) applyTxn(r *storeRequest) (int64, error) {
	tx := r.txn
	if tx.Term != 0 && s.kvs[ha.KeyLeader].CreateRev != int64(tx.Term) {
		return 0, ha.ErrConflict
	}
	for _, g := range tx.Guards {
		if s.kvs[g.Key].ModRev != g.Rev { // a missing key has revision 0
			return 0, ha.ErrConflict
		}
	}
	for _, p := range tx.Puts {
		if p.Lease != 0 && s.lease(p.Lease) == nil {
			return 0, ha.ErrLeaseGone
		}
	}
	next := s.rev + 1
	var put []ha.KV
	for _, p := range tx.Puts {
		kv := ha.KV{Key: p.Key, Value: p.Value, CreateRev: next, ModRev: next, Lease: p.Lease}
		if old, ok := s.kvs[p.Key]; ok {
			kv.CreateRev = old.CreateRev
		}
		s.kvs[p.Key] = kv
		put = append(put, kv)
	}
	gone := s.remove(tx.Dels)
	if len(put)+len(gone) > 0 {
		s.rev = next
		s.publish(put, gone, Applied{By: r.by, Proc: r.proc, Txn: tx, Op: "txn", Term: tx.Term, Sent: r.sent})
	}
	return s.rev, nil
}

// remove deletes the keys that exist and returns those.
func (s *Store) remove(keys []string) (gone []string) {
	for _, k := range keys {
		if _, ok := s.kvs[k]; ok {
			delete(s.kvs, k)
			gone = append(gone, k)
		}
	}
	return gone
}

// publish makes a change visible: to the judge at once, to the watches later.
func (s *Store) publish(put []ha.KV, gone []string, a Applied) {
	s.snap = nextSnapshot(s.snap, s.rev, put, gone, s.all)
	s.loop.Mix(uint64(s.rev))
	for _, kv := range put {
		s.loop.MixBytes(kv.Value)
	}
	a.Rev, a.At = s.rev, s.loop.Now()
	s.loop.Logf("store", "revision %d: %s by %s, %d written, %d gone", s.rev, a.Op, a.By, len(put), len(gone))
	s.notify(a)
	for _, c := range s.clients {
		c.follow()
	}
}

func (s *Store) notify(a Applied) {
	for _, f := range s.applied {
		f(a)
	}
}

// all returns every key, in order.
func (s *Store) all() []ha.KV {
	kvs := make([]ha.KV, 0, len(s.kvs))
	for _, kv := range s.kvs {
		kvs = append(kvs, kv)
	}
	slices.SortFunc(kvs, func(a, b ha.KV) int { return compareText(a.Key, b.Key) })
	return kvs
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// checkTxn refuses what etcd would refuse for its form; it is a mistake of the caller.
func checkTxn(tx *ha.Txn) error {
	guards := len(tx.Guards)
	if tx.Term != 0 {
		guards++
	}
	if guards > ha.MaxTxnOps || len(tx.Puts)+len(tx.Dels) > ha.MaxTxnOps {
		return fmt.Errorf("impossible transaction: %d guards, %d writes", guards, len(tx.Puts)+len(tx.Dels))
	}
	written := make([]string, 0, len(tx.Puts)+len(tx.Dels))
	for _, p := range tx.Puts {
		written = append(written, p.Key)
	}
	written = append(written, tx.Dels...)
	slices.Sort(written)
	for i, k := range written {
		if k == "" || i > 0 && written[i-1] == k {
			return fmt.Errorf("impossible transaction: key %q empty or written twice", k)
		}
	}
	return nil
}
