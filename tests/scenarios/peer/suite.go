package peer

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Count is how many scenarios ended with each word.
type Count struct{ Pass, Fail, Waiting, Differs int }

// Line is the count for machines.
func (c Count) Line() string {
	return fmt.Sprintf("RESULT pass=%d fail=%d waiting=%d differs=%d", c.Pass, c.Fail, c.Waiting, c.Differs)
}

// Folders are the scenarios below a directory, by name: every folder that has a cmdlist.
func Folders(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(dir, e.Name(), "cmdlist")); err == nil {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no scenario in %s: a scenario is a folder with a file cmdlist", dir)
	}
	return out, nil
}

// Options are how a suite is run.
type Options struct {
	Only  string    // only scenarios whose name contains it
	Seeds int       // each in so many worlds; the worst verdict counts
	Trace io.Writer // the course of each world; nil: none
}

// RunFolder loads and runs one scenario; what cannot be read fails.
func RunFolder(dir string, o Options) Verdict {
	s, err := Load(dir)
	if err != nil {
		return Verdict{Fail, err.Error()}
	}
	worst := Verdict{Word: Pass}
	for seed := range uint64(max(1, o.Seeds)) {
		if v := Run(s, seed+1, o.Trace); badness(v) > badness(worst) {
			worst = v
			if o.Seeds > 1 {
				worst.Reason += fmt.Sprintf(" (seed %d)", seed+1)
			}
		}
	}
	return worst
}

func badness(v Verdict) int { return slices.Index([]string{Pass, Differs, Waiting, Fail}, v.Word) }

// RunAll runs the scenarios of a folder one after the other and tells of each.
func RunAll(dir string, o Options, tell func(name string, v Verdict)) (Count, error) {
	folders, err := Folders(dir)
	if err != nil {
		return Count{}, err
	}
	var c Count
	for _, f := range folders {
		if !strings.Contains(filepath.Base(f), o.Only) {
			continue
		}
		v := RunFolder(f, o)
		switch v.Word {
		case Pass:
			c.Pass++
		case Waiting:
			c.Waiting++
		case Differs:
			c.Differs++
		default:
			c.Fail++
		}
		tell(filepath.Base(f), v)
	}
	return c, nil
}
