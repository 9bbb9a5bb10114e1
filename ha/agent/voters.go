package agent

import (
	"context"
	"time"

	"bascule/ha"
)

// replaceLimit bounds one attempt to replace a voter: connections must have stood for 5 s before etcd changes anything, and a learner copies
// everything. It is shorter than the turn that keeps other changes away.
const replaceLimit = 90 * time.Second

// replaceVoter carries out what the leader has recorded, until it is done, the leadership ends, or it does not go on; then the leader decides
// anew. The record says what was done, whoever finds it.
func (a *Agent) replaceVoter(ctx context.Context, o ha.VoterOrder) {
	defer a.WakeLeader()
	defer a.replacing.Store(false)
	ctx, cancel := context.WithTimeout(ctx, replaceLimit)
	defer cancel()
	log := a.log.WithField("voter", string(o.Old)).WithField("by", string(o.By))
	log.Info("replacing a voter of the store that is gone")
	if err := a.cfg.Voters.ReplaceLost(ctx, o); err != nil {
		log.WithField("reason", err.Error()).Warn("the voter is not replaced yet; deciding again")
		return
	}
	log.Info("the voter is replaced")
}
