// Command play runs one scenario and prints its readable trace, then what was expected and what was seen. Exit status 1 when it fails,
// 2 when its file cannot be read.
package main

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"bascule/tests/scenarios"
	"bascule/tests/sim"
)

func main() {
	seed := flag.Uint64("seed", 0, "of all draws (0: the scenario's own)")
	quiet := flag.Bool("quiet", false, "no trace")
	verbs := flag.Bool("verbs", false, "list all commands and stop")
	flag.Parse()
	if *verbs {
		list()
		return
	}
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: go run ./tests/scenarios/play [-seed N] [-quiet] FILE")
		os.Exit(2)
	}
	s, err := scenarios.Load(flag.Arg(0))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	fmt.Println(s.Comment)
	if s.Waiting != "" {
		fmt.Println("it waits for:", s.Waiting)
	}
	var out io.Writer = os.Stdout
	if *quiet {
		out = nil
	}
	rep := s.Run(out, *seed)
	fmt.Print(rep)
	if !rep.OK() {
		os.Exit(1)
	}
}

func list() {
	verbs := sim.Verbs()
	for _, v := range slices.Sorted(maps.Keys(verbs)) {
		fmt.Println("TIME", v, verbs[v])
	}
}
