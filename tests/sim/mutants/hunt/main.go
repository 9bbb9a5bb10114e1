// Command hunt looks for a seed of a probe that breaks one of some rules. It is built once with the shipped machines and once per mutant;
// it knows nothing of either. It prints one line of JSON.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"bascule/tests/sim/mutants/probe"
)

// Found is what a hunt ends with.
type Found struct {
	Seed   uint64   `json:"seed"`
	Tried  int      `json:"tried"`
	Rule   string   `json:"rule,omitempty"` // empty: nothing found
	At     string   `json:"at,omitempty"`
	Text   string   `json:"text,omitempty"`
	Faults []string `json:"faults,omitempty"`
	Other  []string `json:"other,omitempty"` // violations of rules that were not asked for, the first few
}

func main() {
	first := flag.Uint64("first", 1, "first seed")
	seeds := flag.Int("seeds", 100, "how many")
	rules := flag.String("rules", "", "rules that count, separated by commas; empty: all")
	look := flag.String("probe", "{}", "the probe as JSON")
	trace := flag.Bool("trace", false, "print the trace of the first seed and stop")
	flag.Parse()
	if *trace {
		*seeds = 0
		if err := show(*look, *first); err != nil {
			fmt.Fprintln(os.Stderr, "hunt:", err)
			os.Exit(2)
		}
	}
	f, err := hunt(*look, *rules, *first, *seeds)
	if err != nil {
		fmt.Fprintln(os.Stderr, "hunt:", err)
		os.Exit(2)
	}
	if err := json.NewEncoder(os.Stdout).Encode(f); err != nil {
		fmt.Fprintln(os.Stderr, "hunt:", err)
		os.Exit(2)
	}
}

// show prints one seed's trace.
func show(look string, seed uint64) error {
	var p probe.Probe
	if err := json.Unmarshal([]byte(look), &p); err != nil {
		return fmt.Errorf("probe %s: %w", look, err)
	}
	_, err := p.Trace(seed, os.Stdout)
	return err
}

func hunt(look, rules string, first uint64, seeds int) (Found, error) {
	var p probe.Probe
	if err := json.Unmarshal([]byte(look), &p); err != nil {
		return Found{}, fmt.Errorf("probe %s: %w", look, err)
	}
	f := Found{}
	for seed := first; seed < first+uint64(seeds); seed++ {
		r, err := p.Run(seed)
		if err != nil {
			return f, err
		}
		f.Seed, f.Tried = seed, f.Tried+1
		for _, v := range r.Violations {
			if rules != "" && !slices.Contains(strings.Split(rules, ","), v.Rule) {
				if len(f.Other) < 3 {
					f.Other = append(f.Other, fmt.Sprintf("seed %d: %s", seed, v))
				}
				continue
			}
			f.Rule, f.At, f.Text = v.Rule, v.At.String(), v.Text
			s, err := p.Spec(seed)
			for _, c := range s.Commands {
				f.Faults = append(f.Faults, c.String())
			}
			return f, err
		}
	}
	return f, nil
}
