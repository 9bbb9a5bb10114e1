package setup

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/setup/discover"
)

// LeavePlan is what remove and reset do.
type LeavePlan struct {
	Common []byte // the common part without the node; nil: nobody is left
	Config *config.Config
	Last   bool // nobody else has joined
	Steps  []Step
	Next   []string
}

// ErrLeave is wrapped where a node cannot be taken out.
var ErrLeave = fmt.Errorf("the node stays a member")

// MakeRemove plans the removal of another node, which runs nothing any more: its vote is taken before (Daemon's business), here its place in the
// configuration, its token and its address in the firewall. self is the node that does it.
func MakeRemove(node, self ha.NodeName, common []byte, joined Joined, l Layout) (LeavePlan, error) {
	if node == self {
		return LeavePlan{}, fmt.Errorf("%w: this is %s itself; to take it out: hactl reset", ErrLeave, node)
	}
	p, err := without(node, common, joined)
	if err != nil {
		return p, err
	}
	m, _ := p.Config.Member(self)
	if m.Name == "" {
		return p, fmt.Errorf("%w: %s, where you are, is no member; do this on a node that is", ErrLeave, self)
	}
	p.Steps = append(siteWithout(node, p, l), OwnConfig{Own{Node: self, Layout: l}})
	p.Next = append(p.Next, others(p.Config, self)...)
	p.Next = append(p.Next, twoLeft(p.Config)...)
	p.Next = append(p.Next, fmt.Sprintf("if the disk of %s is not trusted any more (stolen, sold): its certificate and keys are still good; hactl keys rotate-authority, then hactl keys rotate-gossip, and other passwords for the BMCs", node))
	return p, nil
}

// MakeReset plans this node's leaving, files and all. Of the last one everything goes.
func MakeReset(node ha.NodeName, common []byte, joined Joined, l Layout) (LeavePlan, error) {
	more := 0
	for n := range joined {
		if n != node {
			more++
		}
	}
	var p LeavePlan
	p.Last = more == 0
	if !p.Last {
		var err error
		if p, err = without(node, common, joined); err != nil {
			return p, err
		}
	}
	p.Steps = []Step{NoUnit{UnitDaemon}, PutBack{l.Config()}, NoMarks{l.Config(), p.Last}, EndGuard{l.Config()}, NoToken{node}}
	if p.Last {
		p.Steps = append(p.Steps, NoUser{}, NoFirewall{}, Gone{l.Common(), "the common part"}, Gone{l.JoinedDir(), "who has joined"},
			Gone{strings.TrimSuffix(l.Common(), "/basculed.yaml"), "the site's configuration"}, Gone{strings.TrimSuffix(l.Secret(""), "/"), "the site's keys and passwords"})
	} else {
		p.Steps = append(p.Steps, siteWithout(node, p, l)[1:]...)
		p.Next = append(p.Next, others(p.Config, node)...)
		p.Next = append(p.Next, twoLeft(p.Config)...)
	}
	p.Steps = append(p.Steps, ownFiles(l)...)
	p.Next = append(p.Next, purge)
	return p, nil
}

const purge = "apt purge bascule removes the programs"

// ownFiles removes what Bascule keeps on the machine itself.
func ownFiles(l Layout) []Step {
	return []Step{Gone{l.Etc, "this machine's configuration and keys"}, Gone{l.Data, "the store's data and the journal"}, Gone{l.Run, "sockets"}}
}

// MakeWitnessReset plans a witness's leaving, files and all. It has no Proxmox: what the site's nodes say of it stays with them until one of them
// removes it. conf is its own configuration; nil: it is gone already.
func MakeWitnessReset(conf *config.Config, l Layout) LeavePlan {
	p := LeavePlan{Steps: append([]Step{NoUnit{UnitWitness}}, ownFiles(l)...)}
	if conf != nil {
		left := *conf
		left.Members = slices.DeleteFunc(slices.Clone(conf.Members), func(m ha.Member) bool { return m.Name == conf.Node })
		p.Config = &left
		p.Next = append(p.Next, fmt.Sprintf("on a node, if the site goes on: hactl remove %s; if corosync's QDevice is here, too: pvecm qdevice remove. A new third vote: hactl init --witness HOST", conf.Node))
	}
	p.Next = append(p.Next, purge)
	return p
}

// AfterLast says what outlives the site: its witnesses, which still hold keys, and corosync's quorum device, which is Proxmox's.
func AfterLast(common []byte, f discover.Facts) (next []string) {
	if c, err := ParseCommon(common); err == nil {
		if conf, err := c.Config(); err == nil {
			for _, w := range witnesses(conf) {
				next = append(next, fmt.Sprintf("on the witness %s (%s): hactl reset --force", w.Name, w.Address))
			}
		}
	}
	if f.Corosync != nil && f.Corosync.Device != nil && f.Corosync.Device.Host != "" {
		next = append(next, fmt.Sprintf("corosync keeps its QDevice on %s; if nothing else needs it: pvecm qdevice remove", f.Corosync.Device.Host))
	}
	return next
}

// DeviceStays says that corosync's quorum device is on a member that goes. It is Proxmox's, and Proxmox's command takes it away.
func DeviceStays(node ha.NodeName, common []byte, f discover.Facts) []string {
	c, err := ParseCommon(common)
	if err != nil || f.Corosync == nil || f.Corosync.Device == nil {
		return nil
	}
	conf, err := c.Config()
	if err != nil {
		return nil
	}
	if m, ok := conf.Member(node); !ok || f.Corosync.Device.Host != m.Address {
		return nil
	}
	return []string{fmt.Sprintf("corosync's QDevice is on %s: pvecm qdevice remove, while both nodes are up; hactl init --witness HOST makes a new one", node)}
}

