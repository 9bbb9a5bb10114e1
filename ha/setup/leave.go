package setup

import (
	"context"
	"fmt"
	"strings"

	"bascule/config"
	"bascule/ha"
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
	p.Next = append(p.Next, fmt.Sprintf("on every other node: hactl join --update (members are %s now)", memberNames(p.Config.Members)))
	p.Next = append(p.Next, twoLeft(p.Config)...)
	return p, nil
}

// MakeReset plans this node's leaving, files and all. Of the last one everything goes.
func MakeReset(node ha.NodeName, common []byte, joined Joined, l Layout) (LeavePlan, error) {
	others := 0
	for n := range joined {
		if n != node {
			others++
		}
	}
	var p LeavePlan
	p.Last = others == 0
	if !p.Last {
		var err error
		if p, err = without(node, common, joined); err != nil {
			return p, err
		}
	}
	p.Steps = []Step{NoUnit{UnitDaemon}, PutBack{l.Config()}, EndGuard{l.Config()}, NoToken{node}}
	if p.Last {
		p.Steps = append(p.Steps, NoUser{}, NoFirewall{}, Gone{l.Common(), "the common part"}, Gone{l.JoinedDir(), "who has joined"},
			Gone{strings.TrimSuffix(l.Common(), "/basculed.yaml"), "the site's configuration"}, Gone{strings.TrimSuffix(l.Secret(""), "/"), "the site's keys and passwords"})
	} else {
		p.Steps = append(p.Steps, siteWithout(node, p, l)[1:]...)
		p.Next = append(p.Next, fmt.Sprintf("on every other node (%s): hactl join --update", memberNames(p.Config.Members)))
		p.Next = append(p.Next, twoLeft(p.Config)...)
	}
	p.Steps = append(p.Steps, Gone{l.Etc, "this node's configuration and keys"}, Gone{l.Data, "the store's data and the journal"}, Gone{l.Run, "sockets"})
	p.Next = append(p.Next, "apt purge bascule removes the programs")
	return p, nil
}

// twoLeft warns of what would be refused at the beginning: two members without a third vote.
func twoLeft(conf *config.Config) []string {
	if len(conf.Members) != 2 || conf.External() {
		return nil
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
