package etcd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"

	"bascule/ha"
)

// MemberState is one voter as Health found it.
type MemberState struct {
	Name    ha.NodeName // of an external member its address
	Address string      // host:port of its client port
	Answers bool
	Leader  bool   // it says itself that it leads raft
	DBSize  int64  // bytes; 0 when it does not answer
	Problem string // why it does not answer, or what it complains about
	Vote    Vote   // as etcd's own list has it
	id      uint64 // etcd's member id, 0 when it does not answer
	says    uint64 // whom it takes for raft's leader
	applied uint64 // its log position
}

// Vote is what a configured voter is to etcd, or a member of etcd to the configuration.
type Vote string

// Votes.
const (
	VoteUnknown Vote = ""        // the list could not be read
	VoteVoter   Vote = "voter"   // as configured
	VoteLearner Vote = "learner" // it is being let in
	VoteNone    Vote = "none"    // configured, no member
	VoteSpare   Vote = "spare"   // no member, and not asked to be one
	VoteExtra   Vote = "extra"   // a voter that the configuration does not have
)

// Health is the state of the store as seen from this node.
type Health struct {
	Quorum   bool        // a linearizable read was answered just now
	External bool        // the store is an etcd that others run: Members are its configured endpoints
	Leader   ha.NodeName // raft's leader; empty when none is known
	Members  []MemberState
	Starting ha.NodeName   // this node's name while its own member, which answers nobody yet, waits for the others
	Own      string        // this node's own member: leader, follower, no leader, starting, stopped; client (no member)
	DBSize   int64         // bytes, own member's, else the largest that answered
	Why      string        // when there is no quorum or the own member is unwell: what is known
	Problems []string      // that do not keep the store from answering reads: what and what to do
	Spares   []ha.NodeName // they may vote and are no members; nothing while the list is not known
	Changing bool          // voters are being changed, or somebody is let in and does not vote yet
	OwnDown  bool          // etcd's list has this node as a voter, and no member runs here
}

// Health asks every voter and tries one linearizable read. It answers within the context (or an election's time),
// with or without quorum.
func (s *Store) Health(ctx context.Context) Health {
	limit := s.cfg.callLimit()
	if d, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(d)*4/5)
	}
	ask, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	h := Health{External: s.cfg.External != nil}
	var quorumErr error
	var both sync.WaitGroup
	both.Go(func() { _, _, quorumErr = s.Get(ask, ha.KeyLeader) })
	both.Go(func() { h.Members = s.members(ask) })
	if !h.External {
		both.Go(func() { _, _ = s.list(ask) }) // without it the last one stands for it, and the configuration for that
	}
	both.Wait()
	if s.joined(h.Members) { // since the members were asked
		h.Members = s.members(ask)
	}
	h.Changing = s.changing()
	h.compare(s.cfg, s.lastList())
	if why := s.waits.Load(); why != nil && *why != "" {
		h.Problems = append(h.Problems, fmt.Sprintf("%s does not vote in etcd: %s", s.cfg.Self, *why))
	}

	h.Quorum = quorumErr == nil
	h.Leader = leaderOf(h.Members)
	h.Own = "client"
	for _, m := range h.Members {
		h.DBSize = max(h.DBSize, m.DBSize)
		if strings.Contains(m.Problem, "alarm:") {
			h.Problems = append(h.Problems, fmt.Sprintf("etcd raises an alarm (%s): with NOSPACE nothing can be written: compact and defragment it, then etcdctl alarm disarm; with CORRUPT the member's data differ from the others': replace it", m.Problem))
		}
	}
	slices.Sort(h.Problems)
	h.Problems = slices.Compact(h.Problems)
	var why []error
	if sv := s.server.Load(); sv != nil {
		var problem error
		if h.Own, h.DBSize, problem = sv.state(); problem != nil {
			why = append(why, problem)
		}
		if h.Own == ownStarting {
			h.Starting = s.cfg.Self
		}
	}
	if own, _ := split(s.lastList(), s.cfg.Self); own != nil && !own.Learner {
		h.OwnDown = h.Own == "client" || h.Own == ownStarting || h.Own == "stopped"
	}
	if !h.Quorum {
		answering := 0
		for _, m := range h.Members {
			answering += rank(m.Answers)
		}
		must := "voters answer; a majority must"
		if h.External {
			must = "endpoints of the external etcd answer, and none has a majority of its members"
		}
		why = append(why, fmt.Errorf("%d of %d %s: %w", answering, len(h.Members), must, quorumErr))
	}
	if err := errors.Join(why...); err != nil {
		h.Why = err.Error()
	}
	return h
}

// compare takes in who is a member by etcd's own list, and says what the configuration says otherwise.
func (h *Health) compare(cfg Config, list []Member) {
	if list == nil {
		return
	}
	h.Spares = cfg.spares(list)
	for i, m := range h.Members {
		own, _ := split(list, m.Name)
		v, _ := cfg.voter(m.Name)
		switch {
		case own == nil && (v.Spare || voting(list) >= cfg.wanted()):
			h.Members[i].Vote = VoteSpare
		case own == nil:
			h.Members[i].Vote = VoteNone
			h.Problems = append(h.Problems, fmt.Sprintf("%s is a voter in the configuration and no member of etcd: let it in (hactl etcd add %s), or make it none in members", m.Name, m.Name))
		case own.Learner:
			h.Members[i].Vote = VoteLearner
			if !h.Changing { // else somebody sees to it
				h.Problems = append(h.Problems, fmt.Sprintf("%s is being let in to etcd and does not vote yet: hactl etcd add %s goes on with it, hactl etcd remove %s takes it back", m.Name, m.Name, m.Name))
			}
		default:
			h.Members[i].Vote = VoteVoter
		}
		h.Changing = h.Changing || own != nil && own.Learner
	}
	for _, m := range list {
		if _, err := cfg.voter(m.Node); err != nil {
			h.Members = append(h.Members, MemberState{Name: ha.NodeName(m.label()), Address: m.Peer, Vote: VoteExtra, Problem: "this node's configuration has no such voter"})
			h.Problems = append(h.Problems, fmt.Sprintf("%s votes in etcd and is no voter in the configuration: take it out (hactl etcd remove %s), or make it a voter in members", m.label(), m.Node))
		}
	}
}

