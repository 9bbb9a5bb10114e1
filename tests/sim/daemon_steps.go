package sim

import (
	"errors"
	"time"

	"bascule/ha"
	"bascule/ha/node"
)

// Deadlines of a step's outside work, as ha/agent/steps.go has them.
const (
	stepTimeout    = 30 * time.Second
	startTimeout   = 5 * time.Minute
	migrateTimeout = time.Hour
	confirmEvery   = 100 * time.Millisecond
	confirmFor     = 10 * time.Second
)

var (
	errPermitOver = "the permit ended"
	errStepTime   = "no answer in time"
)

// ended is how a step ended.
type ended func(node.Outcome, string)

// do carries out one step and answers with its outcome, once, and within its time.
func (d *Daemon) do(f node.Do) {
	d.w.judge.step(d, f)
	over := false
	var limit *Event
	done := func(o node.Outcome, msg string) {
		if over {
			return
		}
		over = true
		limit.Cancel()
		d.w.loop.Logf(d.h.Name, "%s %s: %s %s", f.Kind.Label(f.Guest), f.Step, o, msg)
		d.event(node.StepDone{Guest: f.Guest, Seq: f.Seq, Step: f.Step, Outcome: o, Message: msg})
		switch f.Step {
		case node.StepClaim, node.StepMigrate, node.StepStop, node.StepKill, node.StepOnboot, node.StepRestore, node.StepConfirm:
			d.lookNow()
		}
	}
	limit = d.p.After(timeoutOf(f), func() {
		if f.Step == node.StepStart {
			done(node.Working, errStepTime)
			return
		}
		done(node.Transient, errStepTime)
	})
	d.p.Post(func() { d.step(f, done) })
}

func timeoutOf(f node.Do) time.Duration {
	switch f.Step {
	case node.StepStart:
		return startTimeout
	case node.StepStop:
		if f.Record.Move != nil {
			return stepTimeout
		}
		return migrateTimeout
	case node.StepMigrate:
		return migrateTimeout
	}
	return stepTimeout
}

func (d *Daemon) step(f node.Do, done ended) {
	id, kind := f.Guest, f.Kind
	result := func(err error) { done(outcome(err)) }
	switch f.Step {
	case node.StepVerify, node.StepRecheck:
		d.verify(f, done)
	case node.StepExpect:
		d.syncGuard([]ha.GuestRef{{ID: id, Kind: kind}}, func(err error) {
			if err != nil {
				done(node.Transient, err.Error())
				return
			}
			done(node.Done, "")
		})
	case node.StepSettle:
		done(d.settle(f))
	case node.StepClaim:
		d.claim(f, done)
	case node.StepUnlock:
		d.pve.ClearLock(id, kind, func(_ string, err error) { result(err) })
	case node.StepStorages:
		for _, s := range f.Record.Storages {
			if d.sights[s].State.Lost() {
				done(node.Failed, "storage "+s+" does not work here")
				return
			}
		}
		d.pve.StoragesActive(f.Record.Storages, func(inactive []string, err error) {
			if err == nil && len(inactive) > 0 {
				done(node.Failed, "storage not active: "+inactive[0])
				return
			}
			result(err)
		})
	case node.StepStart:
		if !d.state.Lease.Acts(d.now()) {
			done(node.Transient, errPermitOver)
			return
		}
		d.pve.Start(id, kind, func(err error) {
			if errors.Is(err, ha.ErrStillRunning) {
				done(node.Working, err.Error())
				return
			}
			result(err)
		})
	case node.StepConfirm:
		d.confirm(f, d.w.loop.Now()+confirmFor, done)
	case node.StepCause:
		d.cause(f, done)
	case node.StepStop:
		d.pve.Stop(id, kind, result)
	case node.StepMigrate:
		d.pve.Migrate(id, kind, f.Record.Move.Target, f.Record.Move.Live, result)
	case node.StepKill, node.StepAbort, node.StepScan:
		done(d.remains(f))
	case node.StepOnboot:
		put := ha.Put{Key: ha.KeyOnboot(id), Value: ha.Encode(ha.OnbootRecord{Guest: id, Old: true})}
		d.store.Commit(ha.Txn{Puts: []ha.Put{put}}, d.cfg.Timing.LeaseTTL, func(_ int64, err error) {
			if err != nil {
				done(node.Transient, err.Error())
				return
			}
			d.pve.SetOnboot(id, kind, false, result)
		})
	case node.StepRestore:
		d.pve.SetOnboot(id, kind, true, func(err error) {
			if err != nil {
				result(err)
				return
			}
			d.store.Commit(ha.Txn{Dels: []string{ha.KeyOnboot(id)}}, stepTimeout, func(_ int64, err error) { result(err) })
		})
	}
}

// outcome turns a Proxmox error into the machine's word.
func outcome(err error) (node.Outcome, string) {
	switch {
	case err == nil:
		return node.Done, ""
	case errors.Is(err, ha.ErrConfigGone):
		return node.ConfigGone, err.Error()
	case errors.Is(err, ha.ErrNoQuorum), errors.Is(err, ha.ErrStillRunning), errors.Is(err, ha.ErrTryAgain),
		errors.Is(err, ha.ErrConflict), errors.Is(err, ha.ErrUnavailable), errors.Is(err, ha.ErrAmbiguous):
		return node.Transient, err.Error()
	}
	return node.Failed, err.Error()
}

