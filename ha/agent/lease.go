package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/renameio/v2"

	"bascule/ha"
	"bascule/ha/node"
)

// leaseFile is what is kept over a restart of the daemon within one boot.
type leaseFile struct {
	Lease       ha.LeaseID     `json:"lease"`
	Incarnation ha.Incarnation `json:"incarnation"`
	TTL         time.Duration  `json:"ttl"` // that it was granted with: another profile's permits must not count on it
}

// guardPermitted is the guard's phase in which a permit is unbroken; in every other it ends guests, has ended them, or was told
// that this node leaves.
const guardPermitted = "permitted"

// adoptable returns the lease of the process before this one, with the permit deadline that the guard still holds: a crashed
// and restarted daemon goes on with both and touches no guest.
func (a *Agent) adoptable(ctx context.Context) (ha.LeaseID, ha.Instant) {
	if a.cfg.Node.Witness {
		return 0, 0
	}
	var f leaseFile
	b, err := os.ReadFile(a.cfg.LeaseFile)
	if err != nil || json.Unmarshal(b, &f) != nil || f.Incarnation != a.cfg.Node.Incarnation || f.Lease == 0 || f.TTL != a.cfg.Node.Timing.LeaseTTL {
		return 0, 0
	}
	st, err := a.guardStatus(ctx)
	if err != nil || st.Phase != guardPermitted || a.cfg.Now() >= st.Deadline {
		return 0, 0
	}
	a.mu.Lock()
	a.guard = st // with the guests that it watches: none of them is forgotten before we have looked ourselves
	a.mu.Unlock()
	a.log.WithField("reason", "lease and permit are unbroken").Info("going on with the lease of the process before")
	return f.Lease, st.Deadline
}

// guardStatus asks the guard for as long as a permit of the process before may be in force: one lost answer must not cost the
// guests.
func (a *Agent) guardStatus(ctx context.Context) (ha.GuardStatus, error) {
	end := a.cfg.Now().Add(a.cfg.Node.Timing.LeaseTTL)
	for {
		c, cancel := context.WithTimeout(ctx, a.cfg.Node.Timing.RenewTimeout)
		st, err := a.cfg.Guard.Status(c)
		cancel()
		if err == nil || ctx.Err() != nil || a.cfg.Now() >= end {
			return st, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(statusPause):
		}
	}
}

// statusPause is between two tries to hear from the guard at the start.
const statusPause = 200 * time.Millisecond

// keepLease writes the lease's id for the next process. Failing costs only the re-adoption.
func (a *Agent) keepLease(id ha.LeaseID) {
	if a.cfg.Node.Witness {
		return
	}
	b := ha.Encode(leaseFile{Lease: id, Incarnation: a.cfg.Node.Incarnation, TTL: a.cfg.Node.Timing.LeaseTTL})
	if err := renameio.WriteFile(a.cfg.LeaseFile, b, 0o600); err != nil {
		a.log.WithField("reason", err.Error()).Warn("cannot keep the lease's id; a restart of basculed will have to stop the guests here")
	}
}

// grant, register, renew, campaign and resign each carry out one effect and answer with one event.

func (a *Agent) grant(ctx context.Context) {
	sent := a.cfg.Now()
	c, cancel := context.WithTimeout(ctx, a.cfg.Node.Timing.RenewTimeout)
	defer cancel()
	id, err := a.cfg.Store.Grant(c, a.cfg.Node.Timing.LeaseTTL)
	refused := err != nil && !errors.Is(err, ha.ErrUnavailable) // that it is away, everybody says already
	a.setProblem("lease", refused, fmt.Sprintf("this node gets no lease, so nothing protected runs here: %v", err))
	a.send(ctx, node.Granted{Sent: sent, ID: id, OK: err == nil})
}

// register binds the lease key to the lease; the report goes with it so that nobody sees one without the other.
func (a *Agent) register(ctx context.Context, id ha.LeaseID) {
	self := a.cfg.Node.Self
	c, cancel := context.WithTimeout(ctx, a.cfg.Node.Timing.RenewTimeout)
	defer cancel()
	var own ha.NodeRecord
	ownRev, err := a.read(c, ha.KeyNode(self), &own)
	barred := err == nil && a.cfg.Node.Barred(own, a.Lease().Unbroken)
	a.setProblem("barred", barred, "this boot is recorded as ended ("+own.Reason+"): it gets no lease any more and runs nothing protected; reboot it")
	if barred {
		a.send(ctx, node.Registered{ID: id, Dead: true})
		return
	}
	if err == nil {
		err = a.report.take(c) // an older report must not land on a newer one: "armed" on "leaving" least of all
	}
	if err != nil {
		a.send(ctx, node.Registered{ID: id})
		return
	}
	defer a.report.give()
	rep := a.reports.build(id)
	guards, err := a.reports.guards(c, ha.KeyLease(self), ha.KeyReport(self))
	if err != nil {
		a.send(ctx, node.Registered{ID: id})
		return
	}
	if a.Lease().Unbroken { // guests run on: nobody may have proven this boot dead meanwhile
		guards = append(guards, ha.Guard{Key: ha.KeyNode(self), Rev: ownRev})
	}
	t := ha.Txn{Guards: guards, Puts: []ha.Put{
		{Key: ha.KeyLease(self), Value: ha.Encode(ha.LeaseRecord{Node: self, Incarnation: a.cfg.Node.Incarnation, Lease: id}), Lease: id},
		{Key: ha.KeyReport(self), Value: ha.Encode(rep)},
	}}
	rev, err := a.cfg.Store.Commit(c, t)
	a.reports.settled(t, rev, err)
	if err == nil {
		a.reports.written(rep)
	} else {
		a.log.WithField("reason", err.Error()).Warn("cannot register this node in the store; trying again")
	}
	a.send(ctx, node.Registered{ID: id, OK: err == nil, Rev: rev})
}

func (a *Agent) renew(ctx context.Context, id ha.LeaseID) {
	sent := a.cfg.Now()
	c, cancel := context.WithTimeout(ctx, a.cfg.Node.Timing.RenewTimeout)
	defer cancel()
	_, err := a.cfg.Store.Renew(c, id)
	if err != nil {
		a.log.WithField("reason", err.Error()).Debug("lease renewal failed")
	}
	a.send(ctx, node.Renewed{ID: id, Sent: sent, OK: err == nil, Gone: errors.Is(err, ha.ErrLeaseGone)})
}

func (a *Agent) campaign(ctx context.Context, id ha.LeaseID) {
	c, cancel := context.WithTimeout(ctx, a.cfg.Node.Timing.RenewTimeout)
	defer cancel()
	term, _, err := a.cfg.Store.Campaign(c, ha.LeaderRecord{Node: a.cfg.Node.Self, Incarnation: a.cfg.Node.Incarnation, Lease: id})
	if err != nil {
		term = 0
		a.log.WithField("reason", err.Error()).Debug("campaign failed")
	}
	a.send(ctx, node.Campaigned{Term: term})
}

func (a *Agent) resign(ctx context.Context, t ha.Term) {
	c, cancel := context.WithTimeout(ctx, a.cfg.Node.Timing.RenewTimeout)
	defer cancel()
	if err := a.cfg.Store.Resign(c, t); err != nil && !errors.Is(err, ha.ErrConflict) {
		a.log.WithField("term", int64(t)).WithField("reason", err.Error()).Warn("cannot give the leadership back; it ends with the lease")
	}
}
