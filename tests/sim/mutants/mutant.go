package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bascule/tests/sim/mutants/probe"
)

// Mutant is a deliberate bug in the shipped pure code.
type Mutant struct {
	Name   string
	Rule   string // of DESIGN part 3, or "part5"
	Breaks string // what it does wrong, for people
	Edits  []Edit
	Probe  probe.Probe // site and faults that bring it out; zero: whatever the seeds draw
	Seed   uint64      // that showed it last; 0: none known
	Counts []string    // rules of the judge whose violation catches it
}

// Edit replaces a text that occurs exactly once in a file.
type Edit struct{ File, Old, New string }

// shipped are the directories that a mutant may change: the pure machines.
var shipped = []string{"ha", "ha/leader", "ha/node", "ha/ladder", "ha/placement"}

// all is the whole catalogue.
func all() []Mutant {
	return slices.Concat(oneplace, permits, guards, proofs, fencing, resets, endless, taken, terms, unguarded, ownership, places, brains, withoutStore, hardware, resigned, limited, keepers, fled)
}

// Mutate returns the changed files' contents by path below root. It fails when the catalogue does not follow the code any more.
func (m Mutant) Mutate(root string) (map[string]string, error) {
	out := map[string]string{}
	for _, e := range m.Edits {
		if !slices.Contains(shipped, filepath.Dir(e.File)) || strings.HasSuffix(e.File, "_test.go") {
			return nil, fmt.Errorf("mutant %s: %s is no shipped file of the pure machines", m.Name, e.File)
		}
		text, ok := out[e.File]
		if !ok {
			b, err := os.ReadFile(filepath.Join(root, e.File))
			if err != nil {
				return nil, fmt.Errorf("mutant %s: %w", m.Name, err)
			}
			text = string(b)
		}
		if n := strings.Count(text, e.Old); n != 1 {
			return nil, fmt.Errorf("mutant %s: the old text occurs %d times in %s, it must be once; the code changed, let the catalogue follow:\n%s", m.Name, n, e.File, e.Old)
		}
		out[e.File] = strings.Replace(text, e.Old, e.New, 1)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("mutant %s changes nothing", m.Name)
	}
	return out, nil
}
