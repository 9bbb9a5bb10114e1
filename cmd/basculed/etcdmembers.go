package main

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"bascule/ha/api"
)

// EtcdMembers implements api.Backend.
func (b backend) EtcdMembers(ctx context.Context) ([]api.EtcdMember, error) {
	list, err := b.store.Members(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]api.EtcdMember, 0, len(list))
	for _, m := range list {
		out = append(out, api.EtcdMember{ID: fmt.Sprintf("%x", m.ID), Node: m.Node, Peer: m.Peer, Learner: m.Learner, Started: m.Started, Answers: m.Answers,
			Leader: m.Leader, DBSize: m.DBSize, Problem: m.Problem})
	}
	gossip := b.gossip.View()
	for _, n := range b.store.Spares(list) {
		spare := api.EtcdMember{Node: n, Spare: true}
		if m, _ := b.cfg.Member(n); m.Address != "" {
			spare.Peer = net.JoinHostPort(m.Address, strconv.Itoa(b.cfg.Etcd.PeerPort))
		}
		if n != b.cfg.Node && !gossip[n].Alive {
			spare.Problem = "gossip does not hear it: it cannot vote now"
		}
		out = append(out, spare)
	}
	return out, nil
}

// EtcdChange implements api.Backend.
func (b backend) EtcdChange(ctx context.Context, c api.EtcdChange) error {
	switch c.Op {
	case api.EtcdAdd:
		return b.store.AddVoter(ctx, c.Node)
	case api.EtcdRemove:
		return b.store.RemoveVoter(ctx, c.Node)
	}
	return b.store.ReplaceVoter(ctx, c.Node, c.By)
}
