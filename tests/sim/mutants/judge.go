package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// finding is what a hunter prints.
type finding struct {
	Seed   uint64
	Tried  int
	Rule   string
	At     string
	Text   string
	Faults []string
	Other  []string
}

// verdict is what became of one mutant.
type verdict struct {
	m      Mutant
	caught bool
	tried  int
	by     finding
	err    error
}

func (v verdict) String() string {
	switch {
	case v.err != nil:
		return fmt.Sprintf("%s: NOT TRIED: %v", v.m.Name, v.err)
	case !v.caught:
		s := fmt.Sprintf("%s: MISSED in %d seeds (%s: %s)", v.m.Name, v.tried, v.m.Rule, v.m.Breaks)
		for _, o := range v.by.Other {
			s += "\n    did not count: " + o
		}
		return s
	}
	return fmt.Sprintf("%s → seed %d (%s at %s, %d tried: %s) [%s]", v.m.Name, v.by.Seed, v.by.Rule, v.by.At, v.tried, v.by.Text, strings.Join(v.by.Faults, "; "))
}

// judge builds a mutant and hunts until a seed shows it that shows nothing without it.
func judge(root, dir, clean string, m Mutant, seeds int) verdict {
	v := verdict{m: m}
	changed, err := m.Mutate(root)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	bin := ""
	if err == nil {
		bin, err = build(root, dir, m, changed)
	}
	if err != nil {
		v.err = err
		return v
	}
	if m.Seed != 0 {
		if v.try(bin, clean, m.Seed, 1); v.caught || v.err != nil {
			return v
		}
	}
	for next, end := uint64(1), uint64(seeds)+1; next < end && !v.caught && v.err == nil; next = v.by.Seed + 1 {
		v.try(bin, clean, next, int(end-next))
	}
	return v
}

// try hunts from a seed on; what the clean code breaks too does not count.
func (v *verdict) try(bin, clean string, first uint64, seeds int) {
	f, err := hunt(bin, v.m, first, seeds)
	v.by, v.err, v.tried = f, err, v.tried+f.Tried
	if err != nil || f.Rule == "" {
		return
	}
	same, err := hunt(clean, v.m, f.Seed, 1)
	v.err, v.caught = err, err == nil && same.Rule == ""
}

func hunt(bin string, m Mutant, first uint64, seeds int) (finding, error) {
	look, err := json.Marshal(m.Probe)
	if err != nil {
		return finding{}, fmt.Errorf("mutant %s: %w", m.Name, err)
	}
	// A mutant may run in circles without time going on: that is no catch either.
	limit, cancel := context.WithTimeout(context.Background(), time.Duration(seeds+20)*time.Second)
	defer cancel()
	cmd := exec.CommandContext(limit, bin, "-first", fmt.Sprint(first), "-seeds", fmt.Sprint(seeds), "-rules", strings.Join(m.Counts, ","), "-probe", string(look))
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return crashed(first, errs.String(), err)
	}
	var f finding
	if err := json.Unmarshal(out, &f); err != nil {
		return finding{}, fmt.Errorf("mutant %s: the hunter said %q: %w", m.Name, out, err)
	}
	return f, nil
}

// crashed: a mutant that panics is no proof of the judge's sharp eyes; it is an error of the catalogue.
func crashed(seed uint64, stderr string, err error) (finding, error) {
	if len(stderr) > 600 {
		stderr = stderr[:600]
	}
	return finding{Seed: seed}, fmt.Errorf("the hunter ended (%w): %s", err, stderr)
}
