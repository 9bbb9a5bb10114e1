package node

import (
	"slices"
	"time"

	"bascule/ha"
)

const (
	arrivalPause   = 500 * time.Millisecond
	transientPause = 300 * time.Millisecond
	causePause     = 5 * time.Second
	killPause      = time.Second
	stalledFor     = 10 * time.Second
	hopelessAfter  = 45 * time.Second
	workerPatience = time.Minute
	passedPatience = time.Minute // that what stopped a guest in passing has, after its own end, until the guest runs again
	heldUpAfter    = 5 * time.Second
	tellKills      = 5               // rounds of killing after which people hear of a process that does not end
	slowKillPause  = 5 * time.Second // between rounds after that
	hardKillAfter  = 5               // rounds of killing after which a process that waits for a migration goes, too
	steadyAfter    = 5 * time.Minute // running so long, old failures are forgotten
)

// drive decides what one guest needs from this node now.
func (m *machine) drive(id ha.VMID, g *Guest) {
	rec, has := m.s.Records[id]
	m.abandon(g)
	if g.Job.InFlight || g.Seen.At < g.Job.Fresh {
		return
	}
	if m.now < g.Job.NotBefore {
		m.wakeAt(g.Job.NotBefore)
		return
	}
	switch {
	case !has:
		m.unrecorded(id, g)
	case m.s.Epoch.WentBack || rec.Epoch != m.s.Epoch.Taken: // what it says may be of another life of the store (R8)
	case rec.Node == m.c.Self && rec.Incarnation == m.c.Incarnation && rec.Move != nil:
		m.moveAway(id, g, rec)
	case rec.Node == m.c.Self && rec.Incarnation == m.c.Incarnation:
		m.assigned(id, g, rec)
	case rec.Move != nil && rec.Move.Target == m.c.Self && rec.Move.Inc == m.c.Incarnation:
		m.arriving(id, g, rec)
	default:
		m.foreign(id, g, rec)
	}
}

// abandon gives a move up whose target is proven dead, also when it is no longer ours: its worker may wait for that node for hours.
func (m *machine) abandon(g *Guest) {
	if j := &g.Job; j.InFlight && j.Step == StepMigrate && provenDead(m.s.Nodes[j.Target], j.TargetInc) {
		j.InFlight, j.Seq, j.Step = false, j.Seq+1, StepAbort
		j.MoveError = "its target " + string(j.Target) + " is proven dead"
	}
}

func provenDead(rec ha.NodeRecord, inc ha.Incarnation) bool {
	return slices.ContainsFunc(rec.Proofs, func(p ha.Proof) bool { return p.Incarnation() == inc && p.Complete() })
}

// arriving watches a guest that is being moved here. It never reports it released: its process may come any moment.
func (m *machine) arriving(id ha.VMID, g *Guest, rec ha.GuestRecord) {
	if g.Seen.ConfigHere && g.Seen.Running {
		m.report(id, g, rec.Generation, ha.PhaseRunning, "")
		return
	}
	if g.Written.Generation != rec.Generation || g.Written.Phase != ha.PhaseExpecting && g.Written.Phase != ha.PhaseRunning {
		if m.mayAct() {
			m.begin(id, g, rec, StepExpect)
		}
		return
	}
	if rec.Move.Stop { // it never comes by itself
		return
	}
	if next := g.Seen.At.Add(arrivalPause); m.now < next {
		m.wakeAt(next)
		return
	}
	m.out = append(m.out, Look{})
	m.wakeAt(m.now.Add(arrivalPause))
}

// unrecorded treats a guest that the leader does not (or no longer) protect.
func (m *machine) unrecorded(id ha.VMID, g *Guest) {
	g.Written = ha.GuestReport{}
	if _, kept := m.s.Onboot[id]; kept && g.Seen.ConfigHere && !g.Seen.Protected {
		m.begin(id, g, ha.GuestRecord{ID: id, Kind: g.Seen.Kind}, StepRestore)
	}
}

