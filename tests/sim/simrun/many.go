package main

import (
	"fmt"
	"sync"
	"time"

	"bascule/tests/sim"
)

// many runs the seeds and prints what they showed.
func many(o options) int {
	began := time.Now()
	t := sim.NewTally()
	next := make(chan uint64)
	done := make(chan sim.Result)
	var workers sync.WaitGroup
	for range max(1, o.jobs) {
		workers.Go(func() {
			for seed := range next {
				done <- sim.NewWorld(sim.RandomSpec(seed), nil).Run()
			}
		})
	}
	stop := make(chan struct{})
	go func() {
		defer close(next)
		for i := range o.seeds {
			select {
			case next <- o.seed0 + uint64(i):
			case <-stop:
				return
			}
		}
	}()
	go func() {
		workers.Wait()
		close(done)
	}()
	bad, stopped := 0, false
	for r := range done {
		t.Add(r)
		if len(r.Violations) == 0 {
			continue
		}
		bad++
		if bad <= o.most {
			report(o, r)
		} else if !stopped {
			stopped = true
			close(stop)
		}
	}
	fmt.Print(t.Table())
	took := time.Since(began)
	fmt.Printf("%d seeds from %d in %v with %d jobs: %.0f recoveries per core-minute\n", t.Seeds, o.seed0, took.Round(time.Second), o.jobs,
		float64(t.Recoveries)/took.Minutes()/float64(max(1, o.jobs)))
	fmt.Println(t.Line())
	if t.Violations > 0 {
		return 1
	}
	return 0
}

// report says how to see a violation again.
func report(o options, r sim.Result) {
	fmt.Printf("seed %d: %s\n", r.Seed, r.Violations[0])
	only := ""
	if !o.noShrink {
		only = sim.Shrink(sim.RandomSpec(r.Seed), r.Violations[0].Rule)
	}
	fmt.Printf("  replay: go run ./tests/sim/simrun -seed0 %d -trace%s\n", r.Seed, only)
	for _, c := range sim.Kept(sim.RandomSpec(r.Seed), only) {
		fmt.Printf("    %s\n", c)
	}
}
