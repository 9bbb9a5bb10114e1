package etcd

import (
	"errors"
	"slices"
	"testing"
	"time"

	"bascule/ha"
)

func put(key, value string) ha.Txn {
	return ha.Txn{Puts: []ha.Put{{Key: key, Value: []byte(value)}}}
}

// raftLeader waits until a leader is known and returns its name.
func raftLeader(t *testing.T, s *Store) ha.NodeName {
	t.Helper()
	var h Health
	until(t, "raft has a leader", func() bool {
		h = s.Health(within(t, 10*time.Second))
		return h.Quorum && h.Leader != ""
	})
	return h.Leader
}

func TestAVoterThatStartsAloneDoesNotHangAndSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	l := newLab(t, 3)
	s1 := l.open("node1")
	if _, _, err := s1.Read(within(t, 500*time.Millisecond)); !errors.Is(err, ha.ErrUnavailable) {
		t.Errorf("reading without quorum: %v", err)
	}
	until(t, "a commit that cannot have been sent is known to be none", func() bool { // it may be on its way to the own member when the time is over
		_, err := s1.Commit(within(t, 500*time.Millisecond), put("a", "b"))
		if !errors.Is(err, ha.ErrUnavailable) && !errors.Is(err, ha.ErrAmbiguous) {
			t.Fatalf("a commit without quorum: %v", err)
		}
		return errors.Is(err, ha.ErrUnavailable)
	})
	h := s1.Health(within(t, time.Second))
	if h.Quorum || h.Own != "starting" || h.Starting == "" || h.Why == "" || h.Leader != "" || len(h.Members) != 3 {
		t.Errorf("health without quorum: %+v", h)
	}
	if err := s1.Ready(within(t, 300*time.Millisecond)); !errors.Is(err, ha.ErrUnavailable) {
		t.Errorf("ready without quorum: %v", err)
	}

	l.ready(l.open("node2"))
	l.ready(s1)
	until(t, "health says that two of three are there", func() bool {
		h = s1.Health(hang(t))
		return h.Quorum && !h.Members[2].Answers && h.Members[2].Problem != "" && h.DBSize > 0
	})
}

