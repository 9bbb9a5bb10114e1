package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

// Deadlines of a step's outside work. A start that takes longer is left running and looked at again.
const (
	stepTimeout    = 30 * time.Second
	startTimeout   = 5 * time.Minute
	migrateTimeout = time.Hour
	confirmEvery   = 100 * time.Millisecond
	confirmFor     = 10 * time.Second
)

// do carries out one step on a guest and answers with its outcome. Errors become words for the operator.
func (a *Agent) do(ctx context.Context, d node.Do) {
	log := a.log.WithField("guest", int(d.Guest)).WithField("step", string(d.Step))
	begin := time.Now()
	c, cancel := context.WithTimeout(ctx, timeoutOf(d.Step))
	defer cancel()
	out, msg := a.step(c, d)
	log = log.WithField("took", time.Since(begin).Round(time.Millisecond).String())
	switch out {
	case node.Done:
		log.Info("step done")
	case node.Transient, node.NotMine:
		log.WithField("reason", msg).Debug("step not done yet")
	default:
		log.WithField("reason", msg).Warnf("step ended: %s", out)
	}
	a.send(ctx, node.StepDone{Guest: d.Guest, Seq: d.Seq, Step: d.Step, Outcome: out, Message: msg})
	switch d.Step {
	case node.StepClaim, node.StepMigrate, node.StepStop, node.StepKill, node.StepOnboot, node.StepRestore, node.StepConfirm:
		a.LookNow()
	}
}

func timeoutOf(s node.StepName) time.Duration {
	switch s {
	case node.StepStart:
		return startTimeout
	case node.StepMigrate, node.StepStop:
		return migrateTimeout
	}
	return stepTimeout
}

func (a *Agent) step(ctx context.Context, d node.Do) (node.Outcome, string) {
	p := a.cfg.Proxmox
	switch d.Step {
	case node.StepVerify, node.StepRecheck:
		return a.verify(ctx, d)
	case node.StepExpect:
		if err := a.syncGuard(ctx, &ha.GuestRef{ID: d.Guest, Kind: d.Kind}); err != nil {
			return node.Transient, "the guard does not answer: " + err.Error()
		}
		return node.Done, ""
	case node.StepSettle:
		return a.settle(d)
	case node.StepClaim:
		return a.claim(ctx, d)
	case node.StepUnlock:
		lock, err := p.ClearLock(ctx, d.Guest, d.Kind)
		if lock != "" {
			a.log.WithField("guest", int(d.Guest)).WithField("reason", "left over by its former node").Infof("lock %q cleared", lock)
		}
		return outcome(err)
	case node.StepStorages:
		return a.storages(ctx, d)
	case node.StepStart:
		a.noteGeneration(d.Guest, d.Record.Generation)
		if !a.Lease().Valid(a.cfg.Now()) {
			return node.Transient, "the permit ended"
		}
		return outcome(p.Start(ctx, d.Guest, d.Kind))
	case node.StepConfirm:
		return a.confirm(ctx, d)
	case node.StepCause:
		return a.cause(ctx, d)
	case node.StepStop:
		return outcome(p.Stop(ctx, d.Guest, d.Kind))
	case node.StepMigrate:
		return a.migrate(ctx, d)
	case node.StepKill, node.StepScan:
		return a.remains(d)
	case node.StepOnboot:
		return a.takeOnboot(ctx, d)
	case node.StepRestore:
		return a.giveOnboot(ctx, d)
	}
	return node.Failed, fmt.Sprintf("unknown step %q", d.Step)
}

// outcome turns a Proxmox error into the machine's word.
func outcome(err error) (node.Outcome, string) {
	switch {
	case err == nil:
		return node.Done, ""
	case errors.Is(err, ha.ErrConfigGone):
		return node.ConfigGone, err.Error()
	case errors.Is(err, ha.ErrNoQuorum), errors.Is(err, ha.ErrStillRunning), errors.Is(err, ha.ErrTryAgain),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return node.Transient, err.Error()
	}
	return node.Failed, err.Error()
}

