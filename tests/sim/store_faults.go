package sim

import (
	"maps"
	"time"

	"bascule/ha"
)

// storeBackup is a copy of the store as `etcdctl snapshot save` makes it.
type storeBackup struct {
	rev    int64
	kvs    map[string]ha.KV
	leases []storeLease
	snap   *ha.Snapshot
}

// storeFaults are the faults of one node's clients.
type storeFaults struct {
	lost        float64       // share of the commits whose answers are lost
	next        lostFate      // of the next commit
	lag         time.Duration // extra delay of every event of the watch
	brokenUntil time.Duration // no events before
}

// lostFate is what becomes of a commit whose answer is lost.
type lostFate uint8

const (
	lostDrawn  lostFate = iota // the dice say so, and whether it is lost at all
	lostBefore                 // it never arrives
	lostAfter                  // it is carried out at once
)

func (s *Store) fault(node string) *storeFaults {
	f := s.faults[node]
	if f == nil {
		f = &storeFaults{}
		s.faults[node] = f
	}
	return f
}

// SlowFsync makes each fsync of a voter take so much longer; 0 heals it. A voter slower than an election timeout cannot lead.
func (s *Store) SlowFsync(node string, d time.Duration) {
	if v := s.voter(node); v != nil {
		v.slow = d
	}
}

// BreakWatch lets a node's watch show nothing new for d; then it reads everything again.
func (s *Store) BreakWatch(node string, d time.Duration) {
	s.fault(node).brokenUntil = s.loop.Now() + d
	for _, c := range s.clients {
		if c.node == node {
			c.watch.behind = true
		}
	}
}

// LagWatch lets a node's watch show everything d later; 0 heals it.
func (s *Store) LagWatch(node string, d time.Duration) { s.fault(node).lag = d }

// Ambiguous loses the answers of this share of a node's commits: carried out, carried out up to 4 s later, or never.
func (s *Store) Ambiguous(node string, p float64) { s.fault(node).lost = p }

// Down stops the whole service, or lets it come back; counted.
func (s *Store) Down(on bool) {
	s.down = counted(s.down, on)
	s.depose(s.leader)
}

// VoterDown stops one voter's member while its daemon goes on, or lets it come back; counted.
func (s *Store) VoterDown(node string, on bool) {
	if v := s.voter(node); v != nil {
		v.down = counted(v.down, on)
		s.depose(v)
	}
}

// Compact forgets history: a watch that is behind, or slow, must read everything again.
func (s *Store) Compact() {
	for _, c := range s.clients {
		if c.watch.last > s.loop.Now() {
			c.watch.behind = true
		}
	}
}

// Backup keeps a copy, for Restore.
func (s *Store) Backup() {
	b := &storeBackup{rev: s.rev, kvs: maps.Clone(s.kvs), snap: s.snap}
	for _, l := range s.leases {
		b.leases = append(b.leases, storeLease{id: l.id, ttl: l.ttl})
	}
	s.backup = b
}

// Restore puts the copy back, as an operator does who overwrites all data directories: content and revision go back, the leases
// of the copy live again with their full TTL, what was under way is lost, and all watches read again. Without a copy nothing happens.
func (s *Store) Restore() {
	b := s.backup
	if b == nil {
		return
	}
	s.epoch++
	s.term++
	s.limbo = nil
	s.rev, s.kvs = b.rev, maps.Clone(b.kvs)
	fresh := *b.snap // a copy of its own: the events' list must not be shared with the history that is undone
	fresh.Events = append([]string(nil), b.snap.Events...)
	s.snap = &fresh
	s.leases = nil
	for _, l := range b.leases {
		s.leases = append(s.leases, &storeLease{id: l.id, ttl: l.ttl, ends: s.leaseEnd(l.ttl)})
	}
	s.leader, s.electAt = nil, s.loop.Now()+s.timing.EtcdElection/2 // the members start anew
	for _, c := range s.clients {
		c.watch.behind = true
	}
	s.loop.Logf("store", "restored: back to revision %d", s.rev)
	s.loop.Mix(uint64(s.rev))
	s.notify(Applied{Rev: s.rev, Op: "restore", At: s.loop.Now()})
}

func counted(n int, on bool) int {
	if on {
		return n + 1
	}
	return max(0, n-1)
}
