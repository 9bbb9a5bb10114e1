// Command mutants puts deliberate bugs into the shipped pure machines, one at a time and at build time only (go build -overlay), and shows
// that the simulator catches each. A mutant is caught when a seed breaks a rule with it and does not without it. It never changes a file of
// the repository. Exit status 1 when a mutant is missed, does not apply any more, or does not build.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

type options struct {
	only  string
	jobs  int
	seeds int
	table bool
}

func main() {
	var o options
	flag.StringVar(&o.only, "only", "", "only the mutants whose names contain this; several separated by commas")
	flag.IntVar(&o.jobs, "jobs", 2, "mutants side by side")
	flag.IntVar(&o.seeds, "seeds", 1500, "seeds to try per mutant, after the one that showed it last")
	flag.BoolVar(&o.table, "table", false, "print docs/mutants.md and stop")
	flag.Parse()
	if o.table {
		fmt.Print(table())
		return
	}
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return fmt.Errorf("a place for the mutants: %w", err)
	}
	defer os.RemoveAll(dir)
	clean, err := build(root, dir, Mutant{Name: "clean"}, nil)
	if err != nil {
		return err
	}
	ms := chosen(o.only)
	found := make([]verdict, len(ms))
	var wg sync.WaitGroup
	slots := make(chan struct{}, max(1, o.jobs))
	var print sync.Mutex
	for i, m := range ms {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			sub := filepath.Join(dir, m.Name)
			found[i] = judge(root, sub, clean, m, o.seeds)
			os.RemoveAll(sub) // the binaries are large
			print.Lock()
			fmt.Println(found[i])
			print.Unlock()
		})
	}
	wg.Wait()
	caught := 0
	for _, v := range found {
		if v.caught {
			caught++
		}
	}
	fmt.Printf("RESULT mutants=%d caught=%d\n", len(ms), caught)
	if len(ms) == 0 || caught < len(ms) {
		return fmt.Errorf("%d of %d mutants were not caught", len(ms)-caught, len(ms))
	}
	return nil
}

func chosen(only string) []Mutant {
	if only == "" {
		return all()
	}
	var out []Mutant
	for _, m := range all() {
		for _, want := range strings.Split(only, ",") {
			if strings.Contains(m.Name, want) {
				out = append(out, m)
				break
			}
		}
	}
	return out
}
