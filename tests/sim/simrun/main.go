// Command simrun runs simulated sites, one per seed, and says what they showed. A seed that breaks a rule is shrunk to the fewest
// faults that still break it, and the command that replays it with a readable trace is printed. Exit status 1 on any violation.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"bascule/tests/sim"
)

func main() {
	var o options
	flag.Uint64Var(&o.seed0, "seed0", 0, "first seed (0: drawn from the clock)")
	flag.IntVar(&o.seeds, "seeds", 100, "how many")
	flag.IntVar(&o.jobs, "jobs", runtime.GOMAXPROCS(0), "side by side")
	flag.BoolVar(&o.trace, "trace", false, "print the trace of the first seed and stop")
	flag.StringVar(&o.only, "only", "", "of the first seed's faults, only these (numbers from 0, separated by commas)")
	flag.IntVar(&o.most, "most", 5, "stop after so many seeds that break a rule")
	flag.BoolVar(&o.noShrink, "no-shrink", false, "do not look for the fewest faults")
	flag.Parse()
	debug.SetGCPercent(800) // many small worlds, each short-lived
	if o.seed0 == 0 {
		o.seed0 = uint64(time.Now().UnixNano())
	}
	if o.trace {
		os.Exit(one(o))
	}
	os.Exit(many(o))
}

type options struct {
	seed0    uint64
	seeds    int
	jobs     int
	trace    bool
	only     string
	most     int
	noShrink bool
}

// one replays a seed with its trace.
func one(o options) int {
	s := sim.RandomSpec(o.seed0)
	if o.only != "" {
		s = sim.Keep(s, o.only)
	}
	for i, c := range s.Commands {
		fmt.Printf("# %d: %s\n", i, c)
	}
	r := sim.NewWorld(s, os.Stdout).Run()
	for _, v := range r.Violations {
		fmt.Println("VIOLATION", v)
	}
	fmt.Printf("hash %016x\n", r.Hash)
	if len(r.Violations) > 0 {
		return 1
	}
	return 0
}
