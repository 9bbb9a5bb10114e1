package sim

import (
	"bytes"
	"time"

	"bascule/ha"
)

// settle reads back, until the time is over, what became of a transaction whose answer was lost. The rules are those of
// ha/etcd/settle.go, which explains them: a read that does not show the write yet proves nothing.
func (c *Client) settle(tx *ha.Txn, before int64, until ha.Instant, done func(rev int64, err error)) {
	left := until.Sub(c.proc.Clock().Now())
	if left <= 0 {
		c.proc.Post(func() { done(0, ha.ErrAmbiguous) })
		return
	}
	c.hedged(&storeRequest{op: opRead, keys: txnKeys(tx)}, left, func(a storeAnswer) {
		if a.err != nil {
			done(0, ha.ErrAmbiguous)
			return
		}
		if at, ok := txnHappened(tx, before, a); ok {
			done(at, nil)
			return
		}
		if txnNever(tx, before, a.kvs) {
			done(0, ha.ErrConflict)
			return
		}
		c.proc.After(callAgain, func() { c.settle(tx, before, until, done) })
	})
}

// txnKeys are the keys that tell what became of a transaction.
func txnKeys(tx *ha.Txn) []string {
	keys := []string{ha.KeyLeader}
	for _, g := range tx.Guards {
		keys = append(keys, g.Key)
	}
	for _, p := range tx.Puts {
		keys = append(keys, p.Key)
	}
	return append(keys, tx.Dels...)
}

// txnHappened: all puts are there, ours, at one new revision; or all that it only removes is gone, and it cannot happen again.
func txnHappened(tx *ha.Txn, before int64, a storeAnswer) (int64, bool) {
	if len(tx.Puts) == 0 {
		for _, k := range tx.Dels {
			if _, ok := a.kvs[k]; ok || !txnGuards(tx, k) {
				return 0, false
			}
		}
		return a.rev, len(tx.Dels) > 0
	}
	var at int64
	for _, p := range tx.Puts {
		kv, ok := a.kvs[p.Key]
		if !ok || kv.ModRev <= before || at != 0 && kv.ModRev != at || kv.Lease != p.Lease || !bytes.Equal(kv.Value, p.Value) {
			return 0, false
		}
		at = kv.ModRev
	}
	for _, k := range tx.Dels {
		if kv, ok := a.kvs[k]; ok && kv.CreateRev <= at {
			return 0, false
		}
	}
	return at, true
}

// txnGuards says whether the transaction can remove a key only in the state that it had before.
func txnGuards(tx *ha.Txn, key string) bool {
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

// txnNever: something that it writes is as it was before, and one of its guards is lost for ever.
func txnNever(tx *ha.Txn, before int64, now map[string]ha.KV) bool {
	lost := tx.Term != 0 && now[ha.KeyLeader].CreateRev != int64(tx.Term)
	for _, g := range tx.Guards {
		lost = lost || g.Rev > 0 && now[g.Key].ModRev != g.Rev
	}
	if !lost {
		return false
	}
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

// lose is once, under the fault Ambiguous: the answer is lost, and the write was carried out, or will be much later, or never.
func (c *Client) lose(r *storeRequest, timeout time.Duration, done func(a storeAnswer, sent bool)) {
	l, next := c.store.loop, c.fault.next
	c.fault.next = lostDrawn
	if next == lostDrawn && !l.Chance("store lost", c.fault.lost) || c.following() == nil {
		c.once(r, timeout, done)
		return
	}
	c.proc.After(timeout, func() { done(storeAnswer{err: ha.ErrUnavailable}, true) })
	late := time.Duration(0)
	switch next {
	case lostBefore:
		return
	case lostDrawn:
		switch fate := l.Rand("store lost").Float64(); {
		case fate < 0.15:
			return
		case fate < 0.45:
			late = l.Between("store lost", 200*time.Millisecond, 4*time.Second)
		}
	}
	r.by, r.proc = c.node, c.proc
	c.store.deliverLate(r, late)
}

// deliverLate brings a write to raft's leader after a while, when nobody waits for it any more.
func (s *Store) deliverLate(r *storeRequest, d time.Duration) {
	s.loop.After(d, func() {
		if s.leads(s.leader) {
			s.propose(s.leader, r, func(storeAnswer) {})
		}
	})
}
