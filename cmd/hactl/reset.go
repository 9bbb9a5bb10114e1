package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/api"
	"bascule/ha/setup"
)

func newReset(h *hactl) *cobra.Command {
	r := &setupRun{h: h}
	var force bool
	cmd := &cobra.Command{
		Use:   "reset",
		Short: "Take this node out of the site and Bascule's files off it",
		Long: "Leaves in order: gives the vote in the store back, stops the services, removes token, configuration, keys and data of this node. It must\n" +
			"be drained (hactl drain NODE --wait). Guests that lie here get their \"Start at boot\" back. On the last node it removes what the site\n" +
			"shares, too: /etc/pve/bascule, role, user, firewall rules, and .bascule on the storages. On a witness: gives its vote back, stops it, removes its files.\n\n" +
			"No guest is stopped.",
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return r.reset(cmd.Context(), force) },
	}
	r.commonFlags(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "also when basculed does not answer: the node's vote in the store then stays until hactl remove")
	return cmd
}

func (r *setupRun) reset(ctx context.Context, force bool) error {
	if err := r.begin(); err != nil {
		return err
	}
	f := r.facts(ctx)
	if !f.PVE {
		return r.resetWitness(ctx, force)
	}
	common, err := r.existing(r.layout.Common())
	if err != nil {
		return err
	}
	joined, err := setup.ReadJoined(r.machine, r.layout)
	if err != nil {
		return err
	}
	p, err := setup.MakeReset(f.Node, common, joined, r.layout)
	if err != nil {
		return err
	}
	if p.Last {
		p.Next = append(setup.AfterLast(common, f), p.Next...)
	}
	s, err := r.h.status(ctx)
	answers := err == nil
	switch {
	case !answers && !force && !p.Last:
		return fmt.Errorf("%w; start basculed, so that this node can give its vote back, or add --force and then run on another node: hactl remove %s", err, f.Node)
	case answers && !p.Last:
		if err := emptied(s, f.Node); err != nil {
			return err
		}
	}
	if do, err := r.leaving(ctx, p, f.Node); err != nil || !do {
		return err
	}
	if answers && !p.Last && !s.Etcd.External {
		if err := r.leaveStore(ctx, p, f.Node); err != nil {
			return err
		}
	}
	return r.locked(ctx, func() error { return r.leave(ctx, p) })
}

// leaving says what will be done and asks. false: a dry run, which is at its end.
func (r *setupRun) leaving(ctx context.Context, p setup.LeavePlan, node ha.NodeName) (bool, error) {
	for _, step := range p.Steps {
		r.tell(r.h.out.wrapped("will  ", step.Title()))
	}
	if r.dry {
		return false, nil
	}
	return true, r.h.asker(r.yes).agree(ctx, fmt.Sprintf("Take %s out?", node))
}

// leave carries the plan out, and says what comes next.
func (r *setupRun) leave(ctx context.Context, p setup.LeavePlan) error {
	if err := r.apply(ctx, p.Steps); err != nil {
		return err
	}
	for _, n := range p.Next {
		r.tell(r.h.out.wrapped("next  ", n))
	}
	return nil
}

// resetWitness takes a witness out: a machine without Proxmox that is one by its own configuration, or has none any more. A node whose /etc/pve is
// away is none: what the site shares cannot be changed there now.
func (r *setupRun) resetWitness(ctx context.Context, force bool) error {
	var conf *config.Config
	node := ha.NodeName("this machine")
	if _, err := r.machine.ReadFile(r.layout.Config()); err == nil {
		if conf, err = config.Load(r.layout.Config()); err != nil {
			return err
		}
		if node = conf.Node; conf.Role != config.RoleWitness {
			return fmt.Errorf("%s is no witness, and Proxmox's /etc/pve is not there: systemctl status pve-cluster; then run this again", node)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	p := setup.MakeWitnessReset(conf, r.layout)
	if do, err := r.leaving(ctx, p, node); err != nil || !do {
		return err
	}
	if conf != nil && !conf.External() && !force {
		if err := r.leaveStore(ctx, p, node); err != nil {
			return fmt.Errorf("%w; if the site is gone for good, add --force", err)
		}
	}
	return r.leave(ctx, p)
}

// leaveStore gives the vote back.
func (r *setupRun) leaveStore(ctx context.Context, p setup.LeavePlan, node ha.NodeName) error {
	// Another member carries the change out: this one's answer would end with its vote.
	for _, m := range p.Config.Members {
		err := r.through(m.Address, func() error {
			return r.h.changeStore(ctx, api.EtcdChange{Op: api.EtcdRemove, Node: node, Operator: operator()})
		})
		if err == nil {
			r.tell(fmt.Sprintf("done  %s keeps no copy of the store\n", node))
			return nil
		}
		if !errors.Is(err, api.ErrNoAnswer) {
			return err
		}
	}
	return fmt.Errorf("no other member answers, so the vote of %s cannot be given back: bring one back first", node)
}

// through asks another member with this node's certificate.
func (r *setupRun) through(address string, do func() error) error {
	before := *r.h
	defer func() { *r.h = before }()
	r.h.node = address
	if r.root != "/" {
		r.h.ca, r.h.cert, r.h.key = r.layout.Local("tls/ca.pem"), r.layout.Local("tls/node.pem"), r.layout.Local("tls/node.key")
	}
	return do()
}

// emptied refuses while a protected guest is on the node.
func emptied(s api.Status, node ha.NodeName) error {
	for _, g := range s.Guests {
		if g.Node == node && g.State != ha.GuestUnprotected {
			return &exitError{exitDegraded, fmt.Sprintf("guest %d is on this node (%s): hactl drain %s --wait first", g.VMID, g.State, node)}
		}
	}
	return nil
}