// verify is R5's test: a linearizable read says that the guest is ours in this generation and incarnation, the permit is valid now, and
// the guard knows that it has to end this guest when the permit ends.
func (a *Agent) verify(ctx context.Context, d node.Do) (node.Outcome, string) {
	c, cancel := context.WithTimeout(ctx, a.cfg.Node.Timing.LeaseTTL)
	defer cancel()
	kv, _, err := a.cfg.Store.Get(c, ha.KeyGuest(d.Guest))
	if err != nil {
		return node.Transient, err.Error()
	}
	var rec ha.GuestRecord
	if kv == nil || json.Unmarshal(kv.Value, &rec) != nil {
		return node.NotMine, "the record is gone"
	}
	n := a.cfg.Node
	if rec.Node != n.Self || rec.Incarnation != n.Incarnation || rec.Generation != d.Record.Generation || (rec.Move == nil) != (d.Record.Move == nil) {
		return node.NotMine, fmt.Sprintf("assigned to %s in generation %d", rec.Node, rec.Generation)
	}
	switch rec.State {
	case ha.GuestRecovery, ha.GuestFence, ha.GuestFrozen, ha.GuestError:
		return node.NotMine, fmt.Sprintf("its state is %s: %s", rec.State, rec.Reason)
	}
	if err := a.syncGuard(ctx, &ha.GuestRef{ID: d.Guest, Kind: d.Kind}); err != nil {
		return node.Transient, "the guard does not answer: " + err.Error()
	}
	if !a.Lease().Valid(a.cfg.Now()) {
		return node.Transient, "the permit ended"
	}
	switch {
	case rec.Move != nil:
		return a.expected(c, rec)
	case d.Step == node.StepRecheck:
		return a.announce(c, rec, kv.ModRev)
	}
	return node.Done, ""
}

// expected says whether a move's target has told its guard of the guest; before that nothing of it may run there (R2).
func (a *Agent) expected(ctx context.Context, rec ha.GuestRecord) (node.Outcome, string) {
	kv, _, err := a.cfg.Store.Get(ctx, ha.KeyGuestReport(rec.Move.Target, rec.ID))
	if err != nil {
		return node.Transient, err.Error()
	}
	var rep ha.GuestReport
	if kv == nil || json.Unmarshal(kv.Value, &rep) != nil || rep.Generation != rec.Generation || rep.Incarnation != rec.Move.Inc || rep.Phase != ha.PhaseExpecting {
		return node.Transient, "waiting for " + string(rec.Move.Target) + " to expect it"
	}
	return node.Done, ""
}

// announce commits "starting" in one transaction with what the start rests on: the record is unchanged, and this node is not being
// fenced nor proven dead. From then on the leader knows of a holder that did not let go (persist before acting).
func (a *Agent) announce(ctx context.Context, rec ha.GuestRecord, rev int64) (node.Outcome, string) {
	self := a.cfg.Node.Self
	kv, _, err := a.cfg.Store.Get(ctx, ha.KeyNode(self))
	if err != nil {
		return node.Transient, err.Error()
	}
	var own ha.NodeRecord
	if kv == nil || json.Unmarshal(kv.Value, &own) != nil {
		return node.Transient, "this node has no record yet"
	}
	dead := slices.ContainsFunc(own.Proofs, func(p ha.Proof) bool { return p.Incarnation() == a.cfg.Node.Incarnation })
	if dead || own.State == ha.NodeFencing || own.State == ha.NodeFenced || own.Incarnation != a.cfg.Node.Incarnation {
		return node.NotMine, fmt.Sprintf("this node is %s: %s", own.State, own.Reason)
	}
	rep := ha.GuestReport{Guest: rec.ID, Node: self, Incarnation: a.cfg.Node.Incarnation, Generation: rec.Generation, Phase: ha.PhaseStarting}
	t := ha.Txn{Guards: []ha.Guard{{Key: ha.KeyGuest(rec.ID), Rev: rev}, {Key: ha.KeyNode(self), Rev: kv.ModRev}},
		Puts: []ha.Put{{Key: ha.KeyGuestReport(self, rec.ID), Value: ha.Encode(rep)}}}
	newer, err := a.cfg.Store.Commit(ctx, t)
	a.reports.settled(t, newer, err)
	if err != nil {
		return node.Transient, err.Error()
	}
	return node.Done, ""
}

