package sim

import (
	"slices"
	"time"

	"bascule/ha"
)

// storeLease is a lease; its time is counted by raft's leader alone.
type storeLease struct {
	id       ha.LeaseID
	ttl      time.Duration
	ends     time.Duration // world time
	revoking bool          // its end is on its way through raft
	asking   []func()      // renewals that came too late: they learn of its end when it is written
}

// expiryEvery is how many ticks lie between two looks for expired leases (etcd: 500 ms, from a leader's election on).
func (s *Store) expiryEvery() int {
	return int(500 * time.Millisecond / max(storeTick, s.timing.EtcdHeartbeat))
}

func (s *Store) lease(id ha.LeaseID) *storeLease {
	i, ok := s.leaseIndex(id)
	if !ok {
		return nil
	}
	return s.leases[i]
}

func (s *Store) leaseIndex(id ha.LeaseID) (int, bool) {
	return slices.BinarySearchFunc(s.leases, id, func(l *storeLease, id ha.LeaseID) int { return int(l.id - id) })
}

// leaseEnd is when a TTL that begins now is over by the leader's clock.
func (s *Store) leaseEnd(ttl time.Duration) time.Duration {
	if s.leader != nil && s.leader.proc != nil && s.leader.proc.Clock() != nil {
		ttl = s.leader.proc.Clock().World(ttl)
	}
	return s.loop.Now() + ttl
}

// shortestTTL is etcd's minimum: one and a half election timeouts, in whole seconds.
func (s *Store) shortestTTL() time.Duration {
	return (s.timing.EtcdElection*3/2 + time.Second - 1).Truncate(time.Second)
}

func (s *Store) applyGrant(r *storeRequest) (ha.LeaseID, time.Duration) {
	s.lastLease++
	l := &storeLease{id: s.lastLease, ttl: max(r.ttl, s.shortestTTL())}
	l.ends = s.leaseEnd(l.ttl)
	s.leases = append(s.leases, l)
	s.notify(Applied{Rev: s.rev, By: r.by, Proc: r.proc, Op: "grant", Lease: l.id, At: s.loop.Now()})
	return l.id, l.ttl
}

// applyRevoke ends a lease and removes its keys in one revision.
func (s *Store) applyRevoke(r *storeRequest, op string) error {
	i, ok := s.leaseIndex(r.lease)
	if !ok {
		return ha.ErrLeaseGone
	}
	l := s.leases[i]
	s.leases = slices.Delete(s.leases, i, i+1)
	gone := s.remove(s.attached(l.id))
	a := Applied{By: r.by, Proc: r.proc, Op: op, Lease: l.id, Gone: gone}
	if len(gone) > 0 {
		s.rev++
		s.publish(nil, gone, a)
	} else {
		a.Rev, a.At = s.rev, s.loop.Now()
		s.notify(a)
	}
	for _, f := range l.asking {
		f()
	}
	return nil
}

// attached are the keys that a lease holds, in order.
func (s *Store) attached(id ha.LeaseID) (keys []string) {
	for k, kv := range s.kvs {
		if kv.Lease == id {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// renew prolongs a lease; a lease that is past its time is lost although it is still there, and says so when it is gone.
func (s *Store) renew(id ha.LeaseID, answer func(storeAnswer)) {
	l := s.lease(id)
	switch {
	case l == nil:
		answer(storeAnswer{err: ha.ErrLeaseGone})
	case l.revoking || s.loop.Now() >= l.ends:
		l.asking = append(l.asking, func() { answer(storeAnswer{err: ha.ErrLeaseGone}) })
	default:
		l.ends = s.leaseEnd(l.ttl)
		answer(storeAnswer{ttl: l.ttl})
	}
}

// leaseTick lets the leader look for leases that are over, every 500 ms; their end is a write like any other.
func (s *Store) leaseTick() {
	if s.ticks%s.expiryEvery() != 0 || !s.leads(s.leader) {
		return
	}
	for _, l := range s.leases {
		if s.loop.Now() >= l.ends && !l.revoking {
			l.revoking = true
			s.propose(s.leader, &storeRequest{op: opExpire, lease: l.id}, func(storeAnswer) {})
		}
	}
}

// refreshLeases is what a new raft leader does: it does not know when the old one heard last, so each lease gets its full TTL,
// and an election timeout on top. Renewals that waited for the old leader's verdict are void.
func (s *Store) refreshLeases() {
	for _, l := range s.leases {
		l.ends = s.leaseEnd(l.ttl + s.timing.EtcdElection)
		l.revoking, l.asking = false, nil
	}
}
