package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"bascule/ha"
	"bascule/ha/setup"
)

func newJoin(h *hactl) *cobra.Command {
	r := &setupRun{h: h}
	var update bool
	cmd := &cobra.Command{
		Use:   "join",
		Short: "Make this node a member of a site that hactl init has set up",
		Long: "Needs nothing but Proxmox's /etc/pve: reads the common part of the configuration and the authority's key there, issues this node's\n" +
			"certificate, makes its API token, writes its configuration, starts the services, and waits until the node is online and votes.\n" +
			"A node that was installed anew under its old name gets its place back. One that is no member yet is added; the others then need\n" +
			"hactl join --update.\n\n" +
			"With --update it only writes this node's configuration anew after the common part has changed, shows what changes, and restarts\n" +
			"basculed (no guest notices).",
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if update {
				return r.update(cmd.Context())
			}
			return r.join(cmd.Context())
		},
	}
	r.commonFlags(cmd)
	r.deviceFlags(cmd)
	cmd.Flags().BoolVar(&update, "update", false, "take over what has changed in the common part")
	return cmd
}

func (r *setupRun) join(ctx context.Context) error {
	began := time.Now()
	if err := r.begin(); err != nil {
		return err
	}
	f := r.facts(ctx)
	a := r.h.asker(r.yes || r.dry)
	common, err := r.existing(r.layout.Common())
	if err != nil {
		return err
	}
	joined, err := setup.ReadJoined(r.machine, r.layout)
	if err != nil {
		return err
	}
	plan := func() (setup.JoinPlan, error) {
		return setup.MakeJoin(f, r.answers, common, joined, r.hasStore(), r.layout, time.Now())
	}
	p, err := plan()
	if err != nil {
		return err
	}
	var ask []ha.NodeName
	if !r.hasDevice(p, f.Node) {
		ask = []ha.NodeName{f.Node}
	}
	if err := r.askBMCs(ctx, a, f, ask); err != nil {
		return err
	}
	if !r.hasDevice(p, f.Node) {
		if err := r.askSoftdog(ctx, a, f); err != nil {
			return err
		}
	}
	if p, err = plan(); err != nil {
		return err
	}
	if do, err := r.agree(ctx, a, p.Plan); err != nil || !do {
		return err
	}
	if err := r.locked(ctx, func() error { return r.apply(ctx, append(append([]setup.Step{}, p.Site...), p.Own...)) }); err != nil {
		return err
	}
	if err := r.h.waitFor(ctx, onlineLimit, string(p.Node)+" comes online", online(p.Node)); err != nil {
		return err
	}
	r.tell(fmt.Sprintf("ok    %s is online\n", p.Node))
	if p.Voter {
		if err := r.voter(ctx, p.Node); err != nil {
			return err
		}
	}
	r.tell(fmt.Sprintf("RESULT join node=%s questions=%d seconds=%.1f\n", p.Node, a.asked, time.Since(began).Seconds()))
	for _, n := range p.Next {
		r.tell(r.h.out.wrapped("next  ", n))
	}
	return nil
}

// hasDevice says whether a plan's configuration can already fence a node.
func (r *setupRun) hasDevice(p setup.JoinPlan, node ha.NodeName) bool {
	for _, d := range p.Config.Fencing.Devices {
		if d.Node == node {
			return true
		}
	}
	return false
}

// update renders this node's configuration anew.
func (r *setupRun) update(ctx context.Context) error {
	if err := r.begin(); err != nil {
		return err
	}
	f := r.facts(ctx)
	a := r.h.asker(r.yes || r.dry)
	steps, want, have, err := setup.Update(r.machine, f.Node, r.layout)
	if err != nil {
		return err
	}
	diff := setup.Diff(string(have), string(want))
	open, err := setup.Open(ctx, r.machine, steps)
	if err != nil {
		return err
	}
	if len(open) == 0 {
		r.tell("nothing has changed: this node's configuration is the common part's\n")
		return nil
	}
	r.tell(diff)
	if r.dry {
		r.tell("dry run: nothing was done\n")
		return nil
	}
	if err := a.agree(ctx, "Write it and restart basculed (no guest notices)?"); err != nil {
		return err
	}
	if err := r.apply(ctx, steps); err != nil {
		return err
	}
	if err := r.restart(ctx); err != nil {
		return err
	}
	if err := r.h.waitFor(ctx, onlineLimit, string(f.Node)+" comes back", online(f.Node)); err != nil {
		return err
	}
	r.tell(fmt.Sprintf("ok    %s is online with it\n", f.Node))
	return nil
}

// restart restarts the daemon; the guard and the guests stay.
func (r *setupRun) restart(ctx context.Context) error {
	_, err := r.machine.Run(ctx, nil, "systemctl", "restart", setup.UnitDaemon)
	return err
}
