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
