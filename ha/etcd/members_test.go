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

// membersLab has elections that a busy machine bears.
func membersLab(t *testing.T, voters int) *lab {
	t.Helper()
	l := newLab(t, voters)
	var err error
	if l.timing, err = ha.Profile("patient"); err != nil {
		t.Fatal(err)
	}
	l.timing.EtcdHeartbeat, l.timing.EtcdElection = 200*time.Millisecond, 2*time.Second
	return l
}

// reconfigure restarts nodes with a longer list of voters, one after the other, as an operator does.
func (l *lab) reconfigure(voters []Voter, initial []ha.NodeName, nodes ...ha.NodeName) {
	l.t.Helper()
	l.voters, l.initial = voters, initial
	for _, n := range nodes {
		if s := l.stores[n]; s != nil {
			delete(l.stores, n)
			if err := s.Close(within(l.t, 20*time.Second)); err != nil {
				l.t.Fatal(err)
			}
			l.ready(l.open(n))
		} else {
			l.open(n)
		}
	}
}

// votes is who votes, by etcd's own list.
func (l *lab) votes(s *Store) (out []string) {
	l.t.Helper()
	var list []Member
	until(l.t, "etcd lists its members", func() (ok bool) {
		var err error
		list, err = s.list(within(l.t, 6*time.Second))
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
	_, kvs, err := s.Read(within(t, 10*time.Second))
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
	l := membersLab(t, 5)
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
	if h := s.Health(within(t, 6*time.Second)); len(h.Problems) != 2 || !strings.Contains(h.Problems[0], "hactl etcd add node2") {
		t.Errorf("health says %q", h.Problems)
	}
	if h := l.stores["node2"].Health(within(t, 6*time.Second)); !h.Quorum || h.Own != "client" || !strings.Contains(strings.Join(h.Problems, "; "), "node2 does not vote in etcd: it is no member of etcd's cluster: let it in: hactl etcd add node2") {
		t.Errorf("the new node is a client and says why: %+v", h)
	}
	for _, n := range names[1:3] {
		if err := s.AddVoter(within(t, 60*time.Second), n); err != nil {
			t.Fatal(err)
		}
	}
	if got := l.votes(s); !slices.Equal(got, []string{"node1", "node2", "node3"}) {
		t.Fatalf("three voters: %v", got)
	}
	l.reconfigure(all, names[:1], names...)
	for _, n := range names[3:] { // asked for at a node that was let in itself
		if err := l.stores["node2"].AddVoter(within(t, 60*time.Second), n); err != nil {
			t.Fatal(err)
		}
		if err := l.stores["node3"].AddVoter(within(t, 20*time.Second), n); err != nil {
			t.Errorf("again: %v", err)
		}
	}
	if got := l.votes(l.stores["node5"]); len(got) != 5 {
		t.Fatalf("five voters: %v", got)
	}
	l.kill("node1") // the first of all, and another: three of five go on
	l.kill("node4")
	until(t, "commits go on", func() bool {
		_, err := l.stores["node5"].Commit(within(t, 6*time.Second), put("k", "v"))
		return err == nil
	})
	w.end(t, l.stores["node5"])
}

func TestADeadVoterIsReplacedByItselfAndByAnother(t *testing.T) {
	t.Parallel() // it mostly waits
	l := membersLab(t, 4)
	all := l.voters
	l.voters = all[:3]
	l.all()
	w := write(l.stores["node1"])
	s := l.stores["node1"]
	if err := s.ReplaceVoter(within(t, 20*time.Second), "node3", "node3"); !errors.Is(err, ErrMembers) || !strings.Contains(err.Error(), "nothing to replace") {
		t.Errorf("a voter that is well: %v", err)
	}

	before := l.stores["node3"].server.Load().etcd.Server.MemberID()
	l.kill("node3")
	if err := os.RemoveAll(l.dirs["node3"]); err != nil {
		t.Fatal(err)
	}
	lost := l.open("node3")
	if h := lost.Health(within(t, 6*time.Second)); h.Own != "client" || !strings.Contains(strings.Join(h.Problems, "; "), "its data are gone: hactl etcd replace node3") {
		t.Errorf("a voter without its data: %+v", h)
	}
	if err := s.ReplaceVoter(within(t, 60*time.Second), "node3", "node3"); err != nil {
		t.Fatal(err)
	}
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
	if err := s.ReplaceVoter(within(t, 60*time.Second), "node2", "node4"); err != nil {
		t.Fatal(err)
	}
	if got := l.votes(s); !slices.Equal(got, []string{"node1", "node3", "node4"}) {
		t.Errorf("voters: %v", got)
	}
	w.end(t, s)

	l.voters = all[:3] // the removed one comes back with its old data and its old configuration: it stays out, and says what differs
	back := l.open("node2")
	until(t, "the removed member is a client", func() bool {
		h := back.Health(within(t, 6*time.Second))
		said := strings.Join(h.Problems, "; ")
		return h.Own == "client" && strings.Contains(said, "node4 votes in etcd and is no voter in the configuration") && !strings.Contains(said, "hactl etcd add node2")
	})
}

func TestAWitnessIsTheThirdVote(t *testing.T) {
	t.Parallel() // it mostly waits
	l := membersLab(t, 3)
	all := l.voters
	all[2].Name = "witness1"
	l.dirs["witness1"] = l.dirs["node3"]
	l.voters = all[:2]
	l.all()
	l.reconfigure(all, []ha.NodeName{"node1", "node2"}, "node1", "node2", "witness1")
	if err := l.stores["node2"].AddVoter(within(t, 60*time.Second), "witness1"); err != nil {
		t.Fatal(err)
	}
	l.kill("node1")
	for _, n := range []ha.NodeName{"node2", "witness1"} {
		until(t, "commits go on with the witness", func() bool {
			_, err := l.stores[n].Commit(within(t, 3*time.Second), put("by", string(n)))
			return err == nil
		})
	}
}

// stopped ends a writer without looking at what it wrote.
func stopped(w *writer) <-chan struct{} { close(w.stop); return w.ended }

func TestChangesThatWouldCostTheMajorityAreRefused(t *testing.T) {
	t.Parallel() // it mostly waits
	l := membersLab(t, 3)
	l.all()
	s := l.stores["node1"]
	l.kill("node3")
	refused := func(what string, err error, says string) {
		t.Helper()
		if !errors.Is(err, ErrMembers) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("removing one of the last two", s.RemoveVoter(within(t, 20*time.Second), "node2"), "without node2 only 1 of 2 voters would answer, and 2 must (node3 is not answering): bring one back first")
	refused("adding a stranger", s.AddVoter(within(t, 20*time.Second), "node9"), "node9 is no voter in this node's configuration")
	give, err := s.takeTurn(within(t, 10*time.Second), ha.Txn{})
	if err != nil {
		t.Fatal(err)
	}
	refused("two changes at once", l.stores["node2"].RemoveVoter(within(t, 20*time.Second), "node3"), "another change is under way")
	give()
	l.kill("node2")
	refused("without a majority", s.ReplaceVoter(within(t, 5*time.Second), "node2", "node2"), "a majority of the voters must answer: bring voters back (hactl status names those that do not answer)")
}
