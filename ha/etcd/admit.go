package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
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

// admit decides it. list is what other voters' members say, nil when none answers; had: there was a member here before; stopped: the
// id of the member that has stopped here, 0 for none. A second cluster beside the first would be a second truth: only initial voters
// form one, and only when nobody knows of any.
func (c Config) admit(list []Member, had bool, stopped uint64) (admission, string) {
	own, _ := split(list, c.Self)
	switch {
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
	if len(c.Initial) == 0 {
		return c.Voters
	}
	var out []Voter
	for _, v := range c.Voters {
		for _, n := range c.Initial {
			if v.Name == n {
				out = append(out, v)
			}
		}
	}
	return out
}

// hasData says whether a member has been running from the data directory.
func (c Config) hasData() bool {
	_, err := os.Stat(filepath.Join(c.DataDir, "member", "wal"))
	return !errors.Is(err, fs.ErrNotExist)
}

// hadMember is the file that says so even when the directory is gone.
func (c Config) hadMember() string { return c.DataDir + ".member" }

// begin starts this voter's member if it may, and else waits for that in the background.
func (s *Store) begin(ctx context.Context) error {
	var list []Member
	what := admitForm
	if !s.cfg.hasData() {
		list = s.askOthers(ctx)
		_, err := os.Stat(s.cfg.hadMember())
		var why string
		what, why = s.cfg.admit(list, err == nil, 0)
		s.waits.Store(&why)
	}
	if what != admitWait {
		if err := s.startMember(ctx, list, what); err != nil {
			return err
		}
	}
	return nil
}

// keepMember looks whether a voter whose member does not run has been let in.
func (s *Store) keepMember() {
	said := ""
	for pause(s.ctx, admitEvery) {
		var stopped uint64
		if sv := s.server.Load(); sv != nil {
			if sv.down.Load() == nil {
				continue
			}
			stopped = uint64(sv.etcd.Server.MemberID())
		}
		list := s.askOthers(s.ctx)
		what, why := s.cfg.admit(list, true, stopped)
		if what == admitJoin {
			ctx, cancel := context.WithTimeout(s.ctx, admitStart)
			err := s.startMember(ctx, list, what)
			cancel()
			if err != nil {
				why = err.Error()
			}
		}
		s.waits.Store(&why)
		if why != "" && why != said {
			s.cfg.Log.WithField("reason", why).Warn("this node is a voter in the configuration and does not vote")
		}
		said = why
	}
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
	if err := os.WriteFile(s.cfg.hadMember(), []byte(sv.etcd.Server.MemberID().String()+"\n"), 0o600); err != nil {
		s.cfg.Log.WithError(err).Warn("cannot note that this node has an etcd member; should its data be lost, basculed cannot tell")
	}
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

// askOthers asks the other voters' peer ports, which answer without a majority, who the members are; nil when none answers. The list
// with us in it, and not started, counts most, then any: a member that lags knows an older one.
func (s *Store) askOthers(ctx context.Context) []Member {
	ctx, cancel := context.WithTimeout(ctx, admitAsk)
	defer cancel()
	tc, err := loadTLS(s.cfg.TLS)
	if err != nil {
		return nil
	}
	tr := &http.Transport{TLSClientConfig: tc}
	defer tr.CloseIdleConnections()
	var mu sync.Mutex
	var best []Member
	var all sync.WaitGroup
	for _, v := range s.cfg.Voters {
		if v.Name == s.cfg.Self {
			continue
		}
		all.Go(func() {
			list := s.cfg.askOne(ctx, tr, hostPort(v.Address, s.cfg.PeerPort))
			mu.Lock()
			defer mu.Unlock()
			if own, _ := split(list, s.cfg.Self); best == nil || own != nil && !own.Started {
				if list != nil {
					best = list
				}
			}
		})
	}
	all.Wait()
	return best
}

// askOne asks until an answer comes or the time is over.
func (c Config) askOne(ctx context.Context, tr http.RoundTripper, at string) []Member {
	for {
		if list, err := c.peerList(ctx, tr, at); err == nil && len(list) > 0 {
			return list
		}
		if !pause(ctx, retryPause) {
			return nil
		}
	}
}

func (c Config) peerList(ctx context.Context, tr http.RoundTripper, at string) ([]Member, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+at+"/members", nil)
	if err != nil {
		return nil, err
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(resp.Status)
	}
	var raw []struct {
		ID         uint64   `json:"id"`
		Name       string   `json:"name"`
		PeerURLs   []string `json:"peerURLs"`
		ClientURLs []string `json:"clientURLs"`
		IsLearner  bool     `json:"isLearner"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&raw); err != nil {
		return nil, err
	}
	var out []Member
	for _, m := range raw {
		out = append(out, c.member(m.ID, m.Name, m.PeerURLs, m.ClientURLs, m.IsLearner))
	}
	return out, nil
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
