package lab

import (
	"fmt"
	"time"
)

// Stint is one process of a guest: a writer whose counter grows line by line.
type Stint struct {
	Node        string
	Incarnation string
	Generation  int64
	First, Last time.Time // of its lines
	Lines       int

	counter int64 // of its last line
}

// DoubleRun is a guest that was able to write in two places: an earlier stint wrote after a later one's first line.
type DoubleRun struct {
	VMID           int
	Earlier, Later Stint // as they stood when it was noticed
	At             time.Time
	Lines          int // that the earlier one wrote after the later one's first
}

// String says who wrote when.
func (d DoubleRun) String() string {
	return fmt.Sprintf("guest %d: %s (boot %.8s, generation %d) wrote %d lines after %s (boot %.8s, generation %d) had begun, the first at %s",
		d.VMID, d.Earlier.Node, d.Earlier.Incarnation, d.Earlier.Generation, d.Lines,
		d.Later.Node, d.Later.Incarnation, d.Later.Generation, d.At.Format("15:04:05.000"))
}

// Gap is a time in which nobody wrote.
type Gap struct {
	From, To time.Time
	Before   string // the node that wrote last before it
	After    string
}

// Length of the gap.
func (g Gap) Length() time.Duration { return g.To.Sub(g.From) }

// Report is what the lines of one guest say.
type Report struct {
	VMID    int
	Stints  []Stint
	Doubles []DoubleRun
	Gaps    []Gap
	Damaged int // lines that are not lines
}

// Examine reads a guest's lines in the order in which they were written. Gaps are reported from minGap on.
//
// A line belongs to the stint of its (node, incarnation, generation) whose counter it continues; a counter that starts
// anew is a new process. A guest that moved away and back is no double run; a process that goes on writing after
// another one has begun is, even on its own node.
func Examine(vmid int, lines []Line, minGap time.Duration) Report {
	r := Report{VMID: vmid}
	var last *Line
	for i := range lines {
		line := &lines[i]
		at := r.stintOf(*line)
		if at < len(r.Stints)-1 {
			r.note(at, *line)
		}
		if last != nil && line.At.Sub(last.At) >= minGap {
			r.Gaps = append(r.Gaps, Gap{From: last.At, To: line.At, Before: last.Node, After: line.Node})
		}
		s := &r.Stints[at]
		s.Last, s.counter = line.At, line.Counter
		s.Lines++
		last = line
	}
	return r
}

// stintOf finds the stint that a line continues, or begins one. Of several it takes the one with the nearest counter.
func (r *Report) stintOf(l Line) int {
	best := -1
	for i, s := range r.Stints {
		if s.Node != l.Node || s.Incarnation != l.Incarnation || s.Generation != l.Generation || s.counter >= l.Counter {
			continue
		}
		if best < 0 || s.counter >= r.Stints[best].counter {
			best = i
		}
	}
	if best >= 0 {
		return best
	}
	r.Stints = append(r.Stints, Stint{Node: l.Node, Incarnation: l.Incarnation, Generation: l.Generation, First: l.At})
	return len(r.Stints) - 1
}

// note records that a stint wrote although a later one has begun; one entry per pair.
func (r *Report) note(earlier int, l Line) {
	later := r.Stints[len(r.Stints)-1]
	for i := range r.Doubles {
		d := &r.Doubles[i]
		if d.Earlier.First.Equal(r.Stints[earlier].First) && d.Later.First.Equal(later.First) {
			d.Lines++
			return
		}
	}
	r.Doubles = append(r.Doubles, DoubleRun{VMID: l.VMID, Earlier: r.Stints[earlier], Later: later, At: l.At, Lines: 1})
}

// Check examines every guest that ever wrote, from a moment on (the zero time: from the start).
func (l *Lab) Check(since time.Time, minGap time.Duration) ([]Report, error) {
	ids, err := l.LoggedGuests()
	if err != nil {
		return nil, err
	}
	var out []Report
	for _, id := range ids {
		lines, damaged, _, err := readGuestLog(l.GuestLog(id), 0)
		if err != nil {
			return nil, err
		}
		for len(lines) > 0 && lines[0].At.Before(since) {
			lines = lines[1:]
		}
		r := Examine(id, lines, minGap)
		r.Damaged = damaged
		out = append(out, r)
	}
	return out, nil
}

// DoubleRuns returns every guest that was ever able to write in two places.
func (l *Lab) DoubleRuns() ([]DoubleRun, error) {
	reports, err := l.Check(time.Time{}, time.Hour)
	var out []DoubleRun
	for _, r := range reports {
		out = append(out, r.Doubles...)
	}
	return out, err
}
