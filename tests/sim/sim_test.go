package sim

import (
	"runtime"
	"testing"
	"time"
)

// fixedSeeds are run by every test; randomSeeds, drawn from the clock, by make sim-ci.
const fixedSeeds = 150

// TestFixedSeeds runs the same sites every time.
func TestFixedSeeds(t *testing.T) {
	n := uint64(fixedSeeds)
	if testing.Short() {
		n = 20
	}
	tally := NewTally()
	for seed := range n {
		r := NewWorld(RandomSpec(seed+1), nil).Run()
		tally.Add(r)
		for _, v := range r.Violations {
			t.Errorf("seed %d: %s\n  replay: go run ./tests/sim/simrun -seed0 %d -trace", seed+1, v, seed+1)
		}
	}
	if tally.WithoutFault > 0 {
		t.Errorf("%d seeds without a fault", tally.WithoutFault)
	}
	if kinds := percentile(tally.perSeed, 0.5); kinds < 5 {
		t.Errorf("the median seed has only %d kinds of fault", kinds)
	}
	if recs := percentile(tally.recs, 0.5); recs < 1 {
		t.Errorf("the median seed has %d recoveries", recs)
	}
	t.Log(tally.Line())
}

// TestSameSeedSameTrace: a seed gives the same trace, whatever the machine does at the same time.
func TestSameSeedSameTrace(t *testing.T) {
	old := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(old)
	for seed := uint64(1); seed <= 12; seed++ {
		var hashes []uint64
		for _, procs := range []int{1, 2} {
			runtime.GOMAXPROCS(procs)
			a, b := NewWorld(RandomSpec(seed), nil).Run(), NewWorld(RandomSpec(seed), nil).Run()
			hashes = append(hashes, a.Hash, b.Hash)
		}
		for _, h := range hashes[1:] {
			if h != hashes[0] {
				t.Fatalf("seed %d: traces differ: %x", seed, hashes)
			}
		}
	}
}

// TestJudgeSees: a judge that sees nothing would pass everything. A guest started by hand on a second node is found at once.
func TestJudgeSees(t *testing.T) {
	s := RandomSpec(1)
	s.Commands = nil
	s.Length, s.Settle = 30*time.Second, 30*time.Second
	w := NewWorld(s, nil)
	g := w.machine.guests[0]
	w.loop.After(20*time.Second, func() {
		for _, h := range w.machine.Hosts() {
			if h.Name != g.spec.Node && h.boot != nil && !h.spec.Witness {
				h.spawn(g, whatGuest).begins("by the test")
				return
			}
		}
	})
	r := w.Run()
	if len(r.Violations) == 0 || r.Violations[0].Rule != "R1" {
		t.Fatalf("a guest that runs twice was not found: %v", r.Violations)
	}
}

// TestShrinkKeepsTheViolation: what is left of the faults still breaks the rule, and no fault of it can be left out.
func TestShrinkKeepsTheViolation(t *testing.T) {
	s := RandomSpec(2)
	s.Settle = time.Second // nothing is in order that soon after a fault at the very end
	s.Commands = []Command{{At: 15 * time.Second, Verb: "kill-guard", Args: []string{"node1"}},
		{At: 20 * time.Second, Verb: "compact"}, {At: 30 * time.Second, Verb: "power-off", Args: []string{"node1"}, For: 5 * time.Second}}
	s.Length = 36 * time.Second
	if flag := Shrink(s, "stuck"); flag != " -only 2" {
		t.Fatalf("shrunk to %q", flag)
	}
}

// BenchmarkSeeds is the cost of one simulated site from its start to its settled end.
func BenchmarkSeeds(b *testing.B) {
	for i := range b.N {
		NewWorld(RandomSpec(uint64(i+1)), nil).Run()
	}
}