// settle waits until no worker of a guest is left here.
func (a *Agent) settle(d node.Do) (node.Outcome, string) {
	procs, err := a.cfg.Processes.Find([]ha.GuestRef{{ID: d.Guest, Kind: d.Kind}})
	if err != nil {
		return node.Transient, err.Error()
	}
	for _, p := range procs {
		if p.What == "worker" {
			return node.Transient, fmt.Sprintf("worker %d still runs", p.PID)
		}
	}
	return node.Done, ""
}

// claim takes the config over from the proven nodes that may have it, in the order of the record.
func (a *Agent) claim(ctx context.Context, d node.Do) (node.Outcome, string) {
	at, err := a.cfg.Proxmox.ConfigAt(ctx, d.Guest, d.Kind)
	if err != nil {
		return node.Transient, err.Error()
	}
	if at == a.cfg.Node.Self {
		return node.Done, ""
	}
	for _, from := range d.Record.ConfigFrom {
		if from == at && !a.runsAt(from, d.Guest) {
			return outcome(a.cfg.Proxmox.Claim(ctx, d.Guest, d.Kind, from))
		}
	}
	if at == "" {
		a.mu.Lock()
		quorate := a.corosync.Quorate
		a.mu.Unlock()
		if !quorate {
			return node.Transient, "no config found, but this node has no corosync quorum"
		}
		return node.ConfigGone, fmt.Sprintf("no node's directory has the config of %s", d.Kind.Label(d.Guest))
	}
	return node.Elsewhere, fmt.Sprintf("the config of %s lies under %s, which nobody proved dead", d.Kind.Label(d.Guest), at)
}

// runsAt says whether a registered node reports that the guest runs there: somebody started it by hand, and it is not taken from under it.
func (a *Agent) runsAt(n ha.NodeName, id ha.VMID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, lease := a.view.Leases[n]
	return lease && slices.ContainsFunc(a.view.Reports[n].Rec.Guests, func(s ha.GuestSeen) bool { return s.ID == id && s.Running })
}

func (a *Agent) storages(ctx context.Context, d node.Do) (node.Outcome, string) {
	inactive, err := a.cfg.Proxmox.StoragesActive(ctx, d.Record.Storages)
	if err != nil {
		return outcome(err)
	}
	if len(inactive) > 0 {
		return node.Failed, "storage not active on " + string(a.cfg.Node.Self) + ": " + strings.Join(inactive, ", ")
	}
	return node.Done, ""
}

// confirm waits until status/current says running, the only truth about that.
func (a *Agent) confirm(ctx context.Context, d node.Do) (node.Outcome, string) {
	end := time.Now().Add(confirmFor)
	for {
		running, err := a.cfg.Proxmox.Running(ctx, d.Guest, d.Kind)
		if err == nil && running {
			return node.Done, ""
		}
		if time.Now().After(end) {
			if err != nil {
				return node.NotRunning, err.Error()
			}
			return node.NotRunning, "the start task ended well, but the guest is not running"
		}
		select {
		case <-ctx.Done():
			return node.Transient, ctx.Err().Error()
		case <-time.After(confirmEvery):
		}
	}
}

// cause asks Proxmox why a guest stopped; a guest that turns out to run is none of that.
func (a *Agent) cause(ctx context.Context, d node.Do) (node.Outcome, string) {
	if running, err := a.cfg.Proxmox.Running(ctx, d.Guest, d.Kind); err != nil || running {
		return node.Passing, "it runs, or Proxmox does not answer"
	}
	c, detail, err := a.cfg.Proxmox.StopCause(ctx, d.Guest, time.Now().Add(-10*time.Minute))
	switch {
	case err != nil:
		return node.Transient, err.Error()
	case c == ha.CauseUser:
		return node.ByUser, detail
	case c == ha.CausePassing:
		return node.Passing, detail
	}
	return node.Done, detail
}