func TestTheLeadersDeathLeavesAWorkingStoreThatRefusesTheOldTerm(t *testing.T) {
	t.Parallel()
	l := newLab(t, 3)
	l.all()
	dead := raftLeader(t, l.stores["node1"])
	var rest []*Store
	for _, v := range l.voters {
		if v.Name != dead {
			rest = append(rest, l.stores[v.Name])
		}
	}
	old := patient(t, l.stores[dead])
	lease, err := old.Grant(hang(t), 15*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	term, _, err := old.Campaign(hang(t), ha.LeaderRecord{Node: dead, Incarnation: "i", Lease: lease})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.Commit(hang(t), ha.Txn{Term: term, Puts: put("node/x", "old").Puts}); err != nil {
		t.Fatal(err)
	}
	rest[0].StartView(t.Context(), func() {})

	l.kill(dead)
	killed := time.Now()
	for i, s := range rest {
		if _, err := patient(t, s).Commit(hang(t), put("k", string(rune('a'+i)))); err != nil {
			t.Fatalf("%v after the leader's death: %v", time.Since(killed), err)
		}
	}
	t.Logf("commits after %v", time.Since(killed))
	if now := raftLeader(t, rest[0]); now == dead {
		t.Errorf("the dead %s still leads", dead)
	}
	until(t, "the dead leader's lease has ended, in the view, too", func() bool {
		_, kvs, _ := rest[0].Latest()
		return !slices.ContainsFunc(kvs, func(kv ha.KV) bool { return kv.Key == ha.KeyLeader })
	})

	second := patient(t, rest[1])
	l2, err := second.Grant(hang(t), 10*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	t2, _, err := second.Campaign(hang(t), ha.LeaderRecord{Node: rest[1].cfg.Self, Incarnation: "i", Lease: l2})
	if err != nil || t2 <= term {
		t.Fatalf("term %d after %d: %v", t2, term, err)
	}
	back := patient(t, l.open(dead)) // the same data directory
	l.ready(l.stores[dead])
	if _, err := back.Commit(hang(t), ha.Txn{Term: term, Puts: put("node/x", "again").Puts}); !errors.Is(err, ha.ErrConflict) {
		t.Errorf("the old leader's commit: %v", err)
	}
	if kv, _, err := back.Get(hang(t), "node/x"); err != nil || string(kv.Value) != "old" {
		t.Errorf("node/x: %+v, %v", kv, err)
	}
}

func TestRaftsLeaderIsMovedAway(t *testing.T) {
	t.Parallel()
	l := newLab(t, 3)
	l.all()
	// Where the machine stalls, raft moves its leadership by itself: then it is all done again.
	until(t, "raft's leader is moved away from another node, and not a second time", func() bool {
		from := raftLeader(t, l.stores["node1"])
		asker := l.stores["node1"]
		if from == "node1" {
			asker = l.stores["node2"]
		}
		moved, to, err := asker.MoveRaftLeaderOff(hang(t), from) // through its endpoint
		now := raftLeader(t, asker)
		again, still, aerr := asker.MoveRaftLeaderOff(hang(t), from)
		t.Logf("off %s: moved %v to %q (%v), now %s leads; again: moved %v, %q leads (%v)", from, moved, to, err, now, again, still, aerr)
		return err == nil && moved && to != string(from) && now == ha.NodeName(to) && aerr == nil && !again && still == to
	})
	until(t, "raft's leader is moved off one's own", func() bool {
		own := l.stores[raftLeader(t, l.stores["node1"])]
		moved, next, err := own.MoveRaftLeaderOff(hang(t), own.cfg.Self)
		t.Logf("off its own %s: moved %v to %q: %v", own.cfg.Self, moved, next, err)
		return err == nil && moved && next != string(own.cfg.Self)
	})
}

func TestANodeWhoseMemberStoppedUsesTheOthers(t *testing.T) {
	t.Parallel()
	l := newLab(t, 3)
	l.all()
	s := l.stores["node1"]
	lease, err := patient(t, s).Grant(hang(t), 10*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	s.server.Load().etcd.Server.HardStop() // by itself, as far as the store knows
	until(t, "the store knows that its member has stopped", func() bool {
		return s.Health(within(t, time.Second)).Own == "stopped"
	})
	until(t, "renewals succeed in time through the others", func() bool {
		_, err := s.Renew(within(t, l.timing.RenewTimeout), lease)
		return err == nil
	})
	if _, err := patient(t, s).Commit(hang(t), put("k", "v")); err != nil {
		t.Errorf("a commit through the others: %v", err)
	}
}

func TestAnOrderlyStopHandsLeadershipOver(t *testing.T) {
	t.Parallel()
	l := newLab(t, 3)
	l.all()
	// Where the machine stalls, somebody else may lead when it is stopped, or the hand-over takes too long: then it is all done again.
	until(t, "the leader's orderly stop hands its leadership over", func() bool {
		leader := raftLeader(t, l.stores["node1"])
		s := l.stores[leader]
		delete(l.stores, leader)
		var other *Store
		for _, o := range l.stores {
			other = o
		}
		began := time.Now()
		if err := s.Close(hang(t)); err != nil {
			t.Error(err)
		}
		closed := time.Now()
		if _, err := patient(t, other).Commit(hang(t), put("k", "v")); err != nil {
			t.Errorf("after the leader's orderly stop: %v", err)
		}
		t.Logf("closing took %v, the first commit after it %v", closed.Sub(began), time.Since(closed))
		if _, _, err := s.Read(within(t, 200*time.Millisecond)); !errors.Is(err, ha.ErrUnavailable) {
			t.Errorf("reading from a closed store: %v", err)
		}
		if l.log.has("leadership transfer finished") {
			return true
		}
		l.ready(l.open(leader))
		return false
	})
}
