package scenarios

import (
	"slices"
	"testing"
)

// Every comment names a clause, and every clause is shown by a scenario, be it one that still waits for its feature.
func TestClausesAreCovered(t *testing.T) {
	left := Clauses()
	if len(left) < 50 {
		t.Fatalf("clauses.txt lists only %d clauses", len(left))
	}
	for _, name := range files(t) {
		got, err := load(t, name).Covers()
		if err != nil {
			t.Error(err)
		}
		left = slices.DeleteFunc(left, func(c string) bool { return slices.Contains(got, c) })
	}
	for _, c := range left {
		t.Errorf("no scenario shows %q", c)
	}
}

func TestCoversIsChecked(t *testing.T) {
	for _, comment := range []string{"", "# R1 R2", "# Something happens and ends well here.", "# Something happens and ends well here. Covers: R9.",
		"# short. Covers: R1."} {
		s, err := Parse("x", comment+"\nalways all guests run")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Covers(); err == nil {
			t.Errorf("%q names %v", comment, got)
		}
	}
}
