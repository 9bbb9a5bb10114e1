package leader

import (
	"slices"

	"bascule/ha"
)

// settleCluster keeps the cluster record: the member list that all must agree on, and the store's epoch. It says whether anything else may
// be decided in this round: not before the record is stored.
func (r *round) settleCluster() bool {
	old := r.Store.Cluster
	c := old.Rec
	c.Members = slices.Clone(c.Members)
	if old.Rev == 0 {
		c = ha.ClusterRecord{Schema: ha.Schema, Epoch: 1, Reason: "the cluster's first"}
	}
	if names := r.memberNames(); !slices.Equal(names, c.Members) {
		c.Members = names
		c.ListRev++
	}
	if n, epoch, ok := r.wentBack(); ok {
		c.Epoch = max(c.Epoch, epoch) + 1
		c.Reason = string(n) + " has seen a later state of the store than the store shows: it was restored or replaced"
		r.transCluster = append(r.transCluster, ha.Transition{Subject: "cluster", From: "in order", To: "rebuilding",
			Reason: ha.Alarm + c.Reason + "; every guest is frozen until all members have reported or are proven off; if nobody restored it, look at the voters' data directories before anything is started"})
	}
	if old.Rev != 0 && string(ha.Encode(c)) == string(ha.Encode(old.Rec)) {
		return true
	}
	r.cluster = &c
	return false
}

func (r *round) memberNames() []ha.NodeName {
	var names []ha.NodeName
	for _, m := range r.Members {
		names = append(names, m.Name)
	}
	slices.Sort(names)
	return names
}

// wentBack finds a member that knows of a later state of the store, and the newest epoch that any of them knows.
func (r *round) wentBack() (who ha.NodeName, epoch ha.Epoch, ok bool) {
	for _, m := range r.Members {
		rep, reg := r.registered(m.Name)
		if !reg {
			continue
		}
		epoch = max(epoch, rep.Epoch, rep.WentBack)
		if !ok && (rep.WentBack != 0 && rep.WentBack >= r.epoch() || rep.Epoch > r.epoch()) { // what was answered with a new epoch counts no more
			who, ok = m.Name, true
		}
	}
	return who, epoch, ok
}

// clusterCommit is the transaction about the cluster record.
func (r *round) clusterCommit() Commit {
	c := Commit{Subject: "cluster", Txn: ha.Txn{Term: r.Term,
		Guards: []ha.Guard{{Key: ha.KeyCluster, Rev: r.Store.Cluster.Rev}},
		Puts:   []ha.Put{{Key: ha.KeyCluster, Value: ha.Encode(r.cluster)}}}}
	for _, t := range r.transCluster {
		c.Transitions = append(c.Transitions, t)
		e := ha.Event{Transition: t, At: r.Wall.UTC(), Term: r.Term, By: r.Self}
		c.Txn.Puts = append(c.Txn.Puts, ha.Put{Key: r.eventKey(), Value: ha.Encode(e)})
	}
	return c
}
