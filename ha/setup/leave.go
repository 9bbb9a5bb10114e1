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
	Last   bool   // nobody else has joined
	First  []Step // before the node's daemon stops
	Then   []Step
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
	p.Then = append(siteWithout(node, p, l), OwnConfig{Own{Node: self, Layout: l}})
	p.Next = append(p.Next, fmt.Sprintf("on every other node: hactl join --update (members are %s now)", memberNames(p.Config.Members)))
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
	if others == 0 {
		p.Last = true
		if len(common) > 0 {
			p.First = []Step{Unprotect{Own{Node: node, Layout: l}}}
		}
	} else {
		var err error
		if p, err = without(node, common, joined); err != nil {
			return p, err
		}
	}
	p.Then = []Step{NoUnit{UnitDaemon}, NoUnit{UnitGuard}, NoToken{node}}
	if p.Last {
		p.Then = append(p.Then, NoUser{}, NoFirewall{}, Gone{l.Common(), "the common part"}, Gone{l.JoinedDir(), "who has joined"},
			Gone{strings.TrimSuffix(l.Common(), "/basculed.yaml"), "the site's configuration"}, Gone{strings.TrimSuffix(l.Secret(""), "/"), "the site's keys and passwords"})
	} else {
		p.Then = append(p.Then, siteWithout(node, p, l)[1:]...)
		p.Next = append(p.Next, fmt.Sprintf("on every other node (%s): hactl join --update", memberNames(p.Config.Members)))
	}
	p.Then = append(p.Then, Gone{l.Etc, "this node's configuration and keys"}, Gone{l.Data, "the store's data and the journal"}, Gone{l.Run, "sockets"})
	p.Next = append(p.Next, "apt purge bascule removes the programs")
	return p, nil
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

// Unprotect takes every guest's protection away in this node's own configuration, so that its daemon puts "Start at boot" back as it was. The daemon is
// restarted with it; whoever does this waits until no guest is protected.
type Unprotect struct{ Own Own }

// Title implements Step.
func (Unprotect) Title() string {
	return "no guest is protected any more; \"Start at boot\" is put back"
}

func (u Unprotect) want(sys System) (want, have []byte, err error) {
	common, err := sys.ReadFile(u.Own.Layout.Common())
	if err != nil {
		return nil, nil, err
	}
	if have, err = sys.ReadFile(u.Own.Layout.Config()); err != nil {
		return nil, nil, err
	}
	c, err := ParseCommon(common)
	if err != nil {
		return nil, nil, err
	}
	c.ProtectNothing()
	text, err := c.Bytes()
	if err != nil {
		return nil, nil, err
	}
	want, _, err = u.Own.Render(have, text)
	return want, have, err
}

// Done implements Step.
func (u Unprotect) Done(_ context.Context, sys System) (bool, error) {
	want, have, err := u.want(sys)
	if err != nil {
		return true, ignoreMissing(err) // a node without configuration protects nothing
	}
	return string(want) == string(have), nil
}

// Do implements Step.
func (u Unprotect) Do(ctx context.Context, sys System) error {
	want, _, err := u.want(sys)
	if err != nil {
		return err
	}
	if err := sys.WriteFile(u.Own.Layout.Config(), want, 0o644); err != nil {
		return err
	}
	_, err = sys.Run(ctx, nil, "systemctl", "restart", UnitDaemon)
	return err
}