// assigned makes a guest of ours be what is requested.
func (m *machine) assigned(id ha.VMID, g *Guest, rec ha.GuestRecord) {
	if g.Job.Generation != rec.Generation {
		g.Job = Job{Generation: rec.Generation, Seq: g.Job.Seq + 1, RunningAt: g.Job.RunningAt}
	}
	if rec.State == ha.GuestFrozen || rec.Requested == ha.RequestedIgnored || g.Seen.ConfigHere && g.Seen.Refused || slices.Contains(m.s.Managed, id) {
		return // hands off (R7); the leader thaws it
	}
	if g.Seen.ConfigHere && g.Seen.Onboot && g.Seen.Protected {
		m.begin(id, g, rec, StepOnboot) // nothing but an agent with a permit starts a protected guest
		return
	}
	if g.Job.Step != StepNone {
		m.resume(id, g, rec)
		return
	}
	switch {
	case g.Seen.ConfigHere && g.Seen.Running && (rec.Requested == ha.RequestedDisabled || m.stalled(g)):
		m.begin(id, g, rec, StepStop)
	case g.Seen.ConfigHere && g.Seen.Running:
		m.running(id, g, rec)
	case rec.Requested != ha.RequestedStarted:
		m.keepStopped(id, g, rec)
	case rec.State == ha.GuestError || g.Written.Generation == rec.Generation && g.Written.Phase == ha.PhaseFailed:
		// given up here: only a new assignment, or an operator's own start, changes that
	case g.Written.Generation == rec.Generation && g.Written.Phase == ha.PhaseStopped:
		// a user stopped it and the leader is about to note that
	case !m.s.Lease.Valid(m.now): // the guard ends what ran: nothing to ask about, and it starts again under the next permit
		if !g.Written.Phase.Gone() {
			g.Written = ha.GuestReport{}
		}
	case g.Written.Generation == rec.Generation && g.Written.Phase == ha.PhaseRunning && g.Seen.ConfigHere:
		m.begin(id, g, rec, StepCause)
	default:
		m.takeOver(id, g, rec)
	}
}

// stalled says whether a guest's process has been what a migration left behind for longer than a migration takes to clean up: it is
// ended, and the guest started anew.
func (m *machine) stalled(g *Guest) bool {
	if g.Seen.Stalled == 0 {
		return false
	}
	due := g.Seen.Stalled.Add(stalledFor)
	m.wakeAt(due)
	return m.now >= due
}

// running reports a guest that runs where it should.
func (m *machine) running(id ha.VMID, g *Guest, rec ha.GuestRecord) {
	if g.Job.RunningAt != 0 && m.now.Sub(g.Job.RunningAt) > steadyAfter {
		g.Job.Attempts, g.Job.Failure = 0, ""
	}
	m.report(id, g, rec.Generation, ha.PhaseRunning, g.Job.MoveError)
}

// keepStopped takes the config over if it still lies elsewhere, and reports the guest stopped.
func (m *machine) keepStopped(id ha.VMID, g *Guest, rec ha.GuestRecord) {
	if !g.Seen.ConfigHere {
		m.takeOver(id, g, rec) // also when it was moved or destroyed by hand: then its claim ends in a release
		return
	}
	if g.Written.Generation != rec.Generation || g.Written.Phase != ha.PhaseStopped {
		m.report(id, g, rec.Generation, ha.PhaseStopped, "")
	}
}

// takeOver begins the chain verify, claim, unlock, storages, recheck, start, confirm.
func (m *machine) takeOver(id ha.VMID, g *Guest, rec ha.GuestRecord) {
	if g.Written.Generation == rec.Generation && g.Written.Phase == ha.PhaseReleased && !g.Seen.ConfigHere {
		return // it was moved or destroyed by hand; the leader decides
	}
	if m.mayAct() {
		m.begin(id, g, rec, StepVerify)
	}
}

// mayAct: only under a lease's own permit that a guard enforces, in the store's present epoch, and not in a starting daemon's quiet
// time.
func (m *machine) mayAct() bool {
	l := m.s.Lease
	if !m.s.Guarded || l.Leaving || !l.Acts(m.now) || m.s.Epoch.WentBack || m.s.Epoch.Taken != m.s.Epoch.Known || (l.Phase != LeaseHeld && l.Phase != LeaseRenewing) {
		return false
	}
	if m.now < l.Quiet {
		m.wakeAt(l.Quiet)
		return false
	}
	return true
}

