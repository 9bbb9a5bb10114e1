package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bascule/ha"
	"bascule/ha/setup"
	"bascule/ha/setup/discover"
)

func newInit(h *hactl) *cobra.Command {
	r := &setupRun{h: h}
	var witness, deb string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Set a site up, on its first node; the others then need hactl join",
		Long: "Looks at Proxmox's cluster (corosync.conf, .members, storages, watchdogs, the own BMC), asks a few questions, shows the plan with\n" +
			"the reason of each choice, and does it: certificates and keys, the API role, user and token with the least privileges, firewall rules for\n" +
			"the members, the configuration (/etc/pve/bascule/basculed.yaml and this node's /etc/bascule/basculed.yaml), the services.\n" +
			"Run again it does what is still missing, and nothing else.\n\n" +
			"Two nodes need a third vote: --witness HOST, any small machine that runs all the time. It needs ssh as root from here, the package (or\n" +
			"--witness-package FILE, which installs it) and corosync-qnetd; the nodes need corosync-qdevice.",
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return r.init(cmd.Context(), witness, deb) },
	}
	r.commonFlags(cmd)
	r.deviceFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&r.answers.Cluster, "cluster", "", "`NAME` of the cluster (default: corosync's)")
	f.StringVar(&r.answers.Timing, "timing", "", "`PROFILE`: fast, normal or patient (default: normal)")
	f.StringSliceVar(&r.answers.Tags, "tag", nil, "protect guests with this Proxmox `TAG` (default: ha); may be repeated")
	f.StringSliceVar(&r.answers.Pools, "pool", nil, "protect the guests of this Proxmox `POOL`; may be repeated")
	f.IntSliceVar(&r.answers.VMIDs, "vmid", nil, "protect this `VMID`; may be repeated")
	f.BoolVar(&r.answers.All, "all", false, "protect every guest")
	f.StringVar(&witness, "witness", "", "the third vote: `HOST`, reached by ssh as root")
	f.StringVar(&deb, "witness-package", "", "install this `FILE` of the package on the witness, if it has none")
	f.BoolVar(&r.answers.WithoutRecovery, "without-recovery", false, "two nodes without a third vote: set up status, drain and alerts; a person decides after a death")
	return cmd
}

func (r *setupRun) init(ctx context.Context, witness, deb string) error {
	began := time.Now()
	if err := r.begin(); err != nil {
		return err
	}
	if deb != "" {
		if witness == "" {
			return usagef("--witness-package is installed on a witness: which one? --witness HOST")
		}
		if _, err := os.Stat(deb); err != nil { // before anything is done
			return fmt.Errorf("--witness-package: %w", err)
		}
	}
	f := r.facts(ctx)
	if witness != "" {
		w, err := r.witness(ctx, witness)
		if err != nil {
			return err
		}
		w.Package = deb
		r.answers.Witness = &w
	}
	common, err := r.existing(r.layout.Common())
	if err != nil {
		return err
	}
	// What cannot be set up is refused before anything is asked.
	if _, err := setup.Make(f, r.answers, common, r.layout, time.Now()); err != nil {
		return err
	}
	a := r.h.asker(r.yes || r.dry)
	if err := r.questions(ctx, a, f, len(common) > 0); err != nil {
		return err
	}
	p, err := setup.Make(f, r.answers, common, r.layout, time.Now())
	if err != nil {
		return err
	}
	if do, err := r.agree(ctx, a, p); err != nil || !do {
		return err
	}
	if err := r.checkInitial(f, p); err != nil {
		return err
	}
	if err := r.locked(ctx, func() error { return r.apply(ctx, append(append([]setup.Step{}, p.Site...), p.Own...)) }); err != nil {
		return err
	}
	if err := r.h.waitFor(ctx, onlineLimit, string(p.Node)+" comes online", online(p.Node)); err != nil {
		return err
	}
	r.tell(fmt.Sprintf("ok    %s is online\n", p.Node))
	if err := r.runWitness(ctx, p); err != nil {
		return err
	}
	r.tell(fmt.Sprintf("RESULT init node=%s questions=%d seconds=%.1f\n", p.Node, a.asked, time.Since(began).Seconds()))
	for _, n := range p.Next {
		r.tell(r.h.out.wrapped("next  ", n))
	}
	return nil
}

