package etcd

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"bascule/ha"
)

// Member is one member of the embedded cluster as etcd's own list has it.
type Member struct {
	ID      uint64
	Node    ha.NodeName // by its name, or by its address while it has not started; "" when the configuration knows neither
	Peer    string      // host:port between voters
	Learner bool        // it copies and does not vote yet
	Started bool        // it has been a running member once
	Answers bool        // its client port answered just now
	Leader  bool        // raft's
	DBSize  int64       // bytes; 0 when it does not answer
	Problem string      // why it does not answer
}

// Members is etcd's own list of members, linearizable, and how each of them is.
func (s *Store) Members(ctx context.Context) ([]Member, error) {
	if s.cfg.External != nil {
		return nil, errExternal
	}
	list, err := s.list(ctx)
	if err != nil {
		return nil, err
	}
	health := map[ha.NodeName]MemberState{}
	s.connect(ctx) // the list's members are asked from now on
	for _, m := range s.members(ctx) {
		health[m.Name] = m
	}
	for i, m := range list {
		h, known := health[m.Node]
		if !known {
			list[i].Problem = "this node's configuration has no such voter"
			continue
		}
		list[i].Answers, list[i].Leader, list[i].DBSize, list[i].Problem = h.Answers && (h.id == m.ID || h.id == 0), h.Leader, h.DBSize, h.Problem
		if h.Answers && h.id != m.ID {
			list[i].Problem = "another member answers there"
		}
	}
	return list, nil
}

// connect gives every connection a moment: one that was refused a second ago, before the voter there started, says nothing of now.
func (s *Store) connect(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, connectLimit+connectSlowest)
	defer cancel()
	var all sync.WaitGroup
	for _, e := range s.pool.current() {
		all.Go(func() { e.awaitReady(ctx) })
	}
	all.Wait()
}

// list asks for the members; it needs a majority.
func (s *Store) list(ctx context.Context) ([]Member, error) {
	resp, err := hedged(ctx, s.pool, "listing etcd's members", func(ctx context.Context, e *endpoint) (*pb.MemberListResponse, error) {
		return pb.NewClusterClient(e.conn()).MemberList(ctx, &pb.MemberListRequest{Linearizable: true})
	})
	if err != nil {
		return nil, refusedIfDefinite("listing etcd's members", err)
	}
	var out []Member
	for _, m := range resp.Members {
		out = append(out, s.cfg.member(m.ID, m.Name, m.PeerURLs, m.ClientURLs, m.IsLearner))
	}
	s.note(out)
	return out, nil
}

// Spares are the nodes that may vote and are no members by this list, in the configuration's order.
func (s *Store) Spares(list []Member) []ha.NodeName { return s.cfg.spares(list) }

func (c Config) spares(list []Member) (out []ha.NodeName) {
	for _, v := range c.Voters {
		if own, _ := split(list, v.Name); own == nil {
			out = append(out, v.Name)
		}
	}
	return out
}

// member names a member of etcd's list. A member that was let in has no name before it starts.
func (c Config) member(id uint64, name string, peers, clients []string, learner bool) Member {
	m := Member{ID: id, Node: ha.NodeName(name), Learner: learner, Started: len(clients) > 0}
	if len(peers) > 0 {
		m.Peer = hostOf(peers[0])
	}
	for _, v := range c.Voters {
		if m.Node == "" && hostPort(v.Address, c.PeerPort) == m.Peer {
			m.Node = v.Name
		}
	}
	return m
}

func hostOf(peerURL string) string {
	if u, err := url.Parse(peerURL); err == nil && u.Host != "" {
		return u.Host
	}
	return strings.TrimPrefix(peerURL, "https://")
}

// voter returns a configured voter.
func (c Config) voter(n ha.NodeName) (Voter, error) {
	for _, v := range c.Voters {
		if v.Name == n {
			return v, nil
		}
	}
	return Voter{}, fmt.Errorf("%w: %s is no voter in this node's configuration: make it one in members (the same list on every member), restart basculed everywhere, one after the other, then ask again", ErrMembers, n)
}

// label names a member for people.
func (m Member) label() string {
	if m.Node == "" {
		return "the member at " + m.Peer
	}
	return string(m.Node)
}
