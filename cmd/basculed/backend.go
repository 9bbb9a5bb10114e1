package main

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/sirupsen/logrus"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/agent"
	"bascule/ha/api"
	"bascule/ha/etcd"
	"bascule/ha/gossip"
	"bascule/ha/setup/doctor/gather"
	"bascule/ha/setup/pki"
)

// backend is what the API sees of the agent.
type backend struct {
	*agent.Agent
	cfg    *config.Config
	store  *etcd.Store
	gossip *gossip.Gossip
	keeper *pki.Keeper
	log    logrus.FieldLogger
	tester fenceTester
	doctor *gather.Gatherer
}

// View implements api.Backend.
func (b backend) View() api.View {
	s := b.Agent.Snapshot()
	now := bootNow()
	v := api.View{Self: b.cfg.Node, Role: string(b.cfg.Role), Version: version, Cluster: b.cfg.Cluster, Wall: wallNow(), Members: b.cfg.Members,
		Snapshot: s.Store, SnapshotOK: s.StoreOK, Gossip: b.gossip.View(), Corosync: s.Corosync, Problems: s.Problems,
		Permit:  api.PermitHealth{Valid: s.Permit > 0, Remaining: s.Permit, Reason: permitReason(s), Peers: s.Lease.OnPeers(now)},
		Guard:   api.GuardHealth{Connected: s.Guard.Connected, Phase: s.Guard.Phase, Driver: s.Guard.Driver, Armed: s.Guard.Armed, Detail: s.Guard.Detail, Version: s.Guard.Version},
		Leading: s.Lease.Leads(now)}
	if age, ok := b.store.ViewAge(); ok {
		v.SnapshotAge = age
	}
	v.Store = api.StoreHealth{Available: s.Health.Available, RaftLeader: string(s.Health.RaftLeader), Reason: s.Health.Reason, Since: s.HealthSince,
		External: s.Health.External, Problems: s.Health.Problems, Voters: names(s.Health.Voters), Answering: names(s.Health.Answering), Spares: s.Health.Spares}
	return v
}

func permitReason(s agent.Snapshot) string {
	switch {
	case s.Lease.OnPeers(bootNow()):
		return "all other members promised to leave the guests here alone"
	case s.Permit > 0:
		return "lease"
	case s.Leaving:
		return "basculed is being stopped"
	case !s.Health.Available:
		return "its lease cannot be renewed: " + s.Health.Reason
	}
	return "no lease is held"
}

func names(in []ha.NodeName) []string {
	out := make([]string, 0, len(in))
	for _, n := range in {
		out = append(out, string(n))
	}
	return out
}

// Events implements api.Backend from the watched copy of the store.
func (b backend) Events(_ context.Context, after string, limit int) ([]api.StoredEvent, error) {
	_, kvs, ok := b.store.Latest()
	if !ok {
		return nil, ha.ErrUnavailable
	}
	var out []api.StoredEvent
	for _, kv := range kvs {
		if !strings.HasPrefix(kv.Key, ha.PrefixEvent) || kv.Key <= after {
			continue
		}
		e := api.StoredEvent{Key: kv.Key}
		if json.Unmarshal(kv.Value, &e.Event) != nil {
			continue
		}
		if out = append(out, e); limit > 0 && len(out) == limit {
			break
		}
	}
	return out, nil
}
