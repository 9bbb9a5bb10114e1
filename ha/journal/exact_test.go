package journal

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"bascule/ha"
	"bascule/ha/leader"
	"bascule/ha/node"
	"bascule/ha/placement"
)

// lineOf encodes an entry and returns it as read back.
func lineOf(t rapid.TB, i item) *Entry {
	t.Helper()
	b, err := i.line(0, &encoder{})
	if err != nil {
		t.Fatal(err)
	}
	r := Reader{Starts: []Start{{}}}
	e, err := r.take(b)
	if err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return e
}

func identical(t rapid.TB, i item) {
	t.Helper()
	d, err := lineOf(t, i).Replay()
	if err != nil {
		t.Fatal(err)
	}
	if d != nil {
		t.Fatalf("the replay differs in %s: recorded %s, replayed %s", d.Field, d.Recorded, d.Replayed)
	}
}

func encoded(t rapid.TB, vs ...any) []byte {
	t.Helper()
	b, err := json.Marshal(vs)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Whatever the leader sees, the recorded round gives the same decision; and deciding leaves alone what was handed to the journal.
func TestRandomRoundsReplay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := leader.Leader{Options: random[leader.Options](t), Placer: placement.Placer{}}
		l.Members = append(l.Members, ha.Member{Name: "n1"}, ha.Member{Name: "n2"}, ha.Member{Name: "n3"})
		s := random[leader.State](t)
		now := ha.Instant(60e9)
		for range 3 {
			o := random[leader.Observation](t)
			settle(t, &o)
			o.Wall = time.Now().Add(time.Duration(now)) // with a monotonic reading and a place
			before := encoded(t, s, o)
			d := l.Decide(now, s, o)
			identical(t, &round{at: o.Wall, now: now, options: l.Options, state: s, observation: o, decision: d})
			if !bytes.Equal(before, encoded(t, s, o)) {
				t.Fatal("Decide changed what it was given: it cannot be encoded later")
			}
			s, now = d.State, now.Add(time.Second)
		}
	})
}

// settle makes records say of themselves what their keys say, and most of what a healthy cluster's would: random alone is refused
// at the first question.
func settle(t *rapid.T, o *leader.Observation) {
	s := &o.Store
	s.NewerSchema, o.Self = "", "n1"
	for _, n := range []ha.NodeName{"n1", "n2", "n3"} {
		x, lease, rep := s.Nodes[n], s.Leases[n], s.Reports[n]
		x.Rec.Node = n
		if rapid.IntRange(0, 3).Draw(t, "registered") > 0 {
			x.Rec.Incarnation, lease.Rec.Incarnation, rep.Rec.Incarnation, rep.Rec.Leaving = "b1", "b1", "b1", false
			s.Leases[n], s.Reports[n] = lease, rep
			o.Gossip[n] = ha.GossipView{Known: true, Alive: true}
		}
		s.Nodes[n] = x
	}
	for id, x := range s.Guests {
		x.Rec.ID = id
		s.Guests[id] = x
	}
	for n, x := range s.Fences {
		x.Rec.Node, x.Rec.Incarnation = n, s.Nodes[n].Rec.Incarnation
		s.Fences[n] = x
	}
}

// Whatever happens to a node's machine, the recorded step gives the same state and effects.
func TestRandomStepsReplay(t *testing.T) {
	kinds := namesOf(events)
	rapid.Check(t, func(t *rapid.T) {
		c, s := random[node.Config](t), random[node.State](t)
		c.Self, c.Witness = "n1", false
		s.Synced, s.Looked = true, true
		now := ha.Instant(60e9)
		for range 4 {
			p := reflect.New(events[rapid.SampledFrom(kinds).Draw(t, "event")])
			fill(t, p.Elem())
			e := p.Elem().Interface().(node.Event)
			before := encoded(t, s, e)
			after, out, next := c.Step(now, s, e)
			i := &step{now: now, config: c, before: s, event: e, after: after, effects: out, next: next}
			identical(t, i)
			if !bytes.Equal(before, encoded(t, s, e)) {
				t.Fatal("Step changed what it was given: it cannot be encoded later")
			}
			s, now = after, now.Add(time.Second)
		}
	})
}

// A device's or a task's words need not be UTF-8.
func TestTextThatIsNotUTF8(t *testing.T) {
	c := node.Config{Self: "n1", Incarnation: "b1", MaxRestart: 0, ParallelStarts: 1}
	s := node.State{Lease: node.Lease{Phase: node.LeaseEnding}, Guests: map[ha.VMID]node.Guest{7: {Seen: node.Seen{Kind: ha.QEMU},
		Job: node.Job{Step: node.StepConfirm, InFlight: true, Seq: 3, Generation: 2, Failure: "\xff\xfe"}}}}
	e := node.StepDone{Guest: 7, Seq: 3, Step: node.StepConfirm, Outcome: node.Failed, Message: "bad \xff bytes"}
	after, out, next := c.Step(5e9, s, e)
	i := &step{now: 5e9, config: c, before: s, event: e, after: after, effects: out, next: next}
	if line, err := i.line(0, &encoder{}); err != nil || !bytes.Contains(line, []byte(`\ufffd`)) {
		t.Fatalf("the case is not what it shall be: %v %s", err, line)
	}
	identical(t, i)
}

// The parts of "after" that are only named come back, whatever is named.
func TestShortenedStateComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l stepLine
		l.State = encoded(t, random[node.State](t))[1:]
		l.State = l.State[:len(l.State)-1]
		after := l.State
		if rapid.Bool().Draw(t, "changed") {
			b := encoded(t, random[node.State](t))
			after = b[1 : len(b)-1]
		}
		l.Event = tagged{Value: slices.Clone(after)}
		before, err := fieldsOf(l.State)
		if err != nil {
			t.Fatal(err)
		}
		like, err := fieldsOf(after)
		if err != nil {
			t.Fatal(err)
		}
		l.After = object(l.shorten(like, before, like))
		full, err := l.full(like)
		if err != nil || !bytes.Equal(full, after) {
			t.Fatalf("%v: got %s, want %s", err, full, after)
		}
		if rest, _ := fieldsOf(l.After); len(rest) > 0 {
			t.Fatalf("%d fields are written although they stand in the state or the event", len(rest))
		}
	})
}

// No list and an empty list are two outcomes, and stay two.
func TestNoEffectsAreNotAnEmptyList(t *testing.T) {
	for want, list := range map[string][]node.Effect{"null": nil, "[]": {}} {
		b, err := effects.encodeAll(list)
		if err != nil || string(b) != want {
			t.Fatalf("%#v: %s, %v, want %s", list, b, err, want)
		}
		if back, err := effects.decodeAll(b); err != nil || (back == nil) != (list == nil) {
			t.Fatalf("%s comes back as %#v, %v", b, back, err)
		}
	}
}