// checkInitial refuses to form a second store where this node's own data are gone and others have joined.
func (r *setupRun) checkInitial(f discover.Facts, p setup.Plan) error {
	joined, err := setup.ReadJoined(r.machine, r.layout)
	if err != nil {
		return err
	}
	for node := range joined {
		if node != f.Node && !r.hasStore() {
			return fmt.Errorf("%s has joined already, and this node has no store: hactl init forms a new one; here hactl join is right", node)
		}
	}
	return nil
}

// hasStore says whether the embedded store's data are on this node's disk.
func (r *setupRun) hasStore() bool {
	in, err := r.machine.List(r.layout.StoreData())
	return err == nil && len(in) > 0
}

// questions asks what no flag says: which guests, whether softdog is trusted, the BMCs.
func (r *setupRun) questions(ctx context.Context, a *asker, f discover.Facts, again bool) error {
	var nodes []ha.NodeName
	if !again {
		for _, n := range f.Nodes() {
			nodes = append(nodes, n.Name)
		}
		if ans := &r.answers; !ans.All && len(ans.Tags)+len(ans.Pools)+len(ans.VMIDs) == 0 {
			answer, err := a.ask(ctx, "Which guests are protected: all, or those with the tag", "ha")
			if err != nil {
				return err
			}
			if answer == "all" {
				ans.All = true
			} else if answer != "ha" {
				ans.Tags = strings.FieldsFunc(answer, func(c rune) bool { return c == ',' || c == ' ' })
			}
		}
	}
	if err := r.askBMCs(ctx, a, f, nodes); err != nil {
		return err
	}
	return r.askSoftdog(ctx, a, f)
}

// askSoftdog asks only where softdog is all that a node without a BMC has.
func (r *setupRun) askSoftdog(ctx context.Context, a *asker, f discover.Facts) error {
	for _, d := range r.answers.Devices {
		if d.Node == f.Node {
			return nil
		}
	}
	first, ok := f.Watchdogs.First()
	if r.answers.TrustSoftdog || !f.Watchdogs.Mux || !ok || !first.Software() || setup.ChooseWatchdog(f.Watchdogs, false).Driver != "none" {
		return nil
	}
	answer, err := a.ask(ctx, "This node has only a software watchdog, which does not survive a hung kernel. Let it count as proof of this node's end", "no")
	r.answers.TrustSoftdog = strings.HasPrefix(strings.ToLower(answer), "y")
	return err
}

// witness asks the witness for its name.
func (r *setupRun) witness(ctx context.Context, host string) (setup.Witness, error) {
	address, err := resolve(ctx, host)
	if err != nil {
		return setup.Witness{}, err
	}
	out, err := r.machine.Run(ctx, nil, "ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "root@"+host, "hostname")
	if err != nil {
		return setup.Witness{}, fmt.Errorf("the witness %s cannot be reached by ssh as root without a password: ssh-copy-id root@%s, then run this again: %w", host, host, err)
	}
	name, err := setup.NodeNamed(string(out))
	return setup.Witness{Name: name, Address: address, Host: host}, err
}

// runWitness sets the witness up, lets it vote, and then gives corosync its third vote.
func (r *setupRun) runWitness(ctx context.Context, p setup.Plan) error {
	for _, s := range p.Witness {
		if err := r.apply(ctx, []setup.Step{s}); err != nil {
			return err
		}
		if _, member := s.(setup.RemoteMember); !member {
			continue
		}
		if err := r.voter(ctx, r.answers.Witness.Name); err != nil {
			return err
		}
	}
	return nil
}

// voter lets a node into the store and tells it.
func (r *setupRun) voter(ctx context.Context, node ha.NodeName) error {
	made, err := r.h.letIn(ctx, node)
	if err != nil {
		return fmt.Errorf("%s runs, but does not vote yet: %w; the same command goes on", node, err)
	}
	outcome := setup.Kept
	if made {
		outcome = setup.Made
	}
	r.tell(fmt.Sprintf("%-5s %s votes in the store\n", outcome, node))
	return nil
}
