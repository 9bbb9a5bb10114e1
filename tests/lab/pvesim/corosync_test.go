package pvesim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// The model is driven with explicit times: each step says when, what changes, and what each node then believes.
func TestCorosyncQuorum(t *testing.T) {
	all := func(a, b string) bool { return true }
	cut := func(lonely ...string) func(a, b string) bool {
		side := func(n string) bool { return strings.Contains(strings.Join(lonely, " "), n) }
		return func(a, b string) bool { return side(a) == side(b) }
	}
	oneWay := func(a, b string) bool { return a != "n1" || b != "n2" }
	type step struct {
		at    time.Duration
		power string // "+n1" or "-n1"
		reach func(a, b string) bool
		want  string // per node in order: Q quorate, q not, b blocked
	}
	const s = time.Second
	tests := []struct {
		name    string
		nodes   []string
		qdevice int
		device  func(string) bool
		steps   []step
	}{
		{name: "three nodes form and lose one", nodes: []string{"n1", "n2", "n3"}, steps: []step{
			{at: 0, power: "+n1", want: "bqq"}, {at: 0, power: "+n2", want: "bbq"}, {at: 0, power: "+n3", want: "bbb"},
			{at: 8 * s, want: "QQQ"}, {at: 10 * s, power: "-n3", want: "bbq"}, {at: 17 * s, want: "bbq"}, {at: 18 * s, want: "QQq"}}},
		{name: "a cut blocks both sides, then splits", nodes: []string{"n1", "n2", "n3"}, steps: []step{
			{power: "+n1"}, {power: "+n2"}, {power: "+n3"}, {at: 8 * s, want: "QQQ"},
			{at: 10 * s, reach: cut("n1"), want: "bbb"}, {at: 18 * s, want: "qQQ"},
			{at: 30 * s, reach: all, want: "bbb"}, {at: 38 * s, want: "QQQ"}}},
		{name: "a cut healed before the token runs out is none", nodes: []string{"n1", "n2", "n3"}, steps: []step{
			{power: "+n1"}, {power: "+n2"}, {power: "+n3"}, {at: 8 * s, want: "QQQ"},
			{at: 10 * s, reach: cut("n1"), want: "bbb"}, {at: 12 * s, reach: all, want: "QQQ"}}},
		{name: "a second change starts the waiting again", nodes: []string{"n1", "n2", "n3", "n4", "n5"}, steps: []step{
			{power: "+n1"}, {power: "+n2"}, {power: "+n3"}, {power: "+n4"}, {power: "+n5"}, {at: 8 * s, want: "QQQQQ"},
			{at: 10 * s, power: "-n5", want: "bbbbq"}, {at: 15 * s, power: "-n4", want: "bbbqq"}, {at: 18 * s, want: "bbbqq"}, {at: 23 * s, want: "QQQqq"}}},
		{name: "a reboot within the token is a new member", nodes: []string{"n1", "n2", "n3"}, steps: []step{
			{power: "+n1"}, {power: "+n2"}, {power: "+n3"}, {at: 8 * s, want: "QQQ"},
			{at: 10 * s, power: "-n3"}, {at: 11 * s, power: "+n3", want: "bbb"}, {at: 19 * s, want: "QQQ"}}},
		{name: "half of four is not enough", nodes: []string{"n1", "n2", "n3", "n4"}, steps: []step{
			{power: "+n1"}, {power: "+n2"}, {power: "+n3"}, {power: "+n4"}, {at: 8 * s, want: "QQQQ"},
			{at: 10 * s, reach: cut("n1", "n2")}, {at: 18 * s, want: "qqqq"}}},
		{name: "two nodes and a device", nodes: []string{"n1", "n2"}, qdevice: 1, steps: []step{
			{power: "+n1"}, {power: "+n2"}, {at: 8 * s, want: "QQ"}, {at: 10 * s, power: "-n1"}, {at: 18 * s, want: "qQ"}}},
		{name: "the device votes for the side that reaches it", nodes: []string{"n1", "n2"}, qdevice: 1, device: func(n string) bool { return n == "n2" }, steps: []step{
			{power: "+n1"}, {power: "+n2"}, {at: 8 * s, want: "QQ"}, {at: 10 * s, reach: cut("n1")}, {at: 18 * s, want: "qQ"}}},
		{name: "two nodes without a device lose everything", nodes: []string{"n1", "n2"}, steps: []step{
			{power: "+n1"}, {power: "+n2"}, {at: 8 * s, want: "QQ"}, {at: 10 * s, power: "-n1"}, {at: 18 * s, want: "qq"}}},
		{name: "a link cut one way takes one of the two out", nodes: []string{"n1", "n2", "n3"}, steps: []step{
			{power: "+n1"}, {power: "+n2"}, {power: "+n3"}, {at: 8 * s, want: "QQQ"}, {at: 10 * s, reach: oneWay}, {at: 18 * s, want: "QqQ"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newCorosync(Corosync{Reform: 8 * s, Join: 8 * s, QDevice: tt.qdevice, QDeviceReach: tt.device}, tt.nodes)
			start := time.Unix(1000, 0)
			reach := all
			for i, st := range tt.steps {
				now := start.Add(st.at)
				m.settle(now)
				if st.power != "" {
					m.power(st.power[1:], st.power[0] == '+')
				}
				if st.reach != nil {
					reach = st.reach
				}
				m.change(now, reach)
				m.settle(now)
				if got := m.picture(); st.want != "" && got != st.want {
					t.Fatalf("step %d at %v: %s, want %s", i, st.at, got, st.want)
				}
			}
		})
	}
}

// picture is one letter per node.
func (m *corosync) picture() string {
	var b strings.Builder
	for _, n := range m.order {
		switch st := m.nodes[n]; {
		case !st.until.IsZero():
			b.WriteByte('b')
		case st.quorate:
			b.WriteByte('Q')
		default:
			b.WriteByte('q')
		}
	}
	return b.String()
}

// The device's vote is counted when the device goes, although no ring changes.
func TestQDeviceGoesAlone(t *testing.T) {
	there := true
	c := &Cluster{now: time.Now, ringChanged: make(chan struct{}), reach: func(a, b string) bool { return true },
		ring: newCorosync(Corosync{Reform: time.Hour, QDevice: 1, QDeviceReach: func(string) bool { return there }}, []string{"n1", "n2"})}
	for _, n := range []string{"n1", "n2"} {
		c.ring.power(n, true)
	}
	n1 := c.ring.nodes["n1"]
	n1.ring, n1.target, c.ring.nodes["n2"].powered = map[string]int{"n1": 1}, map[string]int{"n1": 1}, false
	for _, want := range []bool{true, false, true} {
		there = want
		c.ringLocked()
		if n1.quorate != want {
			t.Errorf("the device is there: %t; quorate: %t", want, n1.quorate)
		}
	}
	if c.ringTimer != nil {
		c.ringTimer.Stop()
	}
}

func TestCorosyncJoinIsFaster(t *testing.T) {
	m := newCorosync(Corosync{Reform: 8 * time.Second, Join: 3 * time.Second}, []string{"n1", "n2"})
	now := time.Unix(1000, 0)
	all := func(a, b string) bool { return true }
	m.power("n1", true)
	m.power("n2", true)
	m.change(now, all)
	if got := m.next().Sub(now); got != 3*time.Second {
		t.Errorf("joining blocks %v, want 3s", got)
	}
	m.settle(now.Add(3 * time.Second))
	m.power("n2", false)
	m.change(now.Add(10*time.Second), all)
	if got := m.next().Sub(now.Add(10 * time.Second)); got != 8*time.Second {
		t.Errorf("a death blocks %v, want 8s", got)
	}
}

// A node that has just come misses no token when another dies; the ring is there only when those who do miss it are done.
func TestReformationLastsAsLongAsItsSlowestMember(t *testing.T) {
	m := newCorosync(Corosync{Reform: ReformDefault, Join: JoinMeasured}, []string{"n1", "n2", "n3"})
	all := func(a, b string) bool { return true }
	start := time.Unix(1000, 0)
	for _, n := range []string{"n2", "n3"} {
		m.power(n, true)
		m.change(start, all)
	}
	m.settle(start.Add(time.Minute))
	m.power("n1", true)
	m.change(start.Add(time.Minute), all)
	died := start.Add(61 * time.Second)
	m.power("n3", false)
	m.change(died, all)
	if rings := m.settle(died.Add(ReformDefault - time.Millisecond)); len(rings) != 0 {
		t.Fatalf("a ring of %v before the dead node's token ran out", rings)
	}
	if rings := m.settle(died.Add(ReformDefault)); len(rings) != 1 || len(rings[0]) != 2 {
		t.Fatalf("rings %v", rings)
	}
}

// TestLargestClique compares with a look at every set of few nodes, and takes no time over 32.
func TestLargestClique(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 2))
	for range 300 {
		names := []string{"a", "b", "c", "d", "e", "f", "g"}[:1+rng.IntN(7)]
		cut := map[[2]string]bool{}
		for _, a := range names {
			for _, b := range names {
				cut[[2]string{a, b}] = rng.IntN(5) == 0
			}
		}
		reach := func(a, b string) bool { return !cut[[2]string{a, b}] }
		if got, want := largestClique(names, reach), byTrying(names, reach); !slices.Equal(got, want) {
			t.Fatalf("%v of %v, want %v", got, names, want)
		}
	}
	var many []string
	for i := range 32 {
		many = append(many, fmt.Sprintf("node%d", i+1))
	}
	half := func(a, b string) bool { return slices.Index(many, a) < 15 == (slices.Index(many, b) < 15) }
	if got := largestClique(many, half); !slices.Equal(got, many[15:]) {
		t.Errorf("of 15 and 17 nodes the largest ring is %v", got)
	}
}

// byTrying is the largest set in which everybody reaches everybody, of several the one with the lowest ids.
func byTrying(names []string, reach func(a, b string) bool) (best []string) {
	for set := 1; set < 1<<len(names); set++ {
		var clique []string
		for i, n := range names {
			if set&(1<<i) != 0 {
				clique = append(clique, n)
			}
		}
		mutual := true
		for _, a := range clique {
			for _, b := range clique {
				mutual = mutual && (a == b || reach(a, b))
			}
		}
		if mutual && (len(clique) > len(best) || len(clique) == len(best) && slices.Compare(clique, best) < 0) {
			best = clique
		}
	}
	return best
}
