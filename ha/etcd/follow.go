package etcd

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"bascule/ha"
)

const (
	followEvery = 2 * time.Second  // how often it is looked whether etcd's list is fresh
	listHolds   = 10 * time.Second // so old a list is read again
	probePause  = 10 * time.Second // between two searches for members
	probeLimit  = 2 * time.Second
)

// noted is etcd's list and when it was read.
type noted struct {
	list []Member
	at   time.Time
}

// note takes in etcd's list: connections go to its members, whoever they are by now, and to no spare. Thirty spares that are asked once a
// second whether they have a member by now would cost a cluster more than its store.
func (s *Store) note(list []Member) {
	s.noted.Store(&noted{slices.Clone(list), time.Now()}) // the caller goes on writing in its own
	if err := s.pool.use(s.cfg.asked(list)); err != nil {
		s.cfg.Log.WithError(err).Warn("cannot prepare the connection to a new voter")
	}
}

// asked says which places are asked: etcd's members; while there are fewer than there should be, whom the configuration wants to vote, too.
// Before anything is known: those, and this node itself if it runs a member.
func (c Config) asked(list []Member) func(ha.NodeName) bool {
	return func(n ha.NodeName) bool {
		own, _ := split(list, n)
		v, err := c.voter(n)
		switch {
		case c.External != nil || own != nil:
			return true
		case list == nil && n == c.Self && c.hasData():
			return true
		}
		return err == nil && !v.Spare && voting(list) < c.wanted()
	}
}

// followMembers keeps the list fresh. Where the store has not answered for long, its members may have become others meanwhile: it looks for
// them at every node that may vote.
func (s *Store) followMembers() {
	var probed time.Time
	for pause(s.ctx, followEvery) {
		if l := s.noted.Load(); l != nil && time.Since(l.at) < listHolds {
			continue
		}
		ctx, cancel := context.WithTimeout(s.ctx, s.cfg.callLimit())
		_, err := s.list(ctx)
		cancel()
		if err != nil && time.Since(probed) >= probePause {
			s.search(s.ctx)
			probed = time.Now()
		}
	}
}

// search asks every peer port once who the members are, and uses all that any of them names. Some may know an old list: one member too
// many is asked in vain, and the first answer of the store puts that right.
func (s *Store) search(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	tc, err := loadTLS(s.cfg.TLS)
	if err != nil {
		return
	}
	tr := &http.Transport{TLSClientConfig: tc}
	defer tr.CloseIdleConnections()
	var mu sync.Mutex
	var found []Member
	var all sync.WaitGroup
	for _, v := range s.cfg.Voters {
		if v.Name == s.cfg.Self {
			continue
		}
		all.Go(func() {
			if list, err := s.cfg.peerList(ctx, tr, hostPort(v.Address, s.cfg.PeerPort)); err == nil {
				mu.Lock()
				defer mu.Unlock()
				found = append(found, list...)
			}
		})
	}
	all.Wait()
	if len(found) == 0 {
		return
	}
	used := s.pool.current()
	_ = s.pool.use(func(n ha.NodeName) bool {
		own, _ := split(found, n)
		return own != nil || slices.ContainsFunc(used, func(e *endpoint) bool { return e.name == n })
	})
}

// lastList is etcd's list as last known, without asking anybody; nil when nothing is known.
func (s *Store) lastList() []Member {
	if l := s.noted.Load(); l != nil {
		return l.list
	}
	return nil
}
