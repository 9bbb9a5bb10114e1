package scenarios

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed clauses.txt
var clauseList string

// Clauses are the names of all that the scenarios must show.
func Clauses() []string {
	var out []string
	for _, line := range strings.Split(clauseList, "\n") {
		f := strings.Fields(line)
		switch {
		case len(f) < 2 || f[0] == "#":
		case f[0] == "proof" || f[0] == "complaint":
			out = append(out, f[0]+" "+f[1])
		default:
			out = append(out, f[0])
		}
	}
	return out
}

// Covers are the clauses that a scenario's comment names, after "Covers:". The error says what is wrong with them.
func (s *Scenario) Covers() ([]string, error) {
	shown, list, ok := strings.Cut(s.Comment, "Covers:")
	if !ok || len(strings.Fields(shown)) < 5 {
		return nil, fmt.Errorf("%s: its comment must say in a sentence what is shown, then: Covers: R3, part4.2, proof NewBoot", s.Path)
	}
	var out []string
	known := Clauses()
	for _, c := range strings.Split(strings.TrimSuffix(strings.TrimSpace(list), "."), ",") {
		c = strings.TrimSpace(c)
		if !slices.Contains(known, c) {
			return nil, fmt.Errorf("%s: clauses.txt has no clause %q", s.Path, c)
		}
		if !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out, nil
}
