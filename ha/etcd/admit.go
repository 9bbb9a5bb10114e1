package etcd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bascule/ha"
)

const (
	admitAsk   = 2 * time.Second  // how long the other voters are asked what cluster there is
	admitEvery = 2 * time.Second  // how often a voter that is no member looks whether it has been let in
	admitStart = 30 * time.Second // one start of the member
)

// admission is what a voter without a running member does.
type admission int

const (
	admitWait admission = iota // go on as a client
	admitForm                  // form the cluster with the other initial voters
	admitJoin                  // start as what the list says: let in and not started
)

// admit decides it, and says what the operator should know of waiting: nothing where a spare waits for its turn. list is what other
// members say, nil when none answers; stopped: the id of the member that has stopped here, 0 for none. A second cluster beside the first
// would be a second truth: only initial voters form one, and only when nobody knows of any.
func (c Config) admit(list []Member, before past, stopped uint64) (admission, string) {
	own, _ := split(list, c.Self)
	had := before != neverMember
	switch {
	case list == nil && (before == takenOut || !had && c.spare()), own == nil && list != nil && c.surplus(list):
		return admitWait, ""
	case list == nil && had:
		return admitWait, "its etcd data are gone and no other voter answers: bring the others back, then hactl etcd replace " + string(c.Self)
	case list == nil && !c.initial():
		return admitWait, "it is none of the initial voters and no other voter answers: bring one back, then hactl etcd add " + string(c.Self)
	case list == nil:
		return admitForm, ""
	case own == nil:
		return admitWait, "it is no member of etcd's cluster: let it in: hactl etcd add " + string(c.Self)
	case own.Started && own.ID == stopped:
		return admitWait, "its etcd member has stopped: restart basculed there, its log says why"
	case own.Started:
		return admitWait, "etcd knows it as a voter, but its data are gone: hactl etcd replace " + string(c.Self)
	case own.ID == stopped:
		return admitWait, "its etcd member has stopped before it could start: restart basculed there"
	case !own.Learner && c.initial() && !had && stopped == 0:
		return admitForm, "" // the others are forming it just now
	}
	return admitJoin, ""
}

// initial says whether this voter forms the cluster at its first start.
func (c Config) initial() bool {
	for _, v := range c.founders() {
		if v.Name == c.Self {
			return true
		}
	}
	return false
}

// founders are the initial voters.
func (c Config) founders() []Voter {
	var out []Voter
	for _, v := range c.Voters {
		if slices.Contains(c.Initial, v.Name) || len(c.Initial) == 0 && !v.Spare {
			out = append(out, v)
		}
	}
	return out
}

// spare says whether this node is one by the configuration.
func (c Config) spare() bool {
	own, _ := c.own()
	return own.Spare
}

// surplus says whether this node is not asked to vote: it is a spare, or as many as there should be vote already.
func (c Config) surplus(list []Member) bool { return c.spare() || voting(list) >= c.wanted() }

// voting counts those that vote.
func voting(list []Member) (n int) {
	for _, m := range list {
		n += rank(!m.Learner)
	}
	return n
}

// past is what is known of a former member here whose data are gone.
type past int

const (
	neverMember past = iota
	wasMember
	takenOut // by the others; its data were set aside
)

// hasData says whether a member has been running from the data directory.
func (c Config) hasData() bool {
	_, err := os.Stat(filepath.Join(c.DataDir, "member", "wal"))
	return !errors.Is(err, fs.ErrNotExist)
}

// hadMember is the file that says so even when the directory is gone: the member's id, or that it was taken out.
func (c Config) hadMember() string { return c.DataDir + ".member" }

const takenOutMark = "taken out\n"

// before reads it. A file that is there and cannot be read says that there was one: such a voter forms nothing.
func (c Config) before() past {
	b, err := os.ReadFile(c.hadMember())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return neverMember
	case string(b) == takenOutMark:
		return takenOut
	}
	return wasMember
}

// noteMember writes it.
func (s *Store) noteMember(what string) {
	if err := os.WriteFile(s.cfg.hadMember(), []byte(what), 0o600); err != nil {
		s.cfg.Log.WithError(err).Warn("cannot note what became of this node's etcd member; should its data be lost, basculed cannot tell")
	}
}

// begin starts this voter's member if it may, and else waits for that in the background.
func (s *Store) begin(ctx context.Context) error {
	var list []Member
	what := admitForm
	switch {
	case s.cfg.hasData():
	case s.cfg.spare() && !s.cfg.initial():
		what = admitWait // it forms nothing: whether it was let in can be looked for later
	default:
		list = s.askOthers(ctx, s.cfg.Voters)
		var why string
		what, why = s.cfg.admit(list, s.cfg.before(), 0)
		s.waits.Store(&why)
	}
	if what != admitWait {
		if err := s.startMember(ctx, list, what); err != nil {
			return err
		}
	}
	return nil
}

