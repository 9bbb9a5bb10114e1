package bench

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func sec(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func TestResultLine(t *testing.T) {
	set := Set{N: 2, DoubleRuns: 1, Rounds: map[string][]Round{
		"default": {
			{Kind: Plain, Guests: map[int]time.Duration{101: sec(4), 102: sec(5)}},
			{Kind: Plain, Guests: map[int]time.Duration{101: sec(6)}, Lost: []int{102}},
			{Kind: Leader, Guests: map[int]time.Duration{201: sec(7.126)}},
			{Kind: Raft, Guests: map[int]time.Duration{201: sec(99)}},
		},
		"tuned": {{Kind: Plain, Guests: map[int]time.Duration{101: sec(2.5)}, AtOnce: map[string]int{"node1": 3, "node2": 1}}},
	}}
	want := "RESULT n=2 plain_p50=5.00 plain_max=6.00 leader_p50=7.13 leader_max=7.13 tuned_plain_p50=2.50 tuned_plain_max=2.50 double_runs=1 lost=1"
	if got := set.Result(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	table := set.Table()
	for _, part := range []string{"99.00", "tuned", "raft", "4.00"} {
		if !strings.Contains(table, part) {
			t.Errorf("the table lacks %q:\n%s", part, table)
		}
	}
	if text := set.Phases(); !strings.Contains(text, "on one node: 3 at most") {
		t.Errorf("the most starts at once are not said: %s", text)
	}
	delete(set.Rounds, "tuned")
	if got := set.Result(); !strings.Contains(got, "tuned_plain_p50=- tuned_plain_max=-") {
		t.Errorf("what was not measured shows as a number: %s", got)
	}
}

func TestPercentile(t *testing.T) {
	values := []time.Duration{5, 1, 4, 2, 3}
	for share, want := range map[float64]time.Duration{0.5: 3, 1: 5, 0.99: 5, 0.2: 1, 0.21: 2, 0: 1} {
		if got := percentile(values, share); got != want {
			t.Errorf("percentile %g: %d, want %d", share, got, want)
		}
	}
}

func TestChooseVictim(t *testing.T) {
	nodes := []string{"node1", "node2", "node3", "node4"}
	guests := map[string]int{"node1": 3, "node2": 1, "node3": 0, "node4": 2}
	for _, c := range []struct {
		kind         Kind
		leader, raft string
		want         string
	}{
		{Plain, "node1", "node2", "node4"},
		{Leader, "node1", "node2", "node1"},
		{Raft, "node1", "node2", "node2"},
		{Raft, "node1", "node1", ""}, // the leader leads raft too: no victim is only the raft leader
		{Leader, "", "node2", ""},
	} {
		got, err := choose(c.kind, nodes, c.leader, c.raft, guests)
		if got != c.want || (c.want == "") != errors.Is(err, errNoVictim) {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
	if _, err := choose(Plain, nodes[:2], "node1", "node2", guests); !errors.Is(err, errNoVictim) {
		t.Errorf("plain among two leaders: %v", err)
	}
}