// joined says whether the list names a configured member that is not among these.
func (s *Store) joined(members []MemberState) bool {
	return slices.ContainsFunc(s.lastList(), func(m Member) bool {
		_, err := s.cfg.voter(m.Node)
		return err == nil && !slices.ContainsFunc(members, func(h MemberState) bool { return h.Name == m.Node })
	})
}

// changing says whether somebody has the turn to change the voters, as far as the view shows.
func (s *Store) changing() bool {
	s.view.mu.Lock()
	defer s.view.mu.Unlock()
	_, held := s.view.kvs[ha.KeyEtcdChange]
	return held
}

// ownStarting is a member that waits for a majority of the voters to start.
const ownStarting = "starting"

// state describes the embedded member without any network.
func (sv *server) state() (own string, dbSize int64, problem error) {
	if why := sv.down.Load(); why != nil {
		return "stopped", 0, fmt.Errorf("this node's etcd member has stopped: %s", *why)
	}
	e := sv.etcd.Server
	dbSize = e.Backend().Size()
	select {
	case <-e.ReadyNotify():
	default:
		return ownStarting, dbSize, errors.New("this node's etcd member waits for a majority of the voters to start")
	}
	if alarms := e.Alarms(); len(alarms) > 0 {
		problem = fmt.Errorf("etcd raises the alarm %v", alarms[0].Alarm)
	}
	switch e.Leader() {
	case 0:
		return "no leader", dbSize, problem
	case e.MemberID():
		return "leader", dbSize, problem
	}
	return "follower", dbSize, problem
}

// members asks all at once, our own first.
func (s *Store) members(ctx context.Context) []MemberState {
	eps := s.pool.current()
	states := make([]MemberState, len(eps))
	var all sync.WaitGroup
	for i, e := range eps {
		all.Go(func() { states[i] = e.status(ctx) })
	}
	all.Wait()
	return states
}

func (e *endpoint) status(ctx context.Context) MemberState {
	m := MemberState{Name: e.name, Address: e.address}
	resp, err := pb.NewMaintenanceClient(e.conn()).Status(ctx, &pb.StatusRequest{}, grpc.WaitForReady(false))
	if err != nil {
		m.Problem = err.Error()
		return m
	}
	m.Answers, m.DBSize = true, resp.DbSize
	m.id, m.says, m.applied = resp.Header.MemberId, resp.Leader, resp.RaftAppliedIndex
	m.Leader = m.id == m.says && m.id != 0
	if len(resp.Errors) > 0 {
		m.Problem = resp.Errors[0]
	}
	return m
}

// leaderOf names raft's leader: the member that says so itself with the agreement of most; with none, the one most name.
func leaderOf(members []MemberState) ha.NodeName {
	votes := map[uint64]int{}
	for _, m := range members {
		if m.says != 0 {
			votes[m.says]++
		}
	}
	var leader ha.NodeName
	best := 0
	for _, m := range members {
		if m.id != 0 && votes[m.id] > best {
			leader, best = m.Name, votes[m.id]
		}
	}
	return leader
}

// MoveRaftLeaderOff moves raft's leadership to another healthy voter if node has it. Not moved without an error: somebody
// else, named in to, leads already. It refreshes every lease once, as any change of raft's leader does.
func (s *Store) MoveRaftLeaderOff(ctx context.Context, node ha.NodeName) (moved bool, to string, err error) {
	if s.cfg.External != nil {
		return false, "", nil // its members are not on our nodes, and not ours to move
	}
	limit := s.cfg.callLimit()
	if d, ok := ctx.Deadline(); ok {
		limit = time.Until(d)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ask, cancelAsk := context.WithTimeout(ctx, limit/3)
	defer cancelAsk()
	members := s.members(ask)
	leader := leaderOf(members)
	switch leader {
	case "":
		return false, "", fmt.Errorf("moving raft's leader off %s: %w: no leader is known", node, ha.ErrUnavailable)
	case node:
	default:
		return false, string(leader), nil
	}
	members = slices.DeleteFunc(members, func(m MemberState) bool { return m.Name == node || !m.Answers || m.Problem != "" || m.says == 0 })
	if len(members) == 0 {
		return false, string(node), fmt.Errorf("moving raft's leader off %s: %w: no other voter is healthy", node, ha.ErrUnavailable)
	}
	target := slices.MaxFunc(members, func(a, b MemberState) int { return cmp.Compare(a.applied, b.applied) })
	e := s.pool.byName(node)
	if e == nil {
		return false, string(node), fmt.Errorf("moving raft's leader off %s: %w: it is no member any more", node, ha.ErrUnavailable)
	}
	_, err = pb.NewMaintenanceClient(e.conn()).MoveLeader(ctx, &pb.MoveLeaderRequest{TargetID: target.id}, grpc.WaitForReady(true))
	if err != nil {
		return false, string(node), fmt.Errorf("moving raft's leader from %s to %s: %w", node, target.Name, err)
	}
	return true, string(target.Name), nil
}
