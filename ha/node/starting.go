package node

import (
	"cmp"
	"time"

	"bascule/ha"
)

// chain is the way of a start: each step leads to the next, a failure counts as an attempt.
func (m *machine) chain(g *Guest, rec ha.GuestRecord, e StepDone) {
	j := &g.Job
	switch {
	case rec.Move != nil && e.Step == StepVerify && e.Outcome == Failed: // its target is gone
		m.migrated(g, rec, e)
		return
	case rec.Move != nil && e.Step == StepUnlock:
		m.migrated(g, rec, StepDone{Outcome: Failed, Message: j.MoveError})
		return
	}
	if e.Outcome == Failed || e.Outcome == NotRunning {
		m.attemptFailed(g, e)
		return
	}
	if e.Outcome == ConfigGone || e.Outcome == Elsewhere {
		j.Step, j.Failure, j.MoveError = StepScan, "", ""
		j.Gone = e.Outcome == ConfigGone && e.Step == StepClaim // a start that misses it has not looked elsewhere
		g.Seen.ConfigHere = false
		return
	}
	switch e.Step {
	case StepVerify:
		j.Step = StepUnlock
		if rec.Move != nil && rec.Move.Stop {
			j.Step = StepStop
		} else if rec.Move != nil {
			j.Step = StepMigrate
		} else if !g.Seen.ConfigHere {
			j.Step = StepClaim
		}
	case StepClaim:
		g.Seen.ConfigHere, g.Seen.At = true, m.now
		j.Step = StepUnlock
		if rec.Requested != ha.RequestedStarted {
			j.Step = StepNone
		}
	case StepUnlock:
		j.Step = StepStorages
	case StepStorages:
		j.Step = StepRecheck
	case StepRecheck:
		j.Step = StepStart
		if g.Seen.Refused {
			j.Step = StepNone
		}
	case StepStart:
		j.Step = StepConfirm
	case StepConfirm:
		j.Step, j.Failure, j.Since = StepNone, "", 0
		g.Seen.Running, g.Seen.At = true, m.now
		j.RunningAt = m.now
		m.report(rec.ID, g, rec.Generation, ha.PhaseRunning, "")
	}
}

// attemptFailed tries again with back-off (1, 2, 4 … s), and gives the guest up here after MaxRestart.
func (m *machine) attemptFailed(g *Guest, e StepDone) {
	j := &g.Job
	j.Attempts++
	j.Failure, j.Since = e.Message, 0
	g.Seen.At = m.now
	if j.Attempts > m.c.MaxRestart {
		j.Step = StepScan
		return
	}
	j.Step = StepNone
	j.NotBefore = m.now.Add(time.Second << min(j.Attempts-1, 4))
	g.Written = ha.GuestReport{} // so that it is tried again and not asked why it stopped
}

// cause answers why a guest that ran is not running.
func (m *machine) cause(g *Guest, rec ha.GuestRecord, e StepDone) {
	j := &g.Job
	j.Step = StepNone
	switch e.Outcome {
	case ByUser:
		r := ha.GuestReport{Guest: rec.ID, Node: m.c.Self, Incarnation: m.c.Incarnation, Generation: rec.Generation, Phase: ha.PhaseStopped, Message: e.Message, ByOperator: true}
		m.write(g, r)
	case Passing:
		j.Step, j.NotBefore, j.Waited = StepCause, m.now.Add(causePause), 0
	case Passed: // what stopped it may start it again; if not, a failed backup or migration has left it down
		j.Waited = cmp.Or(j.Waited, m.now)
		if m.now.Sub(j.Waited) < passedPatience {
			j.Step, j.NotBefore = StepCause, m.now.Add(causePause)
			return
		}
		j.Waited = 0
		m.attemptFailed(g, StepDone{Message: "stopped by " + e.Message + ", which is over, and nothing started it again"})
	default:
		m.attemptFailed(g, StepDone{Message: "it stopped by itself: " + e.Message})
	}
}
