package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"bascule/ha"
	"bascule/ha/api"
	"bascule/ha/setup"
)

func newRemove(h *hactl) *cobra.Command {
	r := &setupRun{h: h}
	cmd := &cobra.Command{
		Use:   "remove NODE",
		Short: "Take another node, which runs no more, out of the site for good",
		Long: "For a node that is gone: takes its vote in the store, its API token, its firewall address and its entry in the configuration away.\n" +
			"It must hold no lease and no guest. A node that still runs leaves by itself: hactl drain NODE --wait, then hactl reset there; a witness: hactl reset there.",
		RunE: func(cmd *cobra.Command, args []string) error { return r.remove(cmd.Context(), ha.NodeName(args[0])) },
	}
	h.nodeArg(cmd)
	r.commonFlags(cmd)
	return cmd
}

func (r *setupRun) remove(ctx context.Context, node ha.NodeName) error {
	if err := r.begin(); err != nil {
		return err
	}
	f := r.facts(ctx)
	common, err := r.machine.ReadFile(r.layout.Common())
	if err != nil {
		return err
	}
	joined, err := setup.ReadJoined(r.machine, r.layout)
	if err != nil {
		return err
	}
	p, err := setup.MakeRemove(node, f.Node, common, joined, r.layout)
	if err != nil {
		return err
	}
	s, err := r.h.status(ctx)
	if err != nil {
		return err
	}
	if err := removable(s, node); err != nil {
		return err
	}
	p.Next = append(p.Next, setup.DeviceStays(node, common, f)...)
	for _, step := range p.Steps {
		r.tell(r.h.out.wrapped("will  ", step.Title()))
	}
	if r.dry {
		return nil
	}
	if err := r.h.asker(r.yes).agree(ctx, fmt.Sprintf("Take %s out for good?", node)); err != nil {
		return err
	}
	if !s.Etcd.External {
		if err := r.h.changeStore(ctx, api.EtcdChange{Op: api.EtcdRemove, Node: node, Operator: operator()}); err != nil {
			return err
		}
		r.tell(fmt.Sprintf("done  %s keeps no copy of the store\n", node))
	}
	if err := r.locked(ctx, func() error { return r.apply(ctx, p.Steps) }); err != nil {
		return err
	}
	if err := r.restart(ctx); err != nil {
		return err
	}
	if err := r.h.waitFor(ctx, onlineLimit, string(f.Node)+" comes back", online(f.Node)); err != nil {
		return err
	}
	for _, n := range p.Next {
		r.tell(r.h.out.wrapped("next  ", n))
	}
	return nil
}

// removable refuses to take out what still runs or holds a guest.
func removable(s api.Status, node ha.NodeName) error {
	n, known := findNode(s, string(node))
	if !known {
		return nil // what a run that was broken off has left
	}
	if runs := n.Lease || n.Gossip == "alive"; runs && n.Witness {
		return &exitError{exitDegraded, fmt.Sprintf("%s still runs: hactl reset on it", node)}
	} else if runs {
		return &exitError{exitDegraded, fmt.Sprintf("%s still runs: hactl drain %s --wait, then hactl reset on it", node, node)}
	}
	for _, g := range s.Guests {
		if g.Node == node && g.State != ha.GuestUnprotected {
			return &exitError{exitDegraded, fmt.Sprintf("guest %d is still on %s (%s): wait until it runs elsewhere, or move it", g.VMID, node, g.State)}
		}
	}
	return nil
}
