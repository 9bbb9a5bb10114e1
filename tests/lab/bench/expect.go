package bench

import (
	"fmt"
	"strings"
	"time"

	"bascule/ha"
	"bascule/tests/lab"
)

// expectation is what a way of fencing must show: which proof, and how long guests wait for it at least, reckoned here from the
// timings and not taken from what Bascule says.
type expectation struct {
	proof ha.ProofKind
	wait  time.Duration // 0: the proof waits for nothing but the device
	terms string        // how it comes about
	since string        // from when on it counts, in words
}

func expect(o lab.Options) (expectation, error) {
	t, err := o.Timings()
	if err != nil {
		return expectation{}, err
	}
	switch o.Fencing {
	case lab.SBD:
		return expectation{
			proof: ha.PoisonPill, wait: lab.MsgWait, since: "the message was written",
			terms: fmt.Sprintf("msgwait, twice the watchdog time of %v", t.WatchdogTimeout),
		}, nil
	case lab.Watchdog:
		return expectation{
			proof: ha.SelfFenceElapsed, wait: t.SelfFence(), since: "its lease was last seen",
			terms: fmt.Sprintf("W = permit_grace %v + kill_time %v + watchdog_timeout %v + self_fence_margin %v", t.PermitGrace, t.KillTime, t.WatchdogTimeout, t.SelfFenceMargin),
		}, nil
	}
	return expectation{proof: ha.PowerOffConfirmed}, nil
}

// lost is what was seen of the loss of a node. All moments are of this machine's wall clock.
type lost struct {
	cut    time.Time
	proof  string    // the reason with which the node became fenced
	lease  time.Time // when the victim's lease was last seen to stand
	pill   time.Time // when something was first written to the shared disk
	first  time.Time // the first guest's first line elsewhere
	all    time.Time // the last one's
	downed bool      // the victim has no power at the end
}

// judge says what was seen, or what of it must not be.
func (e expectation) judge(o lab.Options, l lost) (text, result string, err error) {
	result = fmt.Sprintf("RESULT fencing=%s proof=%s first=%.2f all=%.2f", o.Fencing, e.proof, l.first.Sub(l.cut).Seconds(), l.all.Sub(l.cut).Seconds())
	if !strings.HasPrefix(l.proof, string(e.proof)) {
		return "", "", fmt.Errorf("the node was fenced by %q; this lab was to show %s", l.proof, e.proof)
	}
	since := l.lease
	if o.Fencing == lab.SBD {
		since = l.pill
		if !l.downed {
			return "", "", fmt.Errorf("the node has not obeyed its message: it still has power")
		}
	}
	if e.wait == 0 {
		return fmt.Sprintf("proven by %s; the first guest ran %.2f s after the loss, the last %.2f s", e.proof, l.first.Sub(l.cut).Seconds(), l.all.Sub(l.cut).Seconds()), result, nil
	}
	if since.IsZero() {
		return "", "", fmt.Errorf("it was not seen when %s: nothing can be said about the wait", e.since)
	}
	waited := l.first.Sub(since)
	text = fmt.Sprintf("proven by %s; the first guest ran %.2f s after %s; derived: not before %.2f s (%s)", e.proof, waited.Seconds(), e.since, e.wait.Seconds(), e.terms)
	if waited < e.wait {
		return "", "", fmt.Errorf("TOO EARLY: %s", text)
	}
	return text, result + fmt.Sprintf(" waited=%.2f derived=%.2f", waited.Seconds(), e.wait.Seconds()), nil
}
