package main

import (
	"fmt"
	"strings"
)

// table is docs/mutants.md: a test keeps the file equal to it.
func table() string {
	var b strings.Builder
	b.WriteString("# Deliberate bugs that the simulator catches\n\n")
	b.WriteString("Made by `go run ./tests/sim/mutants -table`; a test keeps it so. `make sim-mutants` builds the simulator with each of them, one at a time, and hunts.\n\n")
	b.WriteString("| mutant | rule | what it does wrong |\n|---|---|---|\n")
	for _, m := range all() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", m.Name, m.Rule, m.Breaks)
	}
	return b.String()
}
