package sim

import (
	"slices"
	"time"

	"bascule/ha"
)

// Client is a process's connection to the store, with a connection to each voter, as ha/etcd has it.
type Client struct {
	store *Store
	node  string
	proc  *Proc
	peers []*storePeer // our own member first
	seen  int64        // the highest revision that any answer has shown
	fault *storeFaults
	watch storeWatch
}

// storePeer is what a client knows of one voter.
type storePeer struct {
	voter    *storeVoter
	conn     *Proc         // the process that it is connected to; nil: not connected
	badUntil time.Duration // asked last until then
	badFor   time.Duration
}

// What the client does with members that do not answer: ha/etcd/pool.go and endpoint.go.
const (
	hedgeLongest   = 400 * time.Millisecond
	callAgain      = 100 * time.Millisecond
	peerBadFirst   = time.Second
	peerBadLongest = 15 * time.Second
)

// Client connects a process of a node. It ends with the process.
func (s *Store) Client(node string, p *Proc) *Client {
	c := &Client{store: s, node: node, proc: p, fault: s.fault(node)}
	for _, v := range s.voters {
		c.peers = append(c.peers, &storePeer{voter: v})
	}
	slices.SortStableFunc(c.peers, func(a, b *storePeer) int { return ownFirst(node, a) - ownFirst(node, b) })
	s.clients = slices.DeleteFunc(s.clients, func(c *Client) bool { return !c.proc.Alive() })
	s.clients = append(s.clients, c)
	return c
}

func ownFirst(node string, p *storePeer) int {
	if p.voter.node == node {
		return 0
	}
	return 1
}

// order is whom to ask first: those that have not failed lately, our own member before the others.
func (c *Client) order() []*storePeer {
	now := c.store.loop.Now()
	peers := make([]*storePeer, 0, len(c.peers))
	for _, p := range c.peers {
		if now >= p.badUntil {
			peers = append(peers, p)
		}
	}
	for _, p := range c.peers {
		if now < p.badUntil {
			peers = append(peers, p)
		}
	}
	return peers
}

func (p *storePeer) good() { p.badUntil, p.badFor = 0, 0 }

// failed makes a member be asked last for a while, twice as long each time.
func (p *storePeer) failed(now time.Duration, silent bool) {
	if now >= p.badUntil {
		p.badFor = min(max(2*p.badFor, peerBadFirst), peerBadLongest)
		p.badUntil = now + p.badFor
	}
	if silent {
		p.conn = nil
	}
}

// send gives a call to a member and says whether anything left this node. got is called in the process, later, perhaps never.
func (c *Client) send(p *storePeer, r *storeRequest, got func(storeAnswer)) bool {
	s, v := c.store, p.voter
	reach := v.node == c.node || s.both(c.node, v.node)
	switch {
	case s.up(v) && reach:
		p.conn = v.proc
	case p.conn != nil && p.conn.Alive() && v.down+s.down == 0: // stopped or cut off: nobody says so
	case p.conn != nil && !p.conn.Alive() && v.node != c.node && s.loop.Chance("store", 0.5):
		// Its machine is gone, too: silence. (A daemon that ended alone leaves a kernel that refuses.)
		return true
	default:
		p.conn = nil
		c.proc.Post(func() { got(storeAnswer{err: errRefused}) })
		return false
	}
	s.toVoter(c.node, v, func() {
		s.serve(v, r, func(a storeAnswer) {
			if v.node == c.node {
				c.proc.Post(func() { got(a) })
			} else {
				s.net.Stream(NetCluster, v.node, c.node, c.proc.In(func() { got(a) }))
			}
		})
	})
	return true
}

// served says whether an answer comes from the store itself, be it a refusal.
func served(a storeAnswer) bool { return a.err != errRefused && a.err != errNoLeader }

// storeCall is a call that may be repeated: asked of the first member, of the next as well when it hesitates, and of each again
// while it refuses.
type storeCall struct {
	c        *Client
	r        *storeRequest
	order    []*storePeer
	asked    int
	hesitate time.Duration
	limit    *Event
	hedge    *Event
	over     bool
	done     func(storeAnswer)
}

// hedged makes a repeatable call; without any answer in time it ends in ErrUnavailable.
func (c *Client) hedged(r *storeRequest, timeout time.Duration, done func(storeAnswer)) {
	r.by, r.proc = c.node, c.proc
	k := &storeCall{c: c, r: r, order: c.order(), done: done}
	k.hesitate = min(timeout/time.Duration(len(k.order)+1), hedgeLongest)
	k.limit = c.proc.After(timeout, func() {
		if timeout >= hedgeLongest {
			k.blame(nil)
		}
		k.finish(storeAnswer{err: ha.ErrUnavailable})
	})
	k.next()
}

func (k *storeCall) next() {
	k.hedge.Cancel()
	if k.over || k.asked == len(k.order) {
		return
	}
	p := k.order[k.asked]
	k.asked++
	k.attempt(p)
	if k.asked < len(k.order) {
		k.hedge = k.c.proc.After(k.hesitate, k.next)
	}
}

func (k *storeCall) attempt(p *storePeer) {
	first := true
	k.c.send(p, k.r, func(a storeAnswer) {
		switch {
		case k.over:
		case served(a):
			p.good()
			k.blame(p)
			k.finish(a)
		default:
			p.failed(k.c.store.loop.Now(), false)
			k.c.proc.After(callAgain, func() {
				if !k.over {
					k.attempt(p)
				}
			})
			if first {
				first = false
				k.next()
			}
		}
	})
}

// blame marks the members that were asked before the one that answered.
func (k *storeCall) blame(answered *storePeer) {
	for _, p := range k.order[:k.asked] {
		if p == answered {
			return
		}
		p.failed(k.c.store.loop.Now(), true)
	}
}

func (k *storeCall) finish(a storeAnswer) {
	if k.over {
		return
	}
	k.over = true
	k.limit.Cancel()
	k.hedge.Cancel()
	k.c.saw(a.rev)
	k.done(a)
}

func (c *Client) saw(rev int64) { c.seen = max(c.seen, rev) }
