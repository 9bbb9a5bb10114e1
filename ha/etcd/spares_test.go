package etcd

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"bascule/ha"
)

// sparesLab has voters, and spares behind them.
func sparesLab(t *testing.T, voters, spares int) *lab {
	l := newLab(t, voters+spares)
	for i := range l.voters {
		l.voters[i].Spare = i >= voters
	}
	return l
}

// asks are the nodes that a store has connections to.
func (s *Store) asks() (out []string) {
	for _, e := range s.pool.current() {
		out = append(out, string(e.name))
	}
	slices.Sort(out)
	return out
}

// leads takes the leadership; order is what a leader has recorded then.
func (l *lab) leads(s *Store) ha.Term {
	l.t.Helper()
	id, err := patient(l.t, s).Grant(hang(l.t), 30*time.Minute)
	if err != nil {
		l.t.Fatal(err)
	}
	term, _, err := patient(l.t, s).Campaign(hang(l.t), ha.LeaderRecord{Node: s.cfg.Self, Incarnation: "i", Lease: id})
	if err != nil || term == 0 {
		l.t.Fatalf("term %d: %v", term, err)
	}
	return term
}

func (l *lab) order(s *Store, term ha.Term, old, by ha.NodeName) ha.VoterOrder {
	l.t.Helper()
	rev, err := patient(l.t, s).Commit(hang(l.t), ha.Txn{Term: term, Puts: []ha.Put{{Key: ha.KeyVoterChange, Value: ha.Encode(ha.VoterChange{Schema: ha.Schema, Old: old, By: by})}}})
	if err != nil {
		l.t.Fatal(err)
	}
	return ha.VoterOrder{Old: old, By: by, Term: term, Rev: rev}
}

// well says whether a node sees nothing wrong, and is what it should be.
func well(s *Store, own string, spares ...ha.NodeName) func() bool {
	return func() bool {
		ctx, cancel := s.pool.bound(s.ctx)
		defer cancel()
		h := s.Health(ctx)
		is := h.Own == own || own == "member" && (h.Own == "leader" || h.Own == "follower")
		return h.Quorum && is && len(h.Problems) == 0 && !h.Changing && !h.OwnDown && slices.Equal(h.Spares, spares)
	}
}

