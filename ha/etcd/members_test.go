package etcd

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"bascule/ha"
)

// reconfigure restarts nodes with a longer list of voters, one after the other, as an operator does.
func (l *lab) reconfigure(voters []Voter, initial []ha.NodeName, nodes ...ha.NodeName) {
	l.t.Helper()
	l.voters, l.initial = voters, initial
	for _, n := range nodes {
		if s := l.stores[n]; s != nil {
			delete(l.stores, n)
			if err := s.Close(hang(l.t)); err != nil {
				l.t.Fatal(err)
			}
			l.ready(l.open(n))
		} else {
			l.open(n)
		}
	}
}

// change makes a change of the voters, again while the store does not answer or holds somebody for dead who only stalls. What was done in
// part goes on where it stopped: that is what an operator is told to do, too.
func change(t *testing.T, what string, do func() error) {
	t.Helper()
	until(t, what, func() bool {
		err := do()
		if err != nil {
			t.Logf("%s: again after: %v", what, err)
		}
		return err == nil
	})
}

// sees waits until a node's health is so.
func sees(t *testing.T, s *Store, what string, ok func(h Health, problems string) bool) {
	t.Helper()
	until(t, what, func() bool {
		h := s.Health(hang(t))
		good := ok(h, strings.Join(h.Problems, "; "))
		if !good {
			t.Logf("not yet that %s: %+v", what, h)
		}
		return good
	})
}

// votes is who votes, by etcd's own list.
func (l *lab) votes(s *Store) (out []string) {
	l.t.Helper()
	var list []Member
	until(l.t, "etcd lists its members", func() (ok bool) {
		var err error
		list, err = s.list(hang(l.t))
		return err == nil
	})
	for _, m := range list {
		if !m.Learner {
			out = append(out, string(m.Node))
		}
	}
	slices.Sort(out)
	return out
}

// writer counts upwards in the store, each number once, and keeps a key for each; it goes on whatever happens to the store.
type writer struct {
	stop  chan struct{}
	ended chan struct{}
	acked []int
	last  int
	err   error
}

// write begins.
func write(s *Store) *writer {
	w := &writer{stop: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(w.ended)
		for {
			select {
			case <-w.stop:
				return
			default:
			}
			if err := w.next(s); err != nil {
				w.err = err
				return
			}
			pause(s.ctx, 2*time.Millisecond)
		}
	}()
	return w
}

// next writes the next number under the counter's revision. What is ambiguous is read; "happened" and "not" must both stay true.
func (w *writer) next(s *Store) error {
	ctx, cancel := s.pool.bound(s.ctx)
	defer cancel()
	kv, _, err := s.Get(ctx, "counter")
	if err != nil {
		return nil // away: try again
	}
	n, rev := 0, int64(0)
	if kv != nil {
		rev = kv.ModRev
		if n, err = strconv.Atoi(string(kv.Value)); err != nil {
			return err
		}
	}
	if n < w.last {
		return fmt.Errorf("the counter went back from %d to %d: commits are lost", w.last, n)
	}
	w.last = n
	next := []byte(strconv.Itoa(n + 1))
	_, err = s.Commit(ctx, ha.Txn{
		Guards: []ha.Guard{{Key: "counter", Rev: rev}, {Key: "n/" + string(next)}},
		Puts:   []ha.Put{{Key: "counter", Value: next}, {Key: "n/" + string(next), Value: next}},
	})
	if err == nil {
		w.acked, w.last = append(w.acked, n+1), n+1
	}
	return nil
}

