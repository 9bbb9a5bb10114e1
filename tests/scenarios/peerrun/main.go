// Command peerrun runs the scenarios of another HA manager's suite, given as data, on the simulated world: one line per scenario
// (pass | fail: reason | waiting: feature | differs: the written reason), last the counts. Exit status 1 on any failure that nobody
// has explained, 2 when the folder cannot be read.
package main

import (
	"flag"
	"fmt"
	"os"

	"bascule/tests/scenarios/peer"
)

func main() {
	var o peer.Options
	flag.StringVar(&o.Only, "only", "", "run only scenarios whose name contains this")
	flag.IntVar(&o.Seeds, "seeds", 1, "run each in so many worlds that differ in delays; the worst counts")
	trace := flag.Bool("trace", false, "print the course of each world")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: peerrun [-only WORD] [-seeds N] [-trace] DIR")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if *trace {
		o.Trace = os.Stdout
	}
	c, err := peer.RunAll(flag.Arg(0), o, func(name string, v peer.Verdict) { fmt.Printf("%-60s %s\n", name, v) })
	if err != nil {
		fmt.Fprintln(os.Stderr, "peerrun:", err)
		os.Exit(2)
	}
	fmt.Println(c.Line())
	if c.Fail > 0 {
		os.Exit(1)
	}
}
