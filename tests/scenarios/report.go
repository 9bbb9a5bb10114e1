package scenarios

import (
	"fmt"
	"strings"

	"bascule/tests/sim"
)

// Report is what a run of a scenario showed.
type Report struct {
	Failures    []Failure
	Met         int             // expectations that were met
	Violations  []sim.Violation // of rules that the scenario does not allow
	Transitions []sim.Stored    // up to the scenario's end
}

// Failure is an expectation that was not met.
type Failure struct {
	Line int
	Text string
	Seen string // instead
}

// OK says whether all was as expected.
func (r Report) OK() bool { return len(r.Failures) == 0 && len(r.Violations) == 0 }

// report holds the expectations against what was seen.
func (r *run) report() Report {
	rep := Report{Violations: r.broken, Transitions: r.scene.Stored()}
	for _, e := range r.s.expects {
		if seen := e.check(r); seen != "" {
			rep.Failures = append(rep.Failures, Failure{e.line, e.text, seen})
		} else {
			rep.Met++
		}
	}
	return rep
}

// String is the report for people: what was expected, what was seen instead, and the transitions that led there.
func (r Report) String() string {
	var b strings.Builder
	for _, v := range r.Violations {
		fmt.Fprintf(&b, "the judge: %s\n", v)
	}
	for _, f := range r.Failures {
		fmt.Fprintf(&b, "line %d: %s\n  seen instead: %s\n", f.Line, f.Text, f.Seen)
	}
	if r.OK() {
		return fmt.Sprintf("%d expectations met, no rule broken\n", r.Met)
	}
	b.WriteString("transitions:\n")
	for _, t := range r.Transitions {
		fmt.Fprintf(&b, "  %9s %s: %s -> %s (%s)\n", clock(t.At), t.Subject, t.From, t.To, t.Reason)
	}
	return b.String()
}