// keepMember looks whether a voter whose member does not run has been let in, and lets go of a member that was taken out.
func (s *Store) keepMember() {
	said := ""
	for pause(s.ctx, admitEvery) {
		if why, looked := s.lookAfterMember(); looked {
			if why != "" && why != said {
				s.cfg.Log.WithField("reason", why).Warn("this node is a voter in the configuration and does not vote")
			}
			said = why
		}
	}
}

// lookAfterMember is one look. It says what keeps this voter from voting, and nothing of a member that runs.
func (s *Store) lookAfterMember() (why string, looked bool) {
	s.member.Lock()
	defer s.member.Unlock()
	var stopped uint64
	sv := s.server.Load()
	if sv != nil {
		if sv.down.Load() == nil && !s.outcast(sv) {
			return "", false
		}
		stopped = uint64(sv.etcd.Server.MemberID())
	}
	list, sure := s.whoVotes(s.ctx, sv != nil)
	if sv != nil && sure && !slices.ContainsFunc(list, func(m Member) bool { return m.ID == stopped }) {
		s.letGo(sv)
		stopped = 0
	}
	before := s.cfg.before()
	if before == neverMember && !s.cfg.spare() {
		before = wasMember // from here on nothing is formed: what others began may not have been heard of yet
	}
	what, why := s.cfg.admit(list, before, stopped)
	if what == admitJoin {
		ctx, cancel := context.WithTimeout(s.ctx, admitStart)
		err := s.startMember(ctx, list, what)
		cancel()
		if err != nil {
			why = err.Error()
		}
	}
	s.waits.Store(&why)
	return why, true
}

// outcast says whether a member that waits for the others to start is none of theirs any more. Mostly one of them tells it, and it stops by
// itself; when all that it knew were replaced, nobody does.
func (s *Store) outcast(sv *server) bool {
	select {
	case <-sv.etcd.Server.ReadyNotify():
		return false
	default:
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.cfg.callLimit())
	defer cancel()
	list, err := s.list(ctx)
	own := uint64(sv.etcd.Server.MemberID())
	return err == nil && s.cluster.is(uint64(sv.etcd.Server.Cluster().ID())) && !slices.ContainsFunc(list, func(m Member) bool { return m.ID == own })
}

// letGo ends a member that the others took out of etcd's list while it was away: another one votes in its place. Its data stay beside.
func (s *Store) letGo(sv *server) {
	sv.hardStop() // until all of it has ended, its files are not free
	if err := setAside(s.cfg.DataDir); err != nil {
		s.cfg.Log.WithError(err).Warn("the data of this node's former etcd member cannot be set aside; they are when it is let in again")
	}
	s.noteMember(takenOutMark)
	s.server.Store(nil)
	s.cfg.Log.WithField("data", s.cfg.DataDir+".old").Info("this node's etcd member is none any more: another one votes in its place, and this node is a client and a spare")
}

// whoVotes is etcd's list, sure when a majority says so, now if need be; else what members' peer ports say, which answer without one.
func (s *Store) whoVotes(ctx context.Context, now bool) (list []Member, sure bool) {
	if l := s.noted.Load(); !now && l != nil && time.Since(l.at) < listHolds {
		return l.list, true
	}
	c, cancel := context.WithTimeout(ctx, s.cfg.callLimit())
	defer cancel()
	if list, err := s.list(c); err == nil {
		return list, true
	}
	var known []Voter
	for _, e := range s.pool.current() {
		if v, err := s.cfg.voter(e.name); err == nil {
			known = append(known, v)
		}
	}
	return s.askOthers(ctx, known), false
}

// startMember starts the server. A member that was let in begins with an empty directory: what lies there is of a member that is no
// more, and is kept aside.
func (s *Store) startMember(ctx context.Context, list []Member, what admission) error {
	if old := s.server.Load(); old != nil {
		old.end() // it has stopped; until all of it has ended, its files and ports are not free
	}
	if what == admitJoin {
		if err := setAside(s.cfg.DataDir); err != nil {
			return fmt.Errorf("setting the data of the former member aside: %w", err)
		}
	}
	own, _ := s.cfg.own()
	sv, err := startServer(ctx, s.cfg, own, list, what == admitJoin, s.zap)
	if err != nil {
		return err
	}
	s.server.Store(sv)
	none := ""
	s.waits.Store(&none)
	s.noteMember(sv.etcd.Server.MemberID().String() + "\n")
	return nil
}

// setAside moves a data directory away; one such copy is kept.
func setAside(dir string) error {
	old := dir + ".old"
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := os.RemoveAll(old); err != nil {
		return err
	}
	return os.Rename(dir, old)
}

// initialCluster is what etcd is told at a member's first start: the founders, or the list that it joins.
func (c Config) initialCluster(list []Member, join bool) string {
	var members []string
	if !join {
		for _, v := range c.founders() {
			u := httpsURL(v.Address, c.PeerPort)
			members = append(members, string(v.Name)+"="+u.String())
		}
		return strings.Join(members, ",")
	}
	for _, m := range list {
		name := m.Node
		if name == "" {
			name = ha.NodeName(fmt.Sprintf("member-%x", m.ID))
		}
		members = append(members, string(name)+"=https://"+m.Peer)
	}
	return strings.Join(members, ",")
}
