//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha/setup/doctor"
	"bascule/tests/lab"
)

// fault is something that is broken on purpose, exactly what hactl doctor then finds besides, and how it is put right again.
type fault struct {
	name  string
	apply func() error
	want  []string // "severity id subject"
	heal  func() error
}

// doctorLimit is what all the faults may take together.
const doctorLimit = 25 * time.Minute

// TestDoctor walks one lab through faults, some at a time that have nothing to do with each other: they bring about their findings and no
// others, which vanish with them. What hactl doctor may find is found here, or in faultsNotHere, with the reason.
func TestDoctor(t *testing.T) {
	dir := t.TempDir()
	other := otherVersion(t, dir)
	b := upFor(t, doctorLimit, lab.Options{Unprotected: true, Daemon: replaceable()})
	before := b.findings()
	t.Logf("a healthy lab: %q", before)
	for _, f := range before {
		sev, _, _ := strings.Cut(f, " ")
		_, id, _ := strings.Cut(f, " ")
		// What this machine's own clock and disk are like is no matter of the lab.
		if sev != string(doctor.Info) && !strings.HasPrefix(id, "clock-unsynchronised") && !strings.HasPrefix(id, "timing-too-fast") && !strings.HasPrefix(id, "disk-space") {
			t.Errorf("a healthy lab has %s", f)
		}
	}
	for _, some := range b.faults(other) {
		t.Log(b.walk(some, before))
	}
	b.local(dir)
	for _, k := range doctor.Kinds() {
		if why := faultsNotHere[k.ID]; !b.produced[k.ID] && why == "" {
			t.Errorf("no fault here brings about %s, and faultsNotHere does not say why", k.ID)
		} else if b.produced[k.ID] && why != "" {
			t.Errorf("%s is brought about here; faultsNotHere says %q", k.ID, why)
		}
	}
}

// walk breaks, waits until exactly the expected is found, heals, and waits until it has vanished.
func (b *bed) walk(some []fault, before []string) string {
	b.t.Helper()
	var names, want []string
	for _, f := range some {
		names, want = append(names, f.name), append(want, f.want...)
	}
	slices.Sort(want)
	for _, f := range some {
		b.must(f.apply())
	}
	what := strings.Join(names, "; ")
	appeared := b.within(4*time.Minute, fmt.Sprintf("hactl doctor finds %q after: %s", want, what), b.finds(before, want))
	for _, f := range some {
		b.must(f.heal())
	}
	vanished := b.within(4*time.Minute, "it vanishes after healing: "+what, b.finds(before, nil))
	b.note(want)
	return fmt.Sprintf("%s: found %q after %s, gone %s after it was healed", what, want, appeared, vanished)
}

// note remembers which kinds were brought about.
func (b *bed) note(found []string) {
	if b.produced == nil {
		b.produced = map[string]bool{}
	}
	for _, f := range found {
		b.produced[strings.Fields(f)[1]] = true
	}
}

// finds says whether hactl doctor finds exactly this beside what it found before. What this machine's load changes does not count.
func (b *bed) finds(before, want []string) func(context.Context) error {
	return func(context.Context) error {
		now := b.findings()
		var more []string
		for _, f := range now {
			if !slices.Contains(before, f) && !strings.Contains(f, "timing-too-fast") && !strings.Contains(f, "hardware-too-slow") {
				more = append(more, f)
			}
		}
		if !slices.Equal(more, want) {
			return fmt.Errorf("found %q", more)
		}
		return nil
	}
}

// findings is what hactl doctor on node1 says above ok, sorted.
func (b *bed) findings() []string {
	b.t.Helper()
	return b.parseFindings(b.hactl("node1", "doctor", "-o", "json"))
}

func (b *bed) parseFindings(text string, code int) []string {
	b.t.Helper()
	var r struct {
		Worst    doctor.Severity
		Findings []doctor.Finding
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		b.t.Fatalf("hactl doctor ends with %d: %v\n%s", code, err, text)
	}
	if want := map[doctor.Severity]int{doctor.Critical: 2, doctor.Warning: 1}[r.Worst]; code != want {
		b.t.Errorf("hactl doctor ends with %d, its worst finding is %s", code, r.Worst)
	}
	var out []string
	for _, f := range r.Findings {
		out = append(out, fmt.Sprintf("%s %s %s", f.Severity, f.ID, f.Subject))
	}
	slices.Sort(out)
	return out
}
