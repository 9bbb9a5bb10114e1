package scenarios

import (
	"flag"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var seeds = flag.Int("scenarios.seeds", 1, "run each scenario under so many seeds, beginning with its own")

// files are all scenarios, by their path below testdata without .txt.
func files(t *testing.T) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir("testdata", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".txt") {
			out = append(out, strings.TrimSuffix(strings.TrimPrefix(filepath.ToSlash(path), "testdata/"), ".txt"))
		}
		return err
	})
	if err != nil || len(out) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	slices.Sort(out)
	return out
}

func load(t *testing.T, name string) *Scenario {
	t.Helper()
	s, err := Load(filepath.Join("testdata", filepath.FromSlash(name)+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestScenarios(t *testing.T) {
	for _, name := range files(t) {
		t.Run(name, func(t *testing.T) {
			s := load(t, name)
			if s.Waiting != "" {
				t.Skipf("waiting for: %s", s.Waiting)
			}
			for i := range *seeds {
				seed := uint64(0)
				if i > 0 {
					seed = uint64(i) * 1000
				}
				if rep := s.Run(nil, seed); !rep.OK() {
					t.Errorf("seed %d: %s\n%s\nreplay: go run ./tests/scenarios/play -seed %d tests/scenarios/testdata/%s.txt", seed, s.Comment, rep, seed, name)
				}
			}
		})
	}
}
