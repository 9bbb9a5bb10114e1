package bench

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"bascule/tests/lab"
)

func TestColdRoundsAreDrawnFromTheSeed(t *testing.T) {
	o := lab.Options{Nodes: 2, Witness: true, QDevice: true}
	machines := []string{"node1", "node2", lab.WitnessName}
	seen := map[ColdKind]int{}
	for no := 1; no <= 40; no++ {
		r := drawCold(7, no, o, machines, time.Minute)
		if !reflect.DeepEqual(r, drawCold(7, no, o, machines, time.Minute)) {
			t.Fatalf("round %d is another one the second time", no)
		}
		seen[r.Kind]++
		for i, on := range r.Ons {
			if on.After > time.Minute || on.Boot < bootMin || on.Boot > bootMax || i > 0 && on.After < r.Ons[i-1].After {
				t.Errorf("round %d: %+v", no, r.Ons)
			}
		}
		if r.Absent == lab.WitnessName || (r.Kind == ColdAbsent) != (r.Absent != "") || (r.Kind == ColdDisk) != (r.Emptied != "") {
			t.Errorf("round %d: %+v", no, r)
		}
		if r.needed(o, machines) == "" {
			t.Errorf("round %d can never end: %s", no, r)
		}
	}
	for _, kind := range coldKinds {
		if seen[kind] != 10 {
			t.Errorf("%s: %d rounds of 40", kind, seen[kind])
		}
	}
}

func TestWhoIsNeeded(t *testing.T) {
	three, two := lab.Options{Nodes: 3}, lab.Options{Nodes: 2, Witness: true, QDevice: true}
	ons := func(names ...string) (out []coldOn) {
		for _, n := range names {
			out = append(out, coldOn{Machine: n})
		}
		return out
	}
	w := lab.WitnessName
	for _, c := range []struct {
		o    lab.Options
		r    coldRound
		want string
	}{
		{three, coldRound{Ons: ons("node3", "node1", "node2")}, "node1"},
		{three, coldRound{Ons: ons("node3", "node1", "node2"), Absent: "node1"}, "node2"},
		{three, coldRound{Ons: ons("node3", "node1", "node2"), Emptied: "node3"}, "node2"},
		{two, coldRound{Ons: ons(w, "node1", "node2")}, "node1"},
		{two, coldRound{Ons: ons("node2", "node1", w), Emptied: "node1"}, w},
		{lab.Options{Nodes: 2, Witness: true}, coldRound{Ons: ons(w, "node1", "node2")}, "node2"},
		{lab.Options{Nodes: 2, Witness: true}, coldRound{Ons: ons(w, "node1", "node2"), Absent: "node2"}, ""},
	} {
		if got := c.r.needed(c.o, append(nodesOf(c.o), w)[:3]); got != c.want {
			t.Errorf("%s: %q, want %q", c.r, got, c.want)
		}
	}
}

func nodesOf(o lab.Options) (out []string) {
	for i := range o.Nodes {
		out = append(out, lab.NodeName(i+1))
	}
	return out
}

// What a guard says of its phases becomes the times in which a start was allowed; a power cut writes nothing, the next boot does.
func TestPermitsFromTheGuardsLogs(t *testing.T) {
	at := func(s float64) time.Time { return time.Unix(1_700_000_000, 0).Add(sec(s)) }
	had := permits([]lab.LogLine{
		{Node: "node1", At: at(1), Msg: `guard: started in phase idle with 0 guests, watchdog "lab", W 14.5s`},
		{Node: "node1", At: at(2), Msg: "guard: idle -> permitted: permit for 0 guests"},
		{Node: "node1", At: at(5), Msg: "guard: permitted -> grace: the permit ended and was not renewed"},
		{Node: "node1", At: at(6), Msg: "guard: killed 3 processes of protected guests"},
		{Node: "node1", At: at(20), Msg: `guard: started in phase idle with 0 guests, watchdog "lab", W 14.5s`},
		{Node: "node1", At: at(22), Msg: "guard: idle -> permitted: permit for 0 guests"},
		{Node: "node2", At: at(3), Msg: `guard: started in phase permitted with 2 guests, watchdog "lab", W 14.5s`},
	})
	for _, c := range []struct {
		node string
		s    float64
		want bool
	}{{"node1", 1.9, false}, {"node1", 2, true}, {"node1", 4.9, true}, {"node1", 5.2, false}, {"node1", 21.9, false}, {"node1", 99, true},
		{"node2", 2, false}, {"node2", 4, true}, {"node3", 4, false}} {
		if got := within(had[c.node], at(c.s)); got != c.want {
			t.Errorf("%s after %.1f s: %t", c.node, c.s, got)
		}
	}
}

func TestGuestsWithoutAProof(t *testing.T) {
	at := func(s float64) time.Time { return time.Unix(1_700_000_000, 0).Add(sec(s)) }
	r := &coldRun{lab: &lab.Lab{Options: lab.Options{Nodes: 3, Guests: 4}},
		where: map[int]string{101: "node1", 201: "node2", 102: "node3", 202: "node3"},
		lines: map[int]lab.Line{101: {Node: "node1", At: at(5)}, 201: {Node: "node1", At: at(9)}, 102: {Node: "node1", At: at(7)}, 202: {Node: "node2", At: at(12)}}}
	bad, proofs := r.unproven([]lab.DaemonEvent{
		{Node: "node2", To: "suspect", At: at(4)}, {Node: "node2", To: "fenced", Reason: "NewBoot: it booted", At: at(6)},
		{Node: "node3", To: "fenced", Reason: "PowerOffConfirmed: read off twice", At: at(10)}, {Node: "node3", Guest: 102, To: "fenced", At: at(1)},
	})
	if len(bad) != 1 || !strings.Contains(bad[0], "guest 102 ran on node1") {
		t.Errorf("without a proof: %v", bad)
	}
	if strings.Join(proofs, ", ") != "node2 NewBoot, node3 PowerOffConfirmed" {
		t.Errorf("proofs: %v", proofs)
	}
}

func TestColdResult(t *testing.T) {
	set := ColdSet{Rounds: []ColdReport{
		{Kind: ColdAll, Took: map[int]time.Duration{101: sec(10), 102: sec(20)}},
		{Kind: ColdAbsent, Took: map[int]time.Duration{101: sec(30)}, Needless: []string{"node2"}},
		{Kind: ColdSwitch, Took: map[int]time.Duration{101: sec(99)}, Lost: []int{102}, Early: []string{"x"}},
	}}
	want := "RESULT rounds=3 lost=1 twice=0 early=1 unproven=0 needless=1 p50=20.00 max=30.00"
	if got := set.Result(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if set.Bad() != 2 {
		t.Errorf("%d things that never may happen", set.Bad())
	}
}
