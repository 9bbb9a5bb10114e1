package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The catalogue follows the code: each old text is there exactly once. Whether a mutant compiles and is caught is the run's business.
func TestEveryMutantApplies(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all() {
		changed, err := m.Mutate(root)
		if err != nil {
			t.Error(err)
			continue
		}
		for file, text := range changed {
			b, err := os.ReadFile(filepath.Join(root, file))
			if err != nil || string(b) == text {
				t.Errorf("mutant %s leaves %s as it is (%v)", m.Name, file, err)
			}
		}
	}
}

func TestCatalogue(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range all() {
		if seen[m.Name] {
			t.Errorf("two mutants are called %s", m.Name)
		}
		seen[m.Name] = true
		if m.Rule == "" || m.Breaks == "" || len(m.Counts) == 0 {
			t.Errorf("mutant %s does not say what it breaks and what catches it", m.Name)
		}
		if slices.Contains(m.Counts, "stuck") && len(m.Counts) == 1 {
			t.Errorf("mutant %s is caught by standing still only: that shows no broken rule", m.Name)
		}
		if _, err := m.Probe.Spec(1); err != nil {
			t.Errorf("mutant %s: %v", m.Name, err)
		}
	}
	for _, rule := range []string{"R1", "R2", "R3", "R4", "R5", "R6", "R7", "R8", "part5"} {
		if !slices.ContainsFunc(all(), func(m Mutant) bool { return m.Rule == rule }) {
			t.Errorf("no mutant breaks %s", rule)
		}
	}
	if len(seen) < 45 {
		t.Errorf("%d mutants are too few", len(seen))
	}
}

func TestMutateFailsLoudly(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		edit Edit
		want string
	}{
		{Edit{"ha/proof.go", "this text is nowhere", ""}, "occurs 0 times"},
		{Edit{"ha/proof.go", "return false", ""}, "occurs"},
		{Edit{"ha/agent/agent.go", "package", ""}, "no shipped file"},
		{Edit{"ha/ha_test.go", "package ha", ""}, "no shipped file"},
	} {
		if _, err := (Mutant{Name: "m", Edits: []Edit{tt.edit}}).Mutate(root); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q", tt.edit, err, tt.want)
		}
	}
}

func TestDocsTable(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(root, "docs", "mutants.md"))
	if err != nil || string(b) != table() {
		t.Errorf("docs/mutants.md is not what go run ./tests/sim/mutants -table prints (%v)", err)
	}
}
