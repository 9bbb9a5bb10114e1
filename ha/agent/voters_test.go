package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"bascule/ha"
)

// fakeVoters is who keeps the store: n2 is gone, n4 may vote.
type fakeVoters struct {
	w *world

	mu     sync.Mutex
	votes  []ha.NodeName
	gone   ha.NodeName
	asked  []ha.VoterOrder
	refuse error
	takes  time.Duration
	busy   int
	most   int
}

func (f *fakeVoters) health() ha.StoreHealth {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := ha.StoreHealth{Available: true, Voters: slices.Clone(f.votes)}
	for _, v := range f.votes {
		if v != f.gone {
			h.Answering = append(h.Answering, v)
		}
	}
	return h
}

// ReplaceLost is the agent's port.
func (f *fakeVoters) ReplaceLost(ctx context.Context, o ha.VoterOrder) error {
	s := f.w.snapshot()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, o)
	f.busy++
	f.most = max(f.most, f.busy)
	f.mu.Unlock()
	select {
	case <-time.After(f.takes):
	case <-ctx.Done():
	}
	f.mu.Lock()
	f.busy--
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case s.VoterChange.Rev != o.Rev || s.Term != o.Term || s.VoterChange.Rec.By != o.By:
		return fmt.Errorf("recorded is %+v in term %d, ordered %+v", s.VoterChange, s.Term, o)
	case f.refuse != nil:
		return f.refuse
	}
	f.votes = append(slices.DeleteFunc(f.votes, func(n ha.NodeName) bool { return n == o.Old }), o.By)
	return nil
}

// withVoters runs a world of four nodes, three of which vote.
func withVoters(t *testing.T, f func(w *world, v *fakeVoters)) {
	inColdWorld(t, 4, func(w *world) {
		v := &fakeVoters{w: w, votes: []ha.NodeName{"n1", "n2", "n3"}, takes: 30 * time.Second}
		w.opts.Voters, w.opts.Spares = slices.Clone(v.votes), []ha.NodeName{"n4"}
		for _, n := range w.names {
			w.start(n, func(c *Config) {
				c.Voters = v
				c.Store.(*storePort).voters = v.health
			})
			time.Sleep(50 * time.Millisecond)
		}
		w.settle()
		f(w, v)
	})
}

func TestALostVoterIsReplaced(t *testing.T) {
	withVoters(t, func(w *world, v *fakeVoters) {
		w.cutPower("n2")
		v.mu.Lock()
		v.gone, v.refuse = "n2", errors.New("not yet")
		v.mu.Unlock()
		w.pass(9*time.Minute + 50*time.Second)
		if s := w.snapshot(); len(v.asked) > 0 || s.VoterChange.Rev != 0 {
			t.Fatalf("too early: %v, %+v", v.asked, s.VoterChange)
		}
		w.until(30*time.Second, "the change is recorded", func(s ha.Snapshot) bool { return s.VoterChange.Rec.By == "n4" })
		w.pass(3 * time.Minute)
		v.mu.Lock()
		tries := len(v.asked)
		v.refuse = nil
		v.mu.Unlock()
		if tries < 3 || v.most != 1 {
			t.Errorf("refused, and tried again %d times, %d at once", tries, v.most)
		}
		w.until(2*time.Minute, "it is done and the record is gone", func(s ha.Snapshot) bool { return s.VoterChange.Rev == 0 })
		if !slices.Equal(v.votes, []ha.NodeName{"n1", "n3", "n4"}) {
			t.Errorf("voters: %v", v.votes)
		}
		done := len(v.asked)
		w.pass(15 * time.Minute) // a voter is replaced after ten
		if len(v.asked) != done {
			t.Errorf("asked again: %v", v.asked[done:])
		}
		told := 0
		for _, e := range w.told {
			if e.Subject == "voter n2" {
				told++
			}
		}
		if told != 2 {
			t.Errorf("people were told %d times: %+v", told, w.told)
		}
	})
}

// The leadership ends in the middle: what was under way is given up, and the next leader goes on by the record.
func TestTheNextLeaderGoesOnReplacing(t *testing.T) {
	withVoters(t, func(w *world, v *fakeVoters) {
		w.cutPower("n2")
		v.mu.Lock()
		v.gone = "n2"
		v.mu.Unlock()
		w.pass(9*time.Minute + 50*time.Second) // until looks a hundred times a second
		w.until(2*time.Minute, "somebody is asked", func(ha.Snapshot) bool { v.mu.Lock(); defer v.mu.Unlock(); return v.busy == 1 })
		first := w.snapshot().Leader.Node
		w.kill(first)
		w.pass(time.Second)
		v.mu.Lock()
		if v.busy != 0 || !slices.Contains(v.votes, "n2") {
			t.Errorf("%d under way, voters %v", v.busy, v.votes)
		}
		v.votes = []ha.NodeName{"n1", "n3"} // it was half done
		asked := len(v.asked)
		v.mu.Unlock()
		w.until(3*time.Minute, "it is done", func(s ha.Snapshot) bool { return s.VoterChange.Rev == 0 && s.Leader != nil })
		if last := v.asked[len(v.asked)-1]; len(v.asked) == asked || last.Term == v.asked[0].Term || !slices.Contains(v.votes, "n4") {
			t.Errorf("asked %+v, voters %v", v.asked, v.votes)
		}
	})
}

// A node that votes and has lost its etcd alone says so in its report.
func TestANodeWithoutItsEtcdSaysSo(t *testing.T) {
	withVoters(t, func(w *world, v *fakeVoters) {
		down := false
		w.store("n3").set(func(s *storePort) {
			s.voters = func() ha.StoreHealth { h := v.health(); h.OwnDown = down; return h }
		})
		for _, d := range []bool{true, false} {
			w.store("n3").set(func(*storePort) { down = d })
			w.until(10*time.Second, "the report follows", func(s ha.Snapshot) bool { return s.Reports["n3"].Rec.EtcdDown == d })
		}
	})
}