func witnesses(conf *config.Config) (out []ha.Member) {
	for _, m := range conf.Members {
		if m.Witness {
			out = append(out, m)
		}
	}
	return out
}

// others says what brings a changed common part to the other members. A witness has no /etc/pve: init writes its configuration from a node.
func others(conf *config.Config, self ha.NodeName) (next []string) {
	var nodes []ha.Member
	for _, m := range conf.Members {
		if m.Name != self && !m.Witness {
			nodes = append(nodes, m)
		}
	}
	if len(nodes) > 0 {
		next = append(next, fmt.Sprintf("on every other node (%s): hactl join --update", memberNames(nodes)))
	}
	for _, w := range witnesses(conf) {
		next = append(next, fmt.Sprintf("for the witness %s, on one node: hactl init --witness %s", w.Name, w.Address))
	}
	return next
}

// twoLeft warns of what would be refused at the beginning: two members without a third vote. A node that is alone needs no witness, whose death
// would stop its store.
func twoLeft(conf *config.Config) []string {
	if len(conf.Members) != 2 || conf.External() {
		return nil
	}
	if w := witnesses(conf); len(w) > 0 {
		return []string{fmt.Sprintf("only %s are left, and the death of either stops the store: a node that is alone needs no witness (hactl reset on %s, then hactl remove %s), until the next one joins", memberNames(conf.Members), w[0].Name, w[0].Name)}
	}
	return []string{fmt.Sprintf("only %s are left: without a third vote the death of either stops the store, and nothing is recovered by itself; hactl init --witness HOST", memberNames(conf.Members))}
}

// without makes the common part without a node.
func without(node ha.NodeName, common []byte, joined Joined) (LeavePlan, error) {
	c, err := ParseCommon(common)
	if err != nil {
		return LeavePlan{}, err
	}
	conf, err := c.Config()
	if err != nil {
		return LeavePlan{}, err
	}
	if _, member := conf.Member(node); !member {
		return LeavePlan{Common: common, Config: conf}, nil // what a run that was broken off has left is still taken away
	}
	c.RemoveMember(node)
	if initial := conf.Etcd.InitialVoters; len(initial) == 1 && initial[0] == node {
		to := ha.NodeName("")
		for _, v := range conf.Voters() {
			if _, there := joined[v.Name]; there && v.Name != node {
				to = v.Name
				break
			}
		}
		if to == "" {
			return LeavePlan{}, fmt.Errorf("%w: %s keeps the store and no other voter has joined; let another one vote first: voter: true in its entry of the common part, hactl join --update on every node, hactl etcd add NODE", ErrLeave, node)
		}
		c.SetInitial(to)
	}
	p := LeavePlan{}
	if p.Common, err = c.Bytes(); err != nil {
		return p, err
	}
	p.Config, err = c.Config()
	if err != nil {
		return p, fmt.Errorf("%w: without %s the configuration would not be valid: %w", ErrLeave, node, err)
	}
	return p, nil
}

// siteWithout takes a node out of what the site shares; its token first.
func siteWithout(node ha.NodeName, p LeavePlan, l Layout) []Step {
	return []Step{
		NoToken{node},
		File{Path: l.Common(), Mode: 0o640, Data: p.Common, What: "the common part without " + string(node)},
		FirewallOf(p.Config),
		Gone{l.Joined(node), "that it has joined"},
	}
}

// PutBack gives the guests here their "Start at boot" back, as it was before Bascule protected them. basculed does it from the node's own list, so the
// store need not answer; the daemon must be stopped.
type PutBack struct{ Config string }

// Title implements Step.
func (PutBack) Title() string { return "give the guests here their \"Start at boot\" back" }

// Done implements Step: a node without configuration has taken nothing away. Else basculed looks itself.
func (p PutBack) Done(_ context.Context, sys System) (bool, error) {
	there, err := exists(sys, p.Config)
	return !there, err
}

// Do implements Step.
func (p PutBack) Do(ctx context.Context, sys System) error {
	_, err := sys.Run(ctx, nil, "basculed", "restore-onboot", "--config", p.Config)
	return err
}

// NoMarks removes what this node's looks wrote on the storages, or with All what every node's did. A storage that is away keeps its own.
type NoMarks struct {
	Config string
	All    bool
}

// Title implements Step.
func (m NoMarks) Title() string {
	if m.All {
		return "remove what the nodes' looks wrote on the storages (.bascule)"
	}
	return "remove what this node's looks wrote on the storages (.bascule/look-NODE)"
}

// Done implements Step: a node without configuration has written nothing, and no longer knows of which cluster it was.
func (m NoMarks) Done(_ context.Context, sys System) (bool, error) {
	there, err := exists(sys, m.Config)
	return !there, err
}

// Do implements Step.
func (m NoMarks) Do(ctx context.Context, sys System) error {
	argv := []string{"basculed", "forget-storages", "--config", m.Config}
	if m.All {
		argv = append(argv, "--all")
	}
	_, err := sys.Run(ctx, nil, argv...)
	return err
}

// EndGuard stops the guard, once it is free: an armed guard's end would be the node's.
type EndGuard struct{ Config string }

// Title implements Step.
func (EndGuard) Title() string { return NoUnit{UnitGuard}.Title() + ", when it is disarmed" }

// Done implements Step.
func (EndGuard) Done(ctx context.Context, sys System) (bool, error) {
	return NoUnit{UnitGuard}.Done(ctx, sys)
}

// Do implements Step.
func (e EndGuard) Do(ctx context.Context, sys System) error {
	if _, err := sys.Run(ctx, nil, "basculed", "stop-check", "--guard", "--config", e.Config); err != nil {
		return fmt.Errorf("the guard may not be stopped now: %w", err)
	}
	return NoUnit{UnitGuard}.Do(ctx, sys)
}
