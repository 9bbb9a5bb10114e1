package node

import (
	"cmp"
	"fmt"
	"time"

	"bascule/ha"
)

// migrated notes how the move ended; where the guest is now is looked at afresh.
func (m *machine) migrated(g *Guest, rec ha.GuestRecord, e StepDone) {
	j := &g.Job
	j.Step, j.MoveDone, j.MoveError, j.Fresh = StepNone, rec.Generation, "", m.now
	if e.Outcome != Done {
		j.MoveError = e.Message
	}
}

// scanned ends in a report that nothing is left, or in the end of what is left.
func (m *machine) scanned(g *Guest, rec ha.GuestRecord, e StepDone) {
	j := &g.Job
	if e.Outcome == Working && j.Failure == "" { // somebody's own migration, perhaps: its end is near, and a killed worker leaves a lock
		j.Waited = cmp.Or(j.Waited, m.now)
		if m.now.Sub(j.Waited) < workerPatience {
			j.NotBefore = m.now.Add(killPause)
			return
		}
	}
	if e.Outcome != Done && j.Kills == 0 && j.Failure == "" && (j.Asked == 0 || g.Seen.At < j.Asked || !m.s.Quorate) {
		// It may have come here with its config since the last look: nothing is ended before a newer one.
		j.Step, j.Asked, j.Fresh, j.NotBefore = StepNone, m.now, m.now, m.now.Add(killPause)
		m.out = append(m.out, Look{})
		return
	}
	if e.Outcome != Done {
		j.Step = StepKill
		if j.Kills > 0 { // what does not die at once is given time
			j.NotBefore = m.now.Add(killPause)
		}
		if rec.Move != nil && j.Kills >= tellKills {
			m.report(rec.ID, g, rec.Generation, ha.PhaseMigrating, "it does not end although it was killed: "+e.Message+"; nothing is started elsewhere before")
			j.NotBefore = m.now.Add(slowKillPause)
		}
		if g.Seen.ConfigHere && g.Job.Failure == "" { // ours and not a failed start: leave it to the next look
			j.Step, j.NotBefore = StepNone, m.now.Add(time.Second)
		}
		return
	}
	j.Step, j.Kills, j.Waited, j.Asked = StepNone, 0, 0, 0
	failed := rec.Node == m.c.Self && rec.Move == nil && j.Failure != ""
	phase, msg := ha.PhaseReleased, e.Message
	if failed {
		phase, msg = ha.PhaseFailed, fmt.Sprintf("%s (attempt %d)", j.Failure, j.Attempts)
	}
	r := ha.GuestReport{Guest: rec.ID, Node: m.c.Self, Incarnation: m.c.Incarnation, Generation: rec.Generation, Phase: phase, Message: msg, Restarts: j.Attempts}
	r.ConfigGone = phase == ha.PhaseReleased && j.Gone
	m.write(g, r)
}