// A voter is lost for good under writes, a spare votes in its place, and the lost one comes back with its old data, as a spare. Then it
// is let in again.
func TestASpareVotesInPlaceOfALostVoter(t *testing.T) {
	t.Parallel() // it mostly waits
	l := sparesLab(t, 3, 1)
	l.all()
	s, spare := l.stores["node1"], l.stores["node4"]
	until(t, "the spare is a client and nothing is wrong", well(spare, "client", "node4"))
	until(t, "nothing is wrong with the voters", well(s, "member", "node4"))
	if got := spare.asks(); !slices.Equal(got, []string{"node1", "node2", "node3"}) {
		t.Errorf("the spare has connections to %v", got)
	}
	if _, err := os.Stat(l.dirs["node4"]); err == nil {
		t.Error("the spare has a data directory")
	}
	for _, v := range []ha.NodeName{"node1", "node2", "node3"} {
		l.stores[v].StartView(t.Context(), func() {})
	}

	term := l.leads(s)
	first := l.order(s, term, "node2", "node4")
	refuses(t, "replacing a voter that answers", func() error { return s.ReplaceLost(hang(t), first) }, "node2 answers: it keeps its vote")
	w := write(s)
	before := l.stores["node2"].server.Load().etcd.Server.MemberID()
	l.kill("node2")
	o := l.order(s, term, "node2", "node4")
	for what, bad := range map[string]ha.VoterOrder{
		"another record": {Old: o.Old, By: o.By, Term: o.Term, Rev: o.Rev - 1},
		"another term":   {Old: o.Old, By: o.By, Term: o.Term + 1, Rev: o.Rev},
	} {
		if err := s.ReplaceLost(hang(t), bad); !errors.Is(err, ErrMembers) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if got := l.votes(s); len(got) != 3 {
		t.Fatalf("nothing should have happened: %v", got)
	}
	began := time.Now()
	change(t, "the lost voter is replaced", func() error { return s.ReplaceLost(hang(t), o) })
	t.Logf("replaced after %v", time.Since(began).Round(10*time.Millisecond))
	if got := l.votes(s); !slices.Equal(got, []string{"node1", "node3", "node4"}) {
		t.Fatalf("voters: %v", got)
	}
	change(t, "replacing it again changes nothing", func() error { return s.ReplaceLost(hang(t), o) })
	until(t, "the spare votes", well(spare, "member", "node2"))

	back := l.open("node2") // with its old data
	l.ready(back)
	until(t, "the lost one is a client and a spare, and nothing is wrong", well(back, "client", "node2"))
	if _, err := os.Stat(filepath.Join(l.dirs["node2"]+".old", "member")); err != nil {
		t.Errorf("its old data are not set aside: %v", err)
	}
	if err := back.Close(hang(t)); err != nil {
		t.Fatal(err)
	}
	back = l.open("node2")
	until(t, "after another restart, too", well(back, "client", "node2"))
	until(t, "nothing is wrong with the voters", well(s, "member", "node2"))
	if got := s.asks(); !slices.Equal(got, []string{"node1", "node3", "node4"}) {
		t.Errorf("connections to %v", got)
	}

	l.kill("node4")
	o = l.order(s, term, "node4", "node2")
	change(t, "it takes its vote back", func() error { return s.ReplaceLost(hang(t), o) })
	until(t, "it votes again", well(back, "member", "node4"))
	if now := back.server.Load().etcd.Server.MemberID(); now == before {
		t.Errorf("its member id is still %x", now)
	}
	w.end(t, s)
}

// Nobody tries to reach a node that keeps no store.
func TestSparesAreLeftAlone(t *testing.T) {
	t.Parallel()
	l := sparesLab(t, 1, 2)
	var tried atomic.Int32
	for _, port := range l.ports {
		ln, err := net.Listen("tcp", hostPort(l.host(2), port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close() })
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				tried.Add(1)
				c.Close()
			}
		}()
	}
	s, client := l.open("node1"), l.open("node3")
	l.ready(s)
	l.ready(client)
	tried.Store(0) // who starts without data asks everybody who the members are
	for began := time.Now(); time.Since(began) < 3*admitEvery; {
		for _, x := range []*Store{s, client} {
			if h := x.Health(hang(t)); len(h.Members) != 1 {
				t.Fatalf("health: %+v", h)
			}
		}
		pause(s.ctx, 500*time.Millisecond)
	}
	if n := tried.Load(); n != 0 {
		t.Errorf("%d connections to a spare", n)
	}
}

// Everybody that the configuration wants to vote was replaced: who starts then finds the members all the same.
func TestMembersThatAreAllSparesAreFound(t *testing.T) {
	t.Parallel() // it mostly waits
	l := sparesLab(t, 1, 1)
	s := l.open("node1")
	l.ready(s)
	l.ready(l.open("node2"))
	change(t, "the spare is let in", func() error { return s.AddVoter(hang(t), "node2") })
	change(t, "the voter is taken out", func() error { return s.RemoveVoter(hang(t), "node1") })
	until(t, "the former voter is a client", well(s, "client", "node1"))
	l.kill("node1")
	late := l.client(t, l.voters)
	l.ready(late)
	until(t, "it asks the member only", func() bool { return slices.Equal(late.asks(), []string{"node2"}) })
	again := l.open("node1")
	l.ready(again)
	until(t, "the former voter forms nothing", well(again, "client", "node1"))
}

// All that a lost voter knew were replaced one after the other while it was away: nobody is left who could tell it that it is out.
func TestALostVoterThatKnowsNobodyIsASpareToo(t *testing.T) {
	t.Parallel() // it mostly waits
	l := sparesLab(t, 3, 3)
	l.all()
	s := l.stores["node6"]
	term := l.leads(s)
	for i, old := range []ha.NodeName{"node2", "node1", "node3"} {
		l.kill(old)
		by := []ha.NodeName{"node4", "node5", "node6"}[i]
		o := l.order(s, term, old, by)
		change(t, "it is replaced", func() error { return s.ReplaceLost(hang(t), o) })
	}
	if got := l.votes(s); !slices.Equal(got, []string{"node4", "node5", "node6"}) {
		t.Fatalf("voters: %v", got)
	}
	back := l.open("node2")
	l.ready(back)
	until(t, "it is a client and a spare, and nothing is wrong", well(back, "client", "node1", "node2", "node3"))
	if _, err := os.Stat(filepath.Join(l.dirs["node2"]+".old", "member")); err != nil {
		t.Errorf("its old data are not set aside: %v", err)
	}
}
