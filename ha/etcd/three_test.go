package etcd

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"bascule/ha"
)

// within returns a context for one call.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func put(key, value string) ha.Txn {
	return ha.Txn{Puts: []ha.Put{{Key: key, Value: []byte(value)}}}
}

// raftLeader waits until a leader is known and returns its name.
func raftLeader(t *testing.T, s *Store) ha.NodeName {
	t.Helper()
	var h Health
	until(t, "raft has a leader", func() bool {
		h = s.Health(within(t, 3*time.Second))
		return h.Quorum && h.Leader != ""
	})
	return h.Leader
}

func TestAVoterThatStartsAloneDoesNotHangAndSaysWhatIsMissing(t *testing.T) {
	l := newLab(t, 3)
	started := time.Now()
	s1 := l.open("node1")
	if took := time.Since(started); took > 10*time.Second {
		t.Errorf("opening took %v", took)
	}
	started = time.Now()
	if _, _, err := s1.Read(within(t, 500*time.Millisecond)); !errors.Is(err, ha.ErrUnavailable) {
		t.Errorf("reading without quorum: %v", err)
	}
	if _, err := s1.Commit(within(t, 500*time.Millisecond), put("a", "b")); !errors.Is(err, ha.ErrUnavailable) {
		t.Errorf("a commit that cannot have been sent: %v", err)
	}
	h := s1.Health(within(t, time.Second))
	if h.Quorum || h.Own != "starting" || h.Starting == "" || h.Why == "" || h.Leader != "" || len(h.Members) != 3 {
		t.Errorf("health without quorum: %+v", h)
	}
	if took := time.Since(started); took > 3*time.Second {
		t.Errorf("three calls with 2 s of deadlines took %v", took)
	}
	if err := s1.Ready(within(t, 300*time.Millisecond)); !errors.Is(err, ha.ErrUnavailable) {
		t.Errorf("ready without quorum: %v", err)
	}

	l.ready(l.open("node2"))
	l.ready(s1)
	h = s1.Health(within(t, 2*time.Second))
	if !h.Quorum || h.Members[2].Answers || h.Members[2].Problem == "" || h.DBSize == 0 {
		t.Errorf("health with two of three: %+v", h)
	}
}

func TestTheLeadersDeathLeavesAWorkingStoreThatRefusesTheOldTerm(t *testing.T) {
	l := newLab(t, 3)
	l.all()
	dead := raftLeader(t, l.stores["node1"])
	var rest []*Store
	for _, v := range l.voters {
		if v.Name != dead {
			rest = append(rest, l.stores[v.Name])
		}
	}
	old := l.stores[dead]
	lease, err := old.Grant(within(t, 3*time.Second), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	term, _, err := old.Campaign(within(t, 3*time.Second), ha.LeaderRecord{Node: dead, Incarnation: "i", Lease: lease})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.Commit(within(t, 3*time.Second), ha.Txn{Term: term, Puts: put("node/x", "old").Puts}); err != nil {
		t.Fatal(err)
	}
	rest[0].StartView(t.Context(), func() {})

	l.kill(dead)
	killed := time.Now()
	for i, s := range rest {
		until(t, "commits go on", func() bool {
			_, err := s.Commit(within(t, 2*time.Second), put("k", string(rune('a'+i))))
			return err == nil
		})
	}
	if took := time.Since(killed); took > 10*time.Second {
		t.Errorf("no commit for %v", took)
	}
	if now := raftLeader(t, rest[0]); now == dead {
		t.Errorf("the dead %s still leads", dead)
	}
	until(t, "the dead leader's lease has ended, in the view, too", func() bool {
		_, kvs, _ := rest[0].Latest()
		return !slices.ContainsFunc(kvs, func(kv ha.KV) bool { return kv.Key == ha.KeyLeader })
	})

	l2, err := rest[1].Grant(within(t, 3*time.Second), 20*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t2, _, err := rest[1].Campaign(within(t, 3*time.Second), ha.LeaderRecord{Node: rest[1].cfg.Self, Incarnation: "i", Lease: l2})
	if err != nil || t2 <= term {
		t.Fatalf("term %d after %d: %v", t2, term, err)
	}
	back := l.open(dead) // the same data directory
	l.ready(back)
	if _, err := back.Commit(within(t, 3*time.Second), ha.Txn{Term: term, Puts: put("node/x", "again").Puts}); !errors.Is(err, ha.ErrConflict) {
		t.Errorf("the old leader's commit: %v", err)
	}
	if kv, _, err := back.Get(within(t, 3*time.Second), "node/x"); err != nil || string(kv.Value) != "old" {
		t.Errorf("node/x: %+v, %v", kv, err)
	}
}

func TestRaftsLeaderIsMovedAway(t *testing.T) {
	l := newLab(t, 3)
	l.all()
	from := raftLeader(t, l.stores["node1"])
	asker := l.stores["node1"]
	if from == "node1" {
		asker = l.stores["node2"]
	}
	moved, to, err := asker.MoveRaftLeaderOff(within(t, 5*time.Second), from) // through its endpoint
	if err != nil || !moved || to == string(from) {
		t.Fatalf("moved %v to %q: %v", moved, to, err)
	}
	if now := raftLeader(t, asker); now != ha.NodeName(to) {
		t.Errorf("%s leads, moved to %s", now, to)
	}
	if moved, now, err := asker.MoveRaftLeaderOff(within(t, 5*time.Second), from); err != nil || moved || now != to {
		t.Errorf("again: moved %v to %q: %v", moved, now, err)
	}
	own := l.stores[ha.NodeName(to)]
	if moved, next, err := own.MoveRaftLeaderOff(within(t, 5*time.Second), own.cfg.Self); err != nil || !moved || next == to {
		t.Errorf("off one's own: moved %v to %q: %v", moved, next, err)
	}
}

func TestANodeWhoseMemberStoppedUsesTheOthers(t *testing.T) {
	l := newLab(t, 3)
	l.all()
	s := l.stores["node1"]
	lease, err := s.Grant(within(t, 3*time.Second), 20*time.Second)
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
	until(t, "commits succeed through the others", func() bool {
		_, err := s.Commit(within(t, 3*time.Second), put("k", "v"))
		return err == nil
	})
}

func TestAnOrderlyStopHandsLeadershipOver(t *testing.T) {
	l := newLab(t, 3)
	l.all()
	leader := raftLeader(t, l.stores["node1"])
	s := l.stores[leader]
	delete(l.stores, leader)
	var other *Store
	for _, o := range l.stores {
		other = o
	}
	started := time.Now()
	if err := s.Close(within(t, 15*time.Second)); err != nil {
		t.Error(err)
	}
	t.Logf("closing took %v", time.Since(started))
	if _, err := other.Commit(within(t, 2*time.Second), put("k", "v")); err != nil {
		t.Errorf("right after the leader's orderly stop: %v", err)
	}
	if _, _, err := s.Read(within(t, 200*time.Millisecond)); !errors.Is(err, ha.ErrUnavailable) {
		t.Errorf("reading from a closed store: %v", err)
	}
}
