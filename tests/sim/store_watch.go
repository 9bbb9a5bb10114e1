package sim

import (
	"time"

	"bascule/ha"
)

// storeWatch is a client's copy of the store, which follows it through a watch at one member.
type storeWatch struct {
	on      bool
	changed func()
	snap    *ha.Snapshot // nil before the first read
	epoch   int          // of snap
	at      *storePeer   // the member that it follows

	behind  bool          // events were missed: everything must be read again
	reading bool          // that read is under way
	good    time.Duration // when the member was last known to follow raft's leader
	last    time.Duration // when the newest event under way arrives: they keep their order
}

// Watch begins to keep a copy; changed is called in the process after each change of it, and after the first read.
func (c *Client) Watch(changed func()) {
	w := &c.watch
	w.on, w.changed, w.behind, w.at, w.good = true, changed, true, c.peers[0], c.store.loop.Now()
	c.resync()
}

// Snapshot is the watched copy, which lags; false before the first read. It is shared and must not be changed.
func (c *Client) Snapshot() (*ha.Snapshot, bool) { return c.watch.snap, c.watch.snap != nil }

// follow sends the newest revision to the copy, if its member can.
func (c *Client) follow() {
	s, w := c.store, &c.watch
	if !w.on || w.behind || !c.proc.Alive() {
		return
	}
	if s.loop.Now() < c.fault.brokenUntil || !c.follows() {
		w.behind = true
		return
	}
	w.last = max(w.last, s.loop.Now()+c.fault.lag+s.loop.Between("store watch", 200*time.Microsecond, 3*time.Millisecond))
	snap, epoch := s.snap, s.epoch
	s.loop.After(w.last-s.loop.Now(), c.proc.In(func() {
		if epoch == w.epoch && w.snap != nil && snap.Revision > w.snap.Revision {
			c.show(snap, epoch)
		}
	}))
}

// follows says whether the watch's member hears raft's leader, and we hear it.
func (c *Client) follows() bool {
	v := c.watch.at.voter
	return c.store.serves(v) && c.store.both(c.node, v.node)
}

func (c *Client) show(snap *ha.Snapshot, epoch int) {
	w := &c.watch
	w.snap, w.epoch = snap, epoch
	c.saw(snap.Revision)
	if w.changed != nil {
		w.changed()
	}
}

// resync reads everything again and follows from there.
func (c *Client) resync() {
	s, w := c.store, &c.watch
	if w.reading {
		return
	}
	w.reading = true
	c.hedged(&storeRequest{op: opRead}, 2*s.timing.EtcdElection, func(a storeAnswer) {
		w.reading = false
		if a.err != nil || s.loop.Now() < c.fault.brokenUntil {
			return // the next tick tries again
		}
		w.behind, w.good = false, s.loop.Now()
		if at := c.following(); at != nil {
			w.at, at.conn = at, at.voter.proc
		}
		c.show(s.snap, s.epoch)
	})
}

// following is the first member that a watch would work at.
func (c *Client) following() *storePeer {
	for _, p := range c.order() {
		if c.store.serves(p.voter) && c.store.both(c.node, p.voter.node) {
			return p
		}
	}
	return nil
}

// silence is how long a watch without a sign of life is kept.
func (s *Store) silence() time.Duration { return 2*s.timing.EtcdElection + time.Second }

// watchTick repairs the watches: one that missed events reads again as soon as its member works again; one whose member stays
// silent goes to another.
func (s *Store) watchTick() {
	now := s.loop.Now()
	for _, c := range s.clients {
		w := &c.watch
		if !w.on || !c.proc.Runs() || now < c.fault.brokenUntil {
			continue
		}
		ok := c.follows()
		if ok && !w.behind {
			w.good = now
			continue
		}
		if ok || w.at.conn == nil || now-w.good >= s.silence() {
			w.behind = true
			c.resync()
		}
	}
}
