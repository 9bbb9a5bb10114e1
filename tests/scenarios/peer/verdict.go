package peer

import (
	"fmt"
	"io"
	"strings"
)

// The words of a verdict.
const (
	Pass    = "pass"
	Fail    = "fail"
	Waiting = "waiting"
	Differs = "differs"
)

// Verdict is how a scenario ended, and why.
type Verdict struct {
	Word   string // pass, fail, waiting, differs
	Reason string
}

func (v Verdict) String() string {
	if v.Reason == "" {
		return v.Word
	}
	return v.Word + ": " + v.Reason
}

// Run plays a scenario and compares its end. The seed draws what the data leave open: delays, who leads. trace receives the readable
// course of the world when not nil.
// A panic of the world or of the code that runs in it is a failure of this scenario, not of those that follow.
func Run(s Scenario, seed uint64, trace io.Writer) (v Verdict) {
	defer func() {
		if p := recover(); p != nil {
			v = Verdict{Fail, fmt.Sprintf("panic: %v; the course up to it: peerrun -trace", p)}
		}
	}()
	r, err := startRun(s, seed, trace)
	if err != nil {
		return Verdict{Fail, err.Error()}
	}
	r.play()
	return r.verdict()
}

// verdict judges a run that has ended: safety first, then what the product lacks, then deliberate differences.
func (r *run) verdict() Verdict {
	if len(r.broken) > 0 {
		return Verdict{Fail, fmt.Sprintf("a rule was broken: %s", r.broken[0])}
	}
	diff := r.compare()
	names, open := r.waits(diff)
	why, open := r.excused(open)
	switch {
	case len(open) > 0:
		return Verdict{Fail, texts(open)}
	case len(names) > 0:
		return Verdict{Waiting, strings.Join(names, ", ")}
	case len(why) > 0:
		return Verdict{Differs, strings.Join(why, "; ")}
	}
	return Verdict{Word: Pass}
}