// moveAway carries out a planned move and tells what became of it.
func (m *machine) moveAway(id ha.VMID, g *Guest, rec ha.GuestRecord) {
	if g.Job.Generation != rec.Generation {
		g.Job = Job{Generation: rec.Generation, Seq: g.Job.Seq + 1, RunningAt: g.Job.RunningAt, MoveDone: g.Job.MoveDone}
	}
	switch {
	case rec.Move.Stop && g.Written.Generation == rec.Generation && g.Written.Phase.Gone():
		// it is released, with its config here: the leader assigns it, and until then nothing begins here
	case g.Job.Step != StepNone:
		m.resume(id, g, rec)
	case g.Job.MoveDone != rec.Generation && g.Seen.ConfigHere:
		if m.mayAct() {
			m.begin(id, g, rec, StepVerify)
		}
	case g.Seen.ConfigHere && g.Seen.Running:
		m.report(id, g, rec.Generation, ha.PhaseRunning, orMove(g.Job.MoveError))
	case g.Seen.ConfigHere:
		m.report(id, g, rec.Generation, ha.PhaseStopped, orMove(g.Job.MoveError))
	default:
		m.release(id, g, rec)
	}
}

func orMove(msg string) string {
	if msg == "" {
		return "the move ended, but the guest is still here"
	}
	return msg
}

// foreign treats a guest that is assigned elsewhere. One that runs here without its config has no right to; one
// with its config here was moved by hand, or its move had already ended: it is reported, the leader decides.
func (m *machine) foreign(id ha.VMID, g *Guest, rec ha.GuestRecord) {
	holder := false
	for _, h := range rec.Holders {
		holder = holder || h.Node == m.c.Self && h.Incarnation == m.c.Incarnation
	}
	if g.Job.Generation != rec.Generation {
		g.Job = Job{Generation: rec.Generation, Seq: g.Job.Seq + 1, RunningAt: g.Job.RunningAt}
	}
	switch {
	case g.Job.Step == StepScan || g.Job.Step == StepKill:
		m.resume(id, g, rec)
	case !holder && !g.Seen.Running:
		g.Written = ha.GuestReport{}
	case g.Seen.ConfigHere && g.Seen.Running:
		msg := ""
		if !holder {
			msg = "it runs here although it is assigned to " + string(rec.Node) + ": somebody started it"
		}
		m.report(id, g, rec.Generation, ha.PhaseRunning, msg)
	case g.Seen.Running && !m.s.Quorate: // its config may lie here and not be seen
	case g.Seen.Running && (g.Job.Asked == 0 || g.Seen.At < g.Job.Asked):
		g.Job.Asked, g.Job.Fresh = m.now, m.now // its config may have come with it: nothing is ended before a newer look
		m.out = append(m.out, Look{})
	case g.Seen.Running:
		m.begin(id, g, rec, StepKill)
	case holder:
		m.release(id, g, rec)
	}
}

// release looks for anything left of the guest, unless that was already reported for this generation.
func (m *machine) release(id ha.VMID, g *Guest, rec ha.GuestRecord) {
	if g.Written.Generation == rec.Generation && g.Written.Phase.Gone() {
		return
	}
	m.begin(id, g, rec, StepScan)
}

// report hands out a report when it says something new.
func (m *machine) report(id ha.VMID, g *Guest, gen ha.Generation, p ha.Phase, msg string) {
	r := ha.GuestReport{Guest: id, Node: m.c.Self, Incarnation: m.c.Incarnation, Generation: gen, Phase: p, Message: msg, Restarts: g.Job.Attempts}
	m.write(g, r)
}

func (m *machine) write(g *Guest, r ha.GuestReport) {
	if g.Written != r {
		g.Written = r
		m.out = append(m.out, Report{Report: r})
	}
}