// end stops it and checks that every number up to the counter is there once, whoever learned of it.
func (w *writer) end(t *testing.T, s *Store) {
	t.Helper()
	close(w.stop)
	<-w.ended
	if w.err != nil {
		t.Fatal(w.err)
	}
	_, kvs, err := patient(t, s).Read(hang(t))
	if err != nil {
		t.Fatal(err)
	}
	have, counter := map[string]bool{}, 0
	for _, kv := range kvs {
		if kv.Key == "counter" {
			counter, _ = strconv.Atoi(string(kv.Value))
		} else if n, ok := strings.CutPrefix(kv.Key, "n/"); ok {
			have[n] = kv.CreateRev == kv.ModRev
		}
	}
	for i := 1; i <= counter; i++ {
		if !have[strconv.Itoa(i)] {
			t.Errorf("number %d of %d is missing, or was written twice", i, counter)
		}
	}
	if len(have) != counter || len(w.acked) == 0 || w.acked[len(w.acked)-1] > counter {
		t.Errorf("%d numbers, the counter is at %d, %d were acknowledged", len(have), counter, len(w.acked))
	}
	t.Logf("%d commits, %d acknowledged", counter, len(w.acked))
}

func TestGrowthFromOneToThreeToFiveUnderWrites(t *testing.T) {
	t.Parallel() // it mostly waits
	l := newLab(t, 5)
	all := l.voters
	names := []ha.NodeName{"node1", "node2", "node3", "node4", "node5"}
	l.voters = all[:1]
	first := l.open("node1")
	l.ready(first)
	l.voters = all
	observer := l.open("observer")
	w := write(observer)

	l.reconfigure(all[:3], names[:1], names[:3]...)
	s := l.stores["node1"]
	if got := l.votes(s); !slices.Equal(got, []string{"node1"}) {
		t.Fatalf("voters before anybody was let in: %v", got)
	}
	sees(t, s, "two are to be let in", func(h Health, _ string) bool {
		return len(h.Problems) == 2 && strings.Contains(h.Problems[0], "hactl etcd add node2")
	})
	sees(t, l.stores["node2"], "the new node is a client and says why", func(h Health, problems string) bool {
		return h.Quorum && h.Own == "client" && strings.Contains(problems, "node2 does not vote in etcd: it is no member of etcd's cluster: let it in: hactl etcd add node2")
	})
	for _, n := range names[1:3] {
		change(t, string(n)+" is let in", func() error { return s.AddVoter(hang(t), n) })
	}
	if got := l.votes(s); !slices.Equal(got, []string{"node1", "node2", "node3"}) {
		t.Fatalf("three voters: %v", got)
	}
	l.reconfigure(all, names[:1], names...)
	for _, n := range names[3:] { // asked for at a node that was let in itself
		change(t, string(n)+" is let in", func() error { return l.stores["node2"].AddVoter(hang(t), n) })
		change(t, string(n)+" is let in again", func() error { return l.stores["node3"].AddVoter(hang(t), n) })
	}
	if got := l.votes(l.stores["node5"]); len(got) != 5 {
		t.Fatalf("five voters: %v", got)
	}
	l.kill("node1") // the first of all, and another: three of five go on
	l.kill("node4")
	if _, err := patient(t, l.stores["node5"]).Commit(hang(t), put("k", "v")); err != nil {
		t.Errorf("commits do not go on: %v", err)
	}
	w.end(t, l.stores["node5"])
}

