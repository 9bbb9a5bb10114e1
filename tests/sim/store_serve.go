package sim

import (
	"errors"
	"time"

	"bascule/ha"
)

// storeOp is what a client asks for.
type storeOp uint8

const (
	opRead storeOp = iota
	opRenew
	opTxn
	opGrant
	opRevoke
	opExpire // raft's leader itself
)

// storeRequest is one call on its way.
type storeRequest struct {
	op    storeOp
	by    string
	proc  *Proc
	txn   *ha.Txn
	sent  time.Duration
	keys  []string // to read
	lease ha.LeaseID
	ttl   time.Duration
}

// storeAnswer is the store's reply.
type storeAnswer struct {
	rev   int64
	kvs   map[string]ha.KV // of a read: the keys asked for that exist
	lease ha.LeaseID
	ttl   time.Duration
	err   error
}

// Replies that are none of the store's: the member says that it did nothing.
var (
	errRefused  = errors.New("connection refused")
	errNoLeader = errors.New("member has no leader")
)

// toVoter brings something to a member, where it happens inside the daemon that runs there now.
func (s *Store) toVoter(from string, v *storeVoter, f func()) {
	p := v.proc
	if p == nil {
		return
	}
	arrive := p.In(func() {
		if v.proc == p && s.up(v) {
			f()
		}
	})
	if from == v.node {
		arrive()
	} else {
		s.net.Stream(NetCluster, from, v.node, arrive)
	}
}

// serve is a member receiving a call: raft's leader must carry it out. A leader that is gone, but not yet missed, swallows it.
func (s *Store) serve(v *storeVoter, r *storeRequest, reply func(storeAnswer)) {
	l, term := s.leader, s.term
	if l == nil || s.loop.Now()-v.heard > s.timing.EtcdElection {
		reply(storeAnswer{err: errNoLeader})
		return
	}
	back := func(a storeAnswer) { s.toVoter(l.node, v, func() { s.afterDisk(v, r, func() { reply(a) }) }) }
	s.toVoter(v.node, l, func() {
		if s.leader == l && s.term == term && !s.deposed {
			s.lead(l, r, back)
		}
	})
}

// afterDisk lets a member answer a write only when it has it on its own disk.
func (s *Store) afterDisk(v *storeVoter, r *storeRequest, f func()) {
	if v.slow == 0 || r.op < opTxn {
		f()
		return
	}
	s.loop.After(v.slow, v.proc.In(f))
}

// lead is raft's leader carrying out a call. Reads and renewals are not written down, but need a majority that confirms the
// leadership now; without one there is no answer.
func (s *Store) lead(l *storeVoter, r *storeRequest, answer func(storeAnswer)) {
	if r.op >= opTxn {
		s.propose(l, r, answer)
		return
	}
	term := s.term
	s.loop.After(s.loop.Between("store", 150*time.Microsecond, 900*time.Microsecond), l.proc.In(func() {
		if s.term != term || !s.leads(l) {
			return
		}
		if r.op == opRenew {
			s.renew(r.lease, answer)
			return
		}
		a := storeAnswer{rev: s.rev}
		if len(r.keys) > 0 {
			a.kvs = make(map[string]ha.KV, len(r.keys))
		}
		for _, k := range r.keys {
			if kv, ok := s.kvs[k]; ok {
				a.kvs[k] = kv
			}
		}
		answer(a)
	}))
}
