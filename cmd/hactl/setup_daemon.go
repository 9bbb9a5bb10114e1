package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bascule/ha"
	"bascule/ha/api"
)

// What the set-up waits for.
const (
	onlineLimit = 3 * time.Minute // a store's start, an election, the quiet time of a daemon that starts
	lookEvery   = 500 * time.Millisecond
)

// waitFor asks this node's daemon for its status until good says so. What it last said stands in the error.
func (h *hactl) waitFor(ctx context.Context, limit time.Duration, what string, good func(api.Status) (bool, string)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	last := "no answer yet"
	for {
		s, err := h.status(ctx)
		if err == nil {
			ok, why := good(s)
			if ok {
				return nil
			}
			last = why
		} else if !errors.Is(err, context.DeadlineExceeded) {
			last = err.Error()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not within %v: %s; journalctl -u basculed says more, the same command goes on", what, limit, last)
		case <-tick.C:
		}
	}
}

// online says whether a node holds its lease and is online, as this node's daemon sees it.
func online(node ha.NodeName) func(api.Status) (bool, string) {
	return func(s api.Status) (bool, string) {
		n, ok := findNode(s, string(node))
		switch {
		case !s.Etcd.Available:
			return false, "the store does not answer: " + s.Etcd.Reason
		case !ok:
			return false, string(node) + " is not in the status"
		case n.State == ha.NodeOnline && n.Lease:
			return true, ""
		}
		return false, fmt.Sprintf("%s is %s: %s", node, n.State, n.Reason)
	}
}

// letIn makes a node a voter of the store that others keep, in the place of its lost data where it has voted before.
func (h *hactl) letIn(ctx context.Context, node ha.NodeName) (bool, error) {
	var list []api.EtcdMember
	err := h.ask(ctx, func(ctx context.Context, c *api.Client) (err error) {
		list, err = c.EtcdMembers(ctx)
		return err
	})
	if err != nil {
		return false, err
	}
	change := api.EtcdChange{Op: api.EtcdAdd, Node: node, Operator: operator()}
	for _, m := range list {
		if m.Node != node {
			continue
		}
		if !m.Learner && m.Answers {
			return false, nil
		}
		if !m.Learner && m.Started {
			change.Op, change.By = api.EtcdReplace, node
		}
	}
	return true, h.changeStore(ctx, change)
}

// changeStore changes the store's voters; it takes as long as a learner needs.
func (h *hactl) changeStore(ctx context.Context, change api.EtcdChange) error {
	before := h.timeout
	h.timeout = api.EtcdChangeLimit + 5*time.Second
	defer func() { h.timeout = before }()
	return h.ask(ctx, func(ctx context.Context, c *api.Client) error {
		_, err := c.ChangeEtcd(ctx, change)
		return err
	})
}
