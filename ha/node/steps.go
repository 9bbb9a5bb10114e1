package node

import (
	"fmt"

	"bascule/ha"
)

// begin hands out a step. Starting steps are bounded in number; a guest that must wait is tried again when another ends.
func (m *machine) begin(id ha.VMID, g *Guest, rec ha.GuestRecord, step StepName) {
	g.Job.Step = step
	if step == StepRecheck && m.starting(id)+m.soonBefore(id) >= max(1, m.c.ParallelStarts) {
		m.wakeAt(m.now.Add(transientPause))
		return
	}
	g.Job.InFlight, g.Job.Generation = true, rec.Generation
	g.Job.Seq++
	kind := rec.Kind
	m.out = append(m.out, Do{Guest: id, Kind: kind, Seq: g.Job.Seq, Step: step, Record: rec, Hard: g.Job.Kills > hardKillAfter || rec.State == ha.GuestRecovery})
	switch step {
	case StepMigrate:
		g.Job.Target, g.Job.TargetInc = rec.Move.Target, rec.Move.Inc
		m.report(id, g, rec.Generation, ha.PhaseMigrating, "")
	case StepVerify:
		if g.Job.Since == 0 {
			g.Job.Since = m.now
		}
		if rec.Move == nil {
			m.report(id, g, rec.Generation, ha.PhaseStarting, g.Job.Failure)
		}
	case StepStop:
		if rec.Move != nil { // announced already; a leader gives up no move that has begun
			m.report(id, g, rec.Generation, ha.PhaseMigrating, "")
			break
		}
		m.report(id, g, rec.Generation, ha.PhaseStopping, "")
	}
}

// resume goes on with the step that a job is at.
func (m *machine) resume(id ha.VMID, g *Guest, rec ha.GuestRecord) {
	switch g.Job.Step {
	case StepCause:
		if g.Seen.Running {
			g.Job.Step = StepNone
			return
		}
		m.begin(id, g, rec, StepCause)
	case StepScan, StepKill, StepAbort, StepSettle, StepStop, StepOnboot, StepRestore: // need no permit: they start nothing
		m.begin(id, g, rec, g.Job.Step)
	default:
		if m.mayAct() {
			m.begin(id, g, rec, g.Job.Step)
			return
		}
		switch g.Job.Step { // what was verified is old when the way is free again
		case StepStart:
			g.Job.Step = StepRecheck
		case StepMigrate:
			g.Job.Step = StepVerify
		}
	}
}

// stepDone takes in an answer. Answers of older jobs or generations are dropped.
func (m *machine) stepDone(e StepDone) {
	g, ok := m.s.Guests[e.Guest]
	if !ok || !g.Job.InFlight || g.Job.Seq != e.Seq || g.Job.Step != e.Step {
		return
	}
	g.Job.InFlight = false
	rec := m.s.Records[e.Guest]
	if rec.Generation != g.Job.Generation { // assigned anew meanwhile: the drive looks afresh
		g.Job.Step = StepNone
		g.Seen.At = m.now
		if e.Step == StepStart || e.Step == StepConfirm || e.Step == StepClaim {
			g.Seen.ConfigHere = g.Seen.ConfigHere || e.Step == StepClaim && e.Outcome == Done
		}
		m.s.Guests[e.Guest] = g
		return
	}
	switch {
	case e.Outcome == Transient && e.Step == StepMigrate: // it may run: asking again would meet its own lock
		g.Job.Step, g.Job.NotBefore = StepSettle, m.now.Add(transientPause)
		g.Job.MoveError = e.Message
	case e.Step == StepStop && rec.Move != nil: // whatever became of it, the scan tells, and what is left is killed
		m.advance(&g, rec, e)
	case e.Outcome == Working && e.Step == StepStart: // it goes on: whether the guest runs is all that counts now
		g.Job.Step = StepConfirm
	case e.Outcome == Transient && m.hopeless(g.Job, rec):
		m.attemptFailed(&g, StepDone{Message: fmt.Sprintf("not possible here for %v: %s", hopelessAfter, e.Message)})
		g.Job.Step = StepScan // another node may be able to
	case e.Outcome == Transient:
		if e.Step != StepSettle {
			g.Job.Failure = e.Message
		}
		g.Job.NotBefore = m.now.Add(transientPause)
		if e.Step == StepStart { // what was verified is old by then
			g.Job.Step = StepRecheck
		}
	case e.Outcome == NotMine:
		g.Job.Step, g.Job.NotBefore = StepNone, m.now.Add(transientPause)
	default:
		m.advance(&g, rec, e)
	}
	m.s.Guests[e.Guest] = g
}

// advance moves a job to its next step.
func (m *machine) advance(g *Guest, rec ha.GuestRecord, e StepDone) {
	j := &g.Job
	j.NotBefore = 0
	switch e.Step {
	case StepVerify, StepClaim, StepUnlock, StepStorages, StepRecheck, StepStart, StepConfirm:
		m.chain(g, rec, e)
	case StepCause:
		m.cause(g, rec, e)
	case StepStop:
		j.Step = StepNone
		g.Seen.Running = g.Seen.Running && e.Outcome != Done
		g.Seen.At = m.now
		if rec.Move != nil {
			j.Step, j.Failure = StepScan, "its storage is lost here"
			return
		}
		if e.Outcome != Done {
			j.NotBefore = m.now.Add(causePause)
		}
	case StepMigrate:
		m.migrated(g, rec, e)
	case StepAbort:
		j.NotBefore = m.now.Add(transientPause)
		if e.Outcome == Done {
			j.Step = StepSettle
		}
	case StepSettle:
		if g.Seen.ConfigHere && rec.Move != nil { // a move that was cut short leaves its lock
			j.Step = StepUnlock
			return
		}
		m.migrated(g, rec, StepDone{Outcome: Failed, Message: j.MoveError})
	case StepExpect:
		j.Step = StepNone
		if e.Outcome == Done {
			m.report(rec.ID, g, rec.Generation, ha.PhaseExpecting, "")
		} else {
			j.NotBefore = m.now.Add(transientPause)
		}
	case StepKill:
		j.Step, j.Kills = StepScan, j.Kills+1
		g.Seen.Running, g.Seen.At = false, m.now
	case StepScan:
		m.scanned(g, rec, e)
	case StepOnboot, StepRestore:
		j.Step = StepNone
		j.NotBefore = m.now.Add(causePause)
		if e.Outcome == Done && e.Step == StepOnboot {
			j.NotBefore = 0
			g.Seen.Onboot = false
			g.Seen.At = m.now
		}
	}
}
