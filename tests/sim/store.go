package sim

import (
	"time"

	"bascule/ha"
)

// Store is etcd as a model: one truth, of which the voters' raft decides who may change it and when. It keeps what matters to
// its users: revisions, guards, leases counted by raft's leader, answers that are lost while the write goes on, watches that
// lag. What the voters have on disk survives every death; copies that differ between voters are not modelled, only which
// writes had not reached a majority yet (limbo).
type Store struct {
	loop   *Loop
	net    *Net
	timing ha.Timing

	restores int64 // so far
	voters   []*storeVoter
	procs    map[string]*Proc // by node: its daemon; whoever is let in begins there
	turn     *Proc            // whose change of the voters is under way; nil: nobody's
	clients  []*Client
	faults   map[string]*storeFaults // by client's node; they outlive its processes
	down     int                     // how many faults hold the whole service down

	// The truth.
	rev       int64
	kvs       map[string]ha.KV
	leases    []*storeLease // ascending by id
	lastLease ha.LeaseID
	snap      *ha.Snapshot // of the truth; immutable
	epoch     int          // counts restores: revisions of different epochs are not comparable
	backup    *storeBackup
	applied   []func(Applied)
	onVoters  []func(change string, node string)

	// Raft.
	leader  *storeVoter   // nil: none is known
	deposed bool          // the leader's process has ended; the others do not know yet
	term    int           // counts leaderships: what one leader was asked is void under the next
	heard   time.Duration // when a leader last had a majority
	electAt time.Duration // when the voters' patience ends; 0: they are content
	limbo   []*raftEntry  // accepted by a leader who then lost its majority
	ticks   int
}

// storeVoter is one voter's member, which runs inside the node's daemon.
type storeVoter struct {
	index   int
	node    string
	proc    *Proc
	readyAt time.Duration // an embedded etcd needs a moment to start
	down    int           // how many faults hold this member alone down
	slow    time.Duration // extra time of each fsync
	heard   time.Duration // when it last heard a leader
}

// Applied is one write that took effect.
type Applied struct {
	Rev   int64         // the store's revision afterwards
	By    string        // node of the client; "" for raft's leader itself (expiry) and restores
	Proc  *Proc         // the client's process, perhaps dead by now; nil likewise
	Txn   *ha.Txn       // of a transaction, else nil; not to be changed
	Op    string        // "txn", "grant", "revoke", "expire", "restore"
	Lease ha.LeaseID    // of a lease operation
	Gone  []string      // keys that went away with the lease
	Term  ha.Term       // the transaction's own guard
	Sent  time.Duration // when the client sent it
	At    time.Duration
}

// storeTick is how often the voters look at each other: an etcd heartbeat, but not oftener than 100 ms.
const storeTick = 100 * time.Millisecond

// NewStore returns an empty store; nobody votes before SetProc.
func NewStore(l *Loop, n *Net, voters []string, t ha.Timing) *Store {
	s := &Store{loop: l, net: n, timing: t, rev: 1, kvs: map[string]ha.KV{}, procs: map[string]*Proc{}, faults: map[string]*storeFaults{}, snap: emptySnapshot(1)}
	for i, v := range voters {
		s.voters = append(s.voters, &storeVoter{index: i, node: v})
	}
	l.Every(max(storeTick, t.EtcdHeartbeat), s.tick)
	return s
}

// SetProc tells that the daemon of a node started as this process; a voter's member starts with it and is ready after
// 0.1–0.4 s, like the real one on a disk that is not busy. Nodes without a vote are ignored.
func (s *Store) SetProc(node string, p *Proc) {
	s.procs[node] = p
	if v := s.voter(node); v != nil {
		s.depose(v)
		v.proc = p
		v.readyAt = s.loop.Now() + s.loop.Between("store", 100*time.Millisecond, 400*time.Millisecond)
	}
}

// Truth is the newest applied state. It must not be changed.
func (s *Store) Truth() *ha.Snapshot { return s.snap }

// LeaseAlive says whether the store holds this lease now, perhaps past its time but not yet noticed.
func (s *Store) LeaseAlive(id ha.LeaseID) bool { return s.lease(id) != nil }

// OnApply calls f after every write that took effect, when Truth shows it already.
func (s *Store) OnApply(f func(a Applied)) { s.applied = append(s.applied, f) }

// RaftLeader is the node whose member leads raft, "" when none does.
func (s *Store) RaftLeader() string {
	if s.leader == nil {
		return ""
	}
	return s.leader.node
}

func (s *Store) voter(node string) *storeVoter {
	for _, v := range s.voters {
		if v.node == node {
			return v
		}
	}
	return nil
}

// tick is the store's own clockwork: raft, leases, watches.
func (s *Store) tick() {
	s.ticks++
	s.raftTick()
	s.leaseTick()
	s.watchTick()
}