// migrate moves a guest away, which starts it elsewhere: so it is verified like a start. The store must still want this move, and the
// target must be in the boot that the move names, the only one that is a holder.
func (a *Agent) migrate(ctx context.Context, d node.Do) (node.Outcome, string) {
	c, cancel := context.WithTimeout(ctx, a.cfg.Node.Timing.LeaseTTL)
	defer cancel()
	var rec ha.GuestRecord
	var lease ha.LeaseRecord
	if err := a.read(c, ha.KeyGuest(d.Guest), &rec); err != nil {
		return node.Transient, err.Error()
	}
	m := d.Record.Move
	if rec.Generation != d.Record.Generation || rec.Move == nil || *rec.Move != *m {
		return node.NotMine, fmt.Sprintf("the move to %s is not wanted any more", m.Target)
	}
	if err := a.read(c, ha.KeyLease(m.Target), &lease); err != nil {
		return node.Transient, err.Error()
	}
	if lease.Incarnation != m.Inc {
		return node.Failed, fmt.Sprintf("%s is not in the boot any more that %s was to be moved to", m.Target, d.Kind.Label(d.Guest))
	}
	return outcome(a.cfg.Proxmox.Migrate(ctx, d.Guest, d.Kind, m.Target, m.Live))
}

// read is a linearizable read of a record; one that is gone or unreadable leaves it zero.
func (a *Agent) read(ctx context.Context, key string, rec any) error {
	kv, _, err := a.cfg.Store.Get(ctx, key)
	if err == nil && kv != nil {
		_ = json.Unmarshal(kv.Value, rec) // a zero record allows nothing
	}
	return err
}

// remains looks for processes of a guest and, for a kill, ends them; workers first, or they start it again.
func (a *Agent) remains(d node.Do) (node.Outcome, string) {
	procs, err := a.cfg.Processes.Find([]ha.GuestRef{{ID: d.Guest, Kind: d.Kind}})
	if err != nil {
		return node.Unclean, err.Error()
	}
	if d.Step == node.StepScan {
		if len(procs) > 0 {
			return node.Unclean, fmt.Sprintf("%d processes of %s are left, first PID %d (%s)", len(procs), d.Kind.Label(d.Guest), procs[0].PID, procs[0].What)
		}
		return node.Done, ""
	}
	for _, workers := range []bool{true, false} {
		for _, p := range procs {
			if (p.What == "worker") == workers && (!p.Incoming || d.Hard) {
				if err := a.cfg.Processes.Kill(p); err != nil {
					return node.Unclean, err.Error()
				}
			}
		}
	}
	return node.Done, ""
}

// takeOnboot keeps the old value in the store before it sets onboot to 0.
func (a *Agent) takeOnboot(ctx context.Context, d node.Do) (node.Outcome, string) {
	put := ha.Put{Key: ha.KeyOnboot(d.Guest), Value: ha.Encode(ha.OnbootRecord{Guest: d.Guest, Old: true})}
	if _, err := a.cfg.Store.Commit(ctx, ha.Txn{Puts: []ha.Put{put}}); err != nil {
		return node.Transient, err.Error()
	}
	return outcome(a.cfg.Proxmox.SetOnboot(ctx, d.Guest, d.Kind, false))
}

// giveOnboot puts the old value back when a guest is no longer protected.
func (a *Agent) giveOnboot(ctx context.Context, d node.Do) (node.Outcome, string) {
	if err := a.cfg.Proxmox.SetOnboot(ctx, d.Guest, d.Kind, true); err != nil {
		return outcome(err)
	}
	if _, err := a.cfg.Store.Commit(ctx, ha.Txn{Dels: []string{ha.KeyOnboot(d.Guest)}}); err != nil {
		return node.Transient, err.Error()
	}
	return node.Done, ""
}
