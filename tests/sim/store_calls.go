package sim

import (
	"encoding/json"
	"errors"
	"time"

	"bascule/ha"
)

// Get reads one key, linearizable; nil when it does not exist. rev is the store's revision.
func (c *Client) Get(key string, timeout time.Duration, done func(kv *ha.KV, rev int64, err error)) {
	c.hedged(&storeRequest{op: opRead, keys: []string{key}}, timeout, func(a storeAnswer) {
		if kv, ok := a.kvs[key]; ok && a.err == nil {
			done(&kv, a.rev, nil)
			return
		}
		done(nil, a.rev, a.err)
	})
}

// Commit carries out a transaction if its term and guards hold. The transaction must not be changed afterwards.
// Errors: ErrConflict and ErrLeaseGone, nothing written; ErrUnavailable, it never left this node; ErrAmbiguous, it may have
// happened or may still happen. A third of the time is kept for reading back after a lost answer.
func (c *Client) Commit(t ha.Txn, timeout time.Duration, done func(rev int64, err error)) {
	if err := checkTxn(&t); err != nil {
		c.proc.Post(func() { done(0, err) })
		return
	}
	before := max(c.seen, int64(t.Term))
	for _, g := range t.Guards {
		before = max(before, g.Rev)
	}
	until := c.proc.Clock().Now().Add(timeout)
	c.lose(&storeRequest{op: opTxn, txn: &t, sent: c.store.loop.Now()}, timeout*2/3, func(a storeAnswer, sent bool) {
		if a.err == ha.ErrUnavailable && sent {
			c.settle(&t, before, until, done)
			return
		}
		done(a.rev, a.err)
	})
}

// Grant makes a lease of exactly ttl, or none: where the store makes it longer it is given back.
func (c *Client) Grant(ttl time.Duration, timeout time.Duration, done func(ha.LeaseID, error)) {
	if ttl < time.Second || ttl%time.Second != 0 {
		c.proc.Post(func() { done(0, errors.New("a lease's TTL is a positive number of whole seconds")) })
		return
	}
	c.once(&storeRequest{op: opGrant, ttl: ttl}, timeout, func(a storeAnswer, _ bool) {
		if a.err == nil && a.ttl > ttl {
			c.Revoke(a.lease, timeout, func(error) {})
			a.lease, a.err = 0, ha.ErrTTL
		}
		done(a.lease, a.err)
	})
}

// Renew prolongs a lease and returns the TTL that it has from some moment after the call.
func (c *Client) Renew(id ha.LeaseID, timeout time.Duration, done func(ttl time.Duration, err error)) {
	c.hedged(&storeRequest{op: opRenew, lease: id}, timeout, func(a storeAnswer) { done(a.ttl, a.err) })
}

// Revoke ends a lease and removes its keys. A lease that is gone already is no error.
func (c *Client) Revoke(id ha.LeaseID, timeout time.Duration, done func(error)) {
	c.hedged(&storeRequest{op: opRevoke, lease: id}, timeout, func(a storeAnswer) {
		if a.err == ha.ErrLeaseGone {
			a.err = nil
		}
		done(a.err)
	})
}

// Campaign tries once to become leader: the term when won (or held by this very record already), 0 when another one leads.
func (c *Client) Campaign(r ha.LeaderRecord, timeout time.Duration, done func(ha.Term, error)) {
	if r.Lease == 0 {
		c.proc.Post(func() { done(0, errors.New("campaign: the leader record names no lease")) })
		return
	}
	tx := ha.Txn{
		Guards: []ha.Guard{{Key: ha.KeyLeader}},
		Puts:   []ha.Put{{Key: ha.KeyLeader, Value: ha.Encode(r), Lease: r.Lease}},
	}
	until := c.proc.Clock().Now().Add(timeout)
	c.Commit(tx, timeout, func(rev int64, err error) {
		if err == nil {
			done(ha.Term(rev), nil)
			return
		}
		if err != ha.ErrConflict && err != ha.ErrAmbiguous {
			done(0, err)
			return
		}
		c.Get(ha.KeyLeader, until.Sub(c.proc.Clock().Now()), func(kv *ha.KV, _ int64, rerr error) {
			done(campaigned(r, kv, err, rerr))
		})
	})
}

// campaigned judges a campaign that did not succeed at once by who holds the leader key now.
func campaigned(r ha.LeaderRecord, kv *ha.KV, err, rerr error) (ha.Term, error) {
	if rerr != nil {
		return 0, errors.Join(err, rerr)
	}
	if kv == nil { // the holder went away meanwhile, or the write is still under way
		return 0, err
	}
	var holder ha.LeaderRecord
	if err := json.Unmarshal(kv.Value, &holder); err != nil {
		return 0, err
	}
	if holder == r && kv.Lease == r.Lease {
		return ha.Term(kv.CreateRev), nil
	}
	return 0, nil
}

// Resign gives up a term. If it is over already, that is no error.
func (c *Client) Resign(t ha.Term, timeout time.Duration, done func(error)) {
	if t == 0 {
		c.proc.Post(func() { done(nil) })
		return
	}
	c.Commit(ha.Txn{Term: t, Dels: []string{ha.KeyLeader}}, timeout, func(_ int64, err error) {
		if err == ha.ErrConflict {
			err = nil
		}
		done(err)
	})
}

// MoveRaftLeaderOff moves raft's leadership off a node, if this node reaches the store; see Store.MoveRaftLeaderOff.
func (c *Client) MoveRaftLeaderOff(node string) bool {
	return c.Health().Available && c.store.MoveRaftLeaderOff(node)
}

// Health is the store as this node finds it now. (The real one needs up to an election's time to find out.)
func (c *Client) Health() ha.StoreHealth {
	s := c.store
	var h ha.StoreHealth
	h.Changing = s.turn != nil && s.turn.Alive()
	for _, v := range s.voters {
		h.OwnDown = h.OwnDown || v.node == c.node && !s.up(v)
		h.Voters = append(h.Voters, ha.NodeName(v.node))
		if s.up(v) && s.both(c.node, v.node) {
			h.Answering = append(h.Answering, ha.NodeName(v.node))
			h.Available = h.Available || s.serves(v)
			if s.leader != nil && s.both(v.node, s.leader.node) {
				h.RaftLeader = ha.NodeName(s.leader.node)
			}
		}
	}
	if !h.Available {
		h.Reason = "no linearizable read is answered"
	}
	return h
}

// serves says whether a member can have calls carried out now.
func (s *Store) serves(v *storeVoter) bool {
	l := s.leader
	return l != nil && s.up(v) && s.both(v.node, l.node) && s.leads(l)
}
