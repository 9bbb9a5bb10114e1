package sim

import (
	"slices"
	"time"
)

// raftEntry is a write that a leader accepted and that no majority has confirmed.
type raftEntry struct {
	request    *storeRequest
	answer     func(storeAnswer)
	leader     *storeVoter // in whose log it is
	replicated bool        // another voter has it, too: it survives an election
}

// up says whether a member runs now.
func (s *Store) up(v *storeVoter) bool {
	return s.down == 0 && v.down == 0 && v.proc.Runs() && s.loop.Now() >= v.readyAt
}

// both says whether two nodes reach each other well enough for raft.
func (s *Store) both(a, b string) bool {
	return s.net.Within(NetCluster, a, b, s.timing.EtcdElection)
}

// leads says whether a member leads raft and can have writes, reads and renewals confirmed now.
func (s *Store) leads(l *storeVoter) bool {
	return l != nil && s.leader == l && !s.deposed && l.slow < s.timing.EtcdElection && s.quorate(l)
}

// depose takes the leadership from a member whose process ends: should it come back before the others miss it, it is a
// follower like any other.
func (s *Store) depose(v *storeVoter) {
	if v == s.leader && v != nil {
		s.deposed = true
		s.term++
	}
}

// quorate says whether a member runs and reaches a majority of the voters, itself included, both ways.
func (s *Store) quorate(v *storeVoter) bool {
	return s.up(v) && s.majority(func(w *storeVoter) bool { return s.both(v.node, w.node) })
}

// majority says whether most voters run and fulfil ok.
func (s *Store) majority(ok func(*storeVoter) bool) bool {
	n := 0
	for _, v := range s.voters {
		if s.up(v) && ok(v) {
			n++
		}
	}
	return 2*n > len(s.voters)
}

// raftTick notices a lost leader and elects another.
func (s *Store) raftTick() {
	now, t := s.loop.Now(), s.timing.EtcdElection
	for _, v := range s.voters {
		if v.proc.Alive() && !v.proc.Runs() {
			v.heard = now // raft counts its own ticks: a stopped member misses nobody
		}
	}
	if s.leads(s.leader) {
		s.heard, s.electAt = now, 0
		s.heartbeat()
		s.settleLimbo()
		return
	}
	if s.electAt == 0 {
		s.electAt = s.patience(now, t)
	}
	if s.leader != nil && now-s.heard >= t {
		s.loop.Logf("store", "%s does not lead raft any more, it has no majority", s.leader.node)
		s.leader = nil // by raft's own check it resigns; the others do not hear it
		s.term++
	}
	if now < s.electAt {
		return
	}
	switch c := s.candidate(nil); {
	case c != nil:
		s.elect(c)
	case s.term > 0: // the voters go on asking, each at its own time
		s.electAt = now + s.loop.Between("store", t/10, t)
	}
}

// patience draws when the first voter calls an election: one to two timeouts after the last heartbeat. Voters that still hear a
// leader who does not hear them wait for it to resign first. The very first election does not wait for anybody.
func (s *Store) patience(now, t time.Duration) time.Duration {
	if s.term == 0 {
		return now + s.loop.Between("store", t/10, t/2)
	}
	at := s.heard + s.loop.Between("store", t, 2*t)
	if l := s.leader; l != nil && s.up(l) && s.majority(func(w *storeVoter) bool { return s.net.Reaches(NetCluster, l.node, w.node) }) {
		at += t
	}
	return at
}

// candidate draws one of those who would win an election now, other than not.
func (s *Store) candidate(not *storeVoter) *storeVoter {
	var able []*storeVoter
	for _, v := range s.voters {
		if v != not && v.slow < s.timing.EtcdElection && s.quorate(v) {
			able = append(able, v)
		}
	}
	if len(able) == 0 {
		return nil
	}
	return able[s.loop.Rand("store").IntN(len(able))]
}

// elect makes a voter the leader: what the old one had accepted survives only where another voter has it.
func (s *Store) elect(v *storeVoter) {
	s.leader, s.deposed, s.heard, s.electAt = v, false, s.loop.Now(), 0
	s.term++
	s.loop.Logf("store", "%s leads raft, term %d", v.node, s.term)
	s.loop.Mix(uint64(s.term)<<8 | uint64(v.index))
	s.limbo = slices.DeleteFunc(s.limbo, func(e *raftEntry) bool { return !e.replicated && e.leader != v })
	s.heartbeat()
	s.settleLimbo()
	s.refreshLeases()
}

// heartbeat lets the voters that the leader reaches know that there is one.
func (s *Store) heartbeat() {
	for _, v := range s.voters {
		if s.up(v) && s.both(s.leader.node, v.node) {
			v.heard = s.loop.Now()
		}
	}
}

// settleLimbo carries out what waited for a majority, in order.
func (s *Store) settleLimbo() {
	waiting := s.limbo
	s.limbo = nil
	for _, e := range waiting {
		s.apply(e.request, e.answer)
	}
}

// propose brings a write through raft: written to disk by a majority and by the leader, then applied. A leader who has lost its
// majority meanwhile keeps it in limbo.
func (s *Store) propose(l *storeVoter, r *storeRequest, answer func(storeAnswer)) {
	term, epoch := s.term, s.epoch
	e := &raftEntry{request: r, answer: answer, leader: l}
	if s.quorate(l) { // the others may have received it, whatever comes now
		e.replicated = s.loop.Chance("store", 0.5)
	}
	s.loop.After(s.fsync(l), func() {
		if s.term == term && s.leads(l) {
			s.apply(r, answer)
			return
		}
		switch {
		case s.epoch != epoch: // overwritten by a restore
		case s.leader == nil || s.deposed || s.leader == l && s.term == term:
			s.limbo = append(s.limbo, e)
		case e.replicated || s.leader == l: // an election came in between, and its winner has the entry
			s.apply(r, answer)
		}
	})
}

// fsync draws how long a majority takes to write an entry down; the leader's own disk always counts.
func (s *Store) fsync(l *storeVoter) time.Duration {
	const most = 9
	var buf [most]time.Duration
	disks := buf[:0]
	for _, v := range s.voters {
		d := s.loop.Between("store", 400*time.Microsecond, 2500*time.Microsecond)
		if s.up(v) {
			disks = append(disks, d+v.slow)
		}
	}
	need := len(s.voters)/2 + 1
	if len(disks) < need {
		return l.slow + 2500*time.Microsecond
	}
	slices.Sort(disks)
	return max(disks[need-1], l.slow)
}

// apply carries a write out.
func (s *Store) apply(r *storeRequest, answer func(storeAnswer)) {
	var a storeAnswer
	switch r.op {
	case opTxn:
		a.rev, a.err = s.applyTxn(r)
	case opGrant:
		a.lease, a.ttl = s.applyGrant(r)
	case opRevoke:
		a.err = s.applyRevoke(r, "revoke")
	case opExpire:
		if l := s.lease(r.lease); l != nil && l.revoking { // a new leader may have refreshed it
			a.err = s.applyRevoke(r, "expire")
		}
	}
	answer(a)
}

// MoveRaftLeaderOff hands raft's leadership from this node to another healthy voter; false: it did not lead, or nobody can take
// over. Every lease is refreshed, as with any new leader.
func (s *Store) MoveRaftLeaderOff(node string) bool {
	if s.RaftLeader() != node || !s.leads(s.leader) {
		return false
	}
	c := s.candidate(s.leader)
	if c == nil {
		return false
	}
	s.elect(c)
	return true
}