// verify is R5's test, the reads here, the judgement in ha/node.
func (d *Daemon) verify(f node.Do, done ended) {
	ttl := d.cfg.Timing.LeaseTTL
	readAt(d, ha.KeyGuest(f.Guest), ttl, func(rec ha.GuestRecord, rev, at int64, err error) {
		if err != nil {
			done(node.Transient, err.Error())
			return
		}
		if out, msg := d.cfg.MayStart(f, rec, at, d.state.Epoch); out != node.Done {
			done(out, msg)
			return
		}
		d.syncGuard([]ha.GuestRef{{ID: f.Guest, Kind: f.Kind}}, func(err error) {
			switch {
			case err != nil:
				done(node.Transient, err.Error())
			case !d.state.Lease.Acts(d.now()):
				done(node.Transient, errPermitOver)
			case rec.Move != nil:
				d.expected(rec, func(o node.Outcome, msg string) {
					if o != node.Done {
						done(o, msg)
						return
					}
					d.announce(rec, rev, done)
				})
			case f.Step == node.StepRecheck:
				d.announce(rec, rev, done)
			default:
				done(node.Done, "")
			}
		})
	})
}

func (d *Daemon) expected(rec ha.GuestRecord, done ended) {
	ttl := d.cfg.Timing.LeaseTTL
	read[ha.LeaseRecord](d, ha.KeyLease(rec.Move.Target), ttl, func(lease ha.LeaseRecord, _ int64, err error) {
		if err != nil {
			done(node.Transient, err.Error())
			return
		}
		read[ha.GuestReport](d, ha.KeyGuestReport(rec.Move.Target, rec.ID), ttl, func(rep ha.GuestReport, _ int64, err error) {
			if err != nil {
				done(node.Transient, err.Error())
				return
			}
			read(d, ha.KeyCluster, ttl, func(cluster ha.ClusterRecord, _ int64, err error) {
				if err != nil {
					done(node.Transient, err.Error())
					return
				}
				done(node.Expected(rec, lease, rep, d.snapshot().Nodes[rec.Move.Target].Rec, cluster))
			})
		})
	})
}

// announce commits "starting" in one transaction with what the start rests on.
func (d *Daemon) announce(rec ha.GuestRecord, rev int64, done ended) {
	ttl := d.cfg.Timing.LeaseTTL
	read[ha.NodeRecord](d, ha.KeyNode(d.self), ttl, func(own ha.NodeRecord, ownRev int64, err error) {
		if err != nil {
			done(node.Transient, err.Error())
			return
		}
		if out, msg := d.cfg.MayLive(own); out != node.Done {
			done(out, msg)
			return
		}
		t := d.cfg.Announcement(d.now(), rec, rev, ownRev, d.snapshot().Cluster.Rev)
		d.store.Commit(t, ttl, func(rev int64, err error) {
			d.rep.settled(t, rev, err)
			if err != nil {
				done(node.Transient, err.Error())
				return
			}
			done(node.Done, "")
		})
	})
}

// claim takes the config over from the node that may have it.
func (d *Daemon) claim(f node.Do, done ended) {
	d.pve.ConfigAt(f.Guest, f.Kind, func(at ha.NodeName, err error) {
		if err != nil {
			done(node.Transient, err.Error())
			return
		}
		from, out, msg := d.cfg.ClaimFrom(f.Record, at, d.snapshot(), d.coro.Quorate)
		if from == "" {
			done(out, msg)
			return
		}
		d.pve.Claim(f.Guest, f.Kind, from, func(err error) { done(outcome(err)) })
	})
}

// confirm waits until status/current says running.
func (d *Daemon) confirm(f node.Do, end time.Duration, done ended) {
	d.pve.Running(f.Guest, f.Kind, func(running bool, err error) {
		switch {
		case err == nil && running:
			done(node.Done, "")
		case d.w.loop.Now() > end:
			done(node.NotRunning, "the start task ended well, but the guest is not running")
		default:
			d.p.After(confirmEvery, func() { d.confirm(f, end, done) })
		}
	})
}

// cause asks Proxmox why a guest stopped.
func (d *Daemon) cause(f node.Do, done ended) {
	d.pve.Running(f.Guest, f.Kind, func(running bool, err error) {
		if err != nil || running {
			done(node.Passing, "it runs, or Proxmox does not answer")
			return
		}
		d.pve.StopCause(f.Guest, 10*time.Minute, func(c ha.StopCause, detail string, err error) {
			switch {
			case err != nil:
				done(node.Transient, err.Error())
			case c == ha.CauseUser:
				done(node.ByUser, detail)
			case c == ha.CausePassing:
				done(node.Passing, detail)
			case c == ha.CausePassed:
				done(node.Passed, detail)
			default:
				done(node.Done, detail)
			}
		})
	})
}