func TestADeadVoterIsReplacedByItselfAndByAnother(t *testing.T) {
	t.Parallel() // it mostly waits
	l := newLab(t, 4)
	all := l.voters
	l.voters = all[:3]
	l.all()
	w := write(l.stores["node1"])
	s := l.stores["node1"]
	refuses(t, "a voter that is well", func() error { return s.ReplaceVoter(hang(t), "node3", "node3") }, "nothing to replace")

	before := l.stores["node3"].server.Load().etcd.Server.MemberID()
	l.kill("node3")
	if err := os.RemoveAll(l.dirs["node3"]); err != nil {
		t.Fatal(err)
	}
	lost := l.open("node3")
	sees(t, lost, "a voter has lost its data", func(h Health, problems string) bool {
		return h.Own == "client" && strings.Contains(problems, "its data are gone: hactl etcd replace node3")
	})
	l.replace(s, "node3", "node3")
	if now := lost.server.Load().etcd.Server.MemberID(); now == before {
		t.Errorf("the member id is still %x", now)
	}
	if got := l.votes(s); len(got) != 3 {
		t.Errorf("voters: %v", got)
	}

	l.kill("node2") // for good; node4 takes its vote
	l.reconfigure([]Voter{all[0], all[2], all[3]}, []ha.NodeName{"node1", "node3"}, "node1", "node3", "node4")
	s = l.stores["node1"]
	<-stopped(w)
	w = write(s)
	l.replace(s, "node2", "node4")
	if got := l.votes(s); !slices.Equal(got, []string{"node1", "node3", "node4"}) {
		t.Errorf("voters: %v", got)
	}
	w.end(t, s)

	l.voters = all[:3] // the removed one comes back with its old data and its old configuration: it stays out, and says what differs
	back := l.open("node2")
	sees(t, back, "the removed member is a client", func(h Health, problems string) bool {
		return h.Own == "client" && strings.Contains(problems, "node4 votes in etcd and is no voter in the configuration") && !strings.Contains(problems, "hactl etcd add node2")
	})
}

func TestAWitnessIsTheThirdVote(t *testing.T) {
	t.Parallel() // it mostly waits
	l := newLab(t, 3)
	all := l.voters
	all[2].Name = "witness1"
	l.dirs["witness1"] = l.dirs["node3"]
	l.voters = all[:2]
	l.all()
	l.reconfigure(all, []ha.NodeName{"node1", "node2"}, "node1", "node2", "witness1")
	change(t, "the witness is let in", func() error { return l.stores["node2"].AddVoter(hang(t), "witness1") })
	l.kill("node1")
	for _, n := range []ha.NodeName{"node2", "witness1"} {
		if _, err := patient(t, l.stores[n]).Commit(hang(t), put("by", string(n))); err != nil {
			t.Errorf("commits do not go on with the witness: %v", err)
		}
	}
}

// replace gives a voter's vote to another node, or to itself anew.
func (l *lab) replace(s *Store, old, by ha.NodeName) {
	l.t.Helper()
	change(l.t, fmt.Sprintf("%s takes the vote of %s", by, old), func() error { return s.ReplaceVoter(hang(l.t), old, by) })
}

// stopped ends a writer without looking at what it wrote.
func stopped(w *writer) <-chan struct{} { close(w.stop); return w.ended }

func TestChangesThatWouldCostTheMajorityAreRefused(t *testing.T) {
	t.Parallel() // it mostly waits
	l := newLab(t, 3)
	l.all()
	s := l.stores["node1"]
	l.kill("node3")
	refuses(t, "removing one of the last two", func() error { return s.RemoveVoter(hang(t), "node2") }, "without node2 only 1 of 2 voters would answer, and 2 must (node3 is not answering): bring one back first")
	refuses(t, "adding a stranger", func() error { return s.AddVoter(hang(t), "node9") }, "node9 is no voter in this node's configuration")
	give, err := s.takeTurn(hang(t), ha.Txn{})
	if err != nil {
		t.Fatal(err)
	}
	refuses(t, "two changes at once", func() error { return l.stores["node2"].RemoveVoter(hang(t), "node3") }, "another change is under way")
	give()
	l.kill("node2")
	refuses(t, "without a majority", func() error { return s.ReplaceVoter(within(t, 5*time.Second), "node2", "node2") }, "a majority of the voters must answer: bring voters back (hactl status names those that do not answer)")
}

// refuses wants a change refused for this reason; where the machine stalls it may be another one at first, but it is never made.
func refuses(t *testing.T, what string, change func() error, says string) {
	t.Helper()
	until(t, what+" is refused", func() bool {
		err := change()
		if err == nil {
			t.Fatalf("%s is done", what)
		}
		if !errors.Is(err, ErrMembers) || !strings.Contains(err.Error(), says) {
			t.Logf("%s: again after: %v", what, err)
			return false
		}
		return true
	})
}
