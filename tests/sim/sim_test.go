package sim

import (
	"flag"
	"io"
	"os"
	"testing"
)

var (
	seedFlag = flag.Uint64("sim.seed", 0, "run this seed with its trace")
)

func TestOneSeed(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = 1
	}
	var out io.Writer
	if testing.Verbose() {
		out = os.Stdout
	}
	r := NewWorld(RandomSpec(seed), out).Run()
	for _, v := range r.Violations {
		t.Errorf("seed %d: %s", seed, v)
	}
	t.Logf("%+v", r)
}

// BenchmarkSeeds is the cost of one simulated site from its start to its settled end.
func BenchmarkSeeds(b *testing.B) {
	for i := range b.N {
		NewWorld(RandomSpec(uint64(i+1)), nil).Run()
	}
}
