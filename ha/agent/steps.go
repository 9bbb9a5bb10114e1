package agent

import (
	"context"
	"errors"
	"fmt"
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
	c, cancel := context.WithTimeout(ctx, timeoutOf(d))
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

func timeoutOf(d node.Do) time.Duration {
	switch d.Step {
	case node.StepStart:
		return startTimeout
	case node.StepStop:
		if d.Record.Move != nil { // it leaves a lost storage: what does not stop is killed
			return stepTimeout
		}
		return migrateTimeout
	case node.StepMigrate:
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
		if err := a.syncGuard(ctx, ha.GuestRef{ID: d.Guest, Kind: d.Kind}); err != nil {
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
		if !a.Lease().Acts(a.cfg.Now()) {
			return node.Transient, "the permit ended"
		}
		return begun(p.Start(ctx, d.Guest, d.Kind))
	case node.StepConfirm:
		return a.confirm(ctx, d)
	case node.StepCause:
		return a.cause(ctx, d)
	case node.StepStop:
		return outcome(p.Stop(ctx, d.Guest, d.Kind))
	case node.StepMigrate:
		return outcome(p.Migrate(ctx, d.Guest, d.Kind, d.Record.Move.Target, d.Record.Move.Live))
	case node.StepKill, node.StepAbort, node.StepScan:
		return a.remains(d)
	case node.StepOnboot:
		return a.takeOnboot(ctx, d)
	case node.StepRestore:
		return a.giveOnboot(ctx, d)
	}
	return node.Failed, fmt.Sprintf("unknown step %q", d.Step)
}

// begun is outcome for a start: one whose end did not come in time goes on by itself.
func begun(err error) (node.Outcome, string) {
	if errors.Is(err, ha.ErrStillRunning) || errors.Is(err, context.DeadlineExceeded) {
		return node.Working, err.Error()
	}
	return outcome(err)
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

// claim takes the config over from the proven nodes that may have it, in the order of the record.
func (a *Agent) claim(ctx context.Context, d node.Do) (node.Outcome, string) {
	at, err := a.cfg.Proxmox.ConfigAt(ctx, d.Guest, d.Kind)
	if err != nil {
		return node.Transient, err.Error()
	}
	a.mu.Lock()
	from, out, msg := a.cfg.Node.ClaimFrom(d.Record, at, &a.view, a.corosync.Quorate)
	a.mu.Unlock()
	if from == "" {
		return out, msg
	}
	return outcome(a.cfg.Proxmox.Claim(ctx, d.Guest, d.Kind, from))
}

// storages says whether the guest's storages can be used here: by this node's own looks, which cost nothing now, then by Proxmox.
func (a *Agent) storages(ctx context.Context, d node.Do) (node.Outcome, string) {
	if name, why := a.lostHere(d.Record.Storages); name != "" {
		return node.Failed, "storage " + name + " does not work on " + string(a.cfg.Node.Self) + ": " + why
	}
	inactive, err := a.cfg.Proxmox.StoragesActive(ctx, d.Record.Storages)
	if err != nil {
		return outcome(err)
	}
	if len(inactive) > 0 {
		return node.Failed, "storage not active on " + string(a.cfg.Node.Self) + ": " + strings.Join(inactive, ", ")
	}
	a.clearLeftovers(ctx, d)
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
	case c == ha.CausePassed:
		return node.Passed, detail
	}
	return node.Done, detail
}

// takeOnboot keeps the old value in the store, and in this node's own copy, before it sets onboot to 0. A disk that is full does not keep
// a guest from being protected.
func (a *Agent) takeOnboot(ctx context.Context, d node.Do) (node.Outcome, string) {
	put := ha.Put{Key: ha.KeyOnboot(d.Guest), Value: ha.Encode(ha.OnbootRecord{Guest: d.Guest, Old: true})}
	c, cancel := context.WithTimeout(ctx, a.cfg.Node.Timing.LeaseTTL) // an answer that is lost is not waited for: asking again does no harm
	defer cancel()
	rev, err := a.cfg.Store.Commit(c, ha.Txn{Puts: []ha.Put{put}})
	if err != nil {
		return node.Transient, err.Error()
	}
	a.onbootProblem(a.onboot.note(d.Guest, a.epoch().Known, rev))
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
