package journal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"bascule/ha"
	"bascule/ha/node"
)

// TestEncoderWritesAsJSONDoes compares states, every kind of event, and whole lines with json.Marshal, in one encoder: what it kept of
// earlier ones must not show.
func TestEncoderWritesAsJSONDoes(t *testing.T) {
	var e encoder
	same := func(t *rapid.T, v any) []byte {
		want, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		fs, err := e.fieldsOf(v)
		if got := object(fs); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%T: %v\ngot  %s\nwant %s", v, err, got, want)
		}
		return want
	}
	rapid.Check(t, func(t *rapid.T) {
		s := random[node.State](t)
		same(t, s)
		s.Guests = maps.Clone(s.Guests) // another map, the others stay
		if s.Guests == nil {
			s.Guests = map[ha.VMID]node.Guest{}
		}
		s.Guests[101] = node.Guest{Job: node.Job{Failure: "it <said> \xff"}}
		same(t, s)
		same(t, random[node.State](t))
		kind := rapid.SampledFrom(slices.Sorted(maps.Keys(events))).Draw(t, "event")
		v := reflect.New(events[kind])
		fill(t, v.Elem())
		event := same(t, v.Elem().Interface())

		l := stepLine{Kind: KindStep, Alike: rapid.IntRange(0, 2).Draw(t, "alike"), Config: random[node.Config](t), State: encoded(t, s), Event: tagged{kind, event},
			After: json.RawMessage("{}"), AsBefore: random[[]string](t), AsEvent: random[[]string](t), Effects: json.RawMessage("null"), Next: 7}
		want, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := l.encode(); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("a line: %v\ngot  %s\nwant %s", err, got, want)
		}
	})
}

// BenchmarkStepLine is one step of a node in a cluster of 500 guests, which changes one of them.
func BenchmarkStepLine(b *testing.B) {
	s := node.State{Guests: map[ha.VMID]node.Guest{}, Records: map[ha.VMID]ha.GuestRecord{}}
	for id := ha.VMID(100); id < 600; id++ {
		n := ha.NodeName(fmt.Sprintf("node%d", id%32))
		s.Guests[id] = node.Guest{}
		s.Records[id] = ha.GuestRecord{ID: id, Kind: ha.QEMU, State: ha.GuestStarted, Reason: "runs on " + string(n), Node: n, Incarnation: "boot", Generation: 3,
			Holders: []ha.Holder{{Node: n, Incarnation: "boot", Generation: 3}}, Storages: []string{"ceph-vm"}}
	}
	var e encoder
	for b.Loop() {
		after := s
		after.Guests = maps.Clone(s.Guests)
		after.Guests[101] = node.Guest{Job: node.Job{Seq: after.Guests[101].Job.Seq + 1}}
		if _, err := (&step{before: s, event: node.Tick{}, after: after}).line(0, &e); err != nil {
			b.Fatal(err)
		}
		s = after
	}
}
