package setup

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"bascule/ha/pve"
)

// Firewall opens Bascule's ports between the members and to nobody else: an IPSet of their addresses, a security group, and its use in the
// datacenter's rules. While the datacenter's firewall is off they do nothing, and are there when somebody switches it on.
type Firewall struct {
	Addresses []string // of all members
	Ports     Ports
}

// Ports are the members' ports.
type Ports struct{ Etcd, EtcdPeer, Gossip, API int }

// fwRule is one rule of the security group, as far as it is compared.
type fwRule struct {
	Type   string   `json:"type"`
	Action string   `json:"action"`
	Proto  string   `json:"proto"`
	Dport  pve.Word `json:"dport"`
	Source string   `json:"source"`
	Enable pve.Word `json:"enable"`
}

// rules in the order in which they stand: members may, others may not.
func (f Firewall) rules() []fwRule {
	tcp := pve.Word(fmt.Sprintf("%d,%d,%d,%d", f.Ports.Etcd, f.Ports.EtcdPeer, f.Ports.Gossip, f.Ports.API))
	udp := pve.Word(fmt.Sprint(f.Ports.Gossip))
	return []fwRule{
		{"in", "ACCEPT", "tcp", tcp, fwSource, "1"},
		{"in", "ACCEPT", "udp", udp, fwSource, "1"},
		{"in", "DROP", "tcp", tcp, "", "1"},
		{"in", "DROP", "udp", udp, "", "1"},
	}
}

// Title implements Step.
func (f Firewall) Title() string {
	return fmt.Sprintf("firewall: IPSet and security group %s: tcp %s, udp %s, from %s only", FWName, f.rules()[0].Dport, f.rules()[1].Dport, strings.Join(f.Addresses, ", "))
}

// named is a row with a name: an IPSet, a group.
type named struct {
	Name  string `json:"name"`
	Group string `json:"group"`
}

func hasIPSet(ctx context.Context, sys System) (bool, error) {
	var rows []named
	err := pvesh(ctx, sys, &rows, "get", "/cluster/firewall/ipset")
	return firstOf(rows, func(r named) bool { return r.Name == FWName }) != nil, err
}

func hasGroup(ctx context.Context, sys System) (bool, error) {
	var rows []named
	err := pvesh(ctx, sys, &rows, "get", "/cluster/firewall/groups")
	return firstOf(rows, func(r named) bool { return r.Group == FWName }) != nil, err
}

// inSet reads the IPSet's addresses.
func inSet(ctx context.Context, sys System) (out []string, err error) {
	var rows []struct {
		CIDR string `json:"cidr"`
	}
	err = pvesh(ctx, sys, &rows, "get", "/cluster/firewall/ipset/"+FWName)
	for _, r := range rows {
		out = append(out, r.CIDR)
	}
	return out, err
}

func inGroup(ctx context.Context, sys System) (rows []fwRule, err error) {
	return rows, pvesh(ctx, sys, &rows, "get", "/cluster/firewall/groups/"+FWName)
}

// use is where the datacenter's rules use the group; -1: nowhere.
func use(ctx context.Context, sys System) (int, error) {
	var rows []fwRule
	err := pvesh(ctx, sys, &rows, "get", "/cluster/firewall/rules")
	return slices.IndexFunc(rows, func(r fwRule) bool { return r.Type == "group" && r.Action == FWName }), err
}

// Done implements Step.
func (f Firewall) Done(ctx context.Context, sys System) (bool, error) {
	set, err := hasIPSet(ctx, sys)
	if err != nil || !set {
		return false, err
	}
	have, err := inSet(ctx, sys)
	if err != nil || len(missing(f.Addresses, have)) > 0 || len(missing(have, f.Addresses)) > 0 {
		return false, err
	}
	group, err := hasGroup(ctx, sys)
	if err != nil || !group {
		return false, err
	}
	rules, err := inGroup(ctx, sys)
	if err != nil || !slices.Equal(rules, f.rules()) {
		return false, err
	}
	at, err := use(ctx, sys)
	return at >= 0, err
}

// Do implements Step: addresses first, then the rules that use them, last their use.
func (f Firewall) Do(ctx context.Context, sys System) error {
	for _, part := range []func(context.Context, System) error{f.doSet, f.doGroup, f.doUse} {
		if err := part(ctx, sys); err != nil {
			return err
		}
	}
	return nil
}

func (f Firewall) doSet(ctx context.Context, sys System) error {
	set, err := hasIPSet(ctx, sys)
	if err != nil {
		return err
	}
	if !set {
		if err := pvesh(ctx, sys, nil, "create", "/cluster/firewall/ipset", "--name", FWName, "--comment", "Bascule's members"); err != nil {
			return err
		}
	}
	have, err := inSet(ctx, sys)
	if err != nil {
		return err
	}
	for _, a := range missing(f.Addresses, have) {
		if err := pvesh(ctx, sys, nil, "create", "/cluster/firewall/ipset/"+FWName, "--cidr", a); err != nil {
			return err
		}
	}
	for _, a := range missing(have, f.Addresses) {
		if err := pvesh(ctx, sys, nil, "delete", "/cluster/firewall/ipset/"+FWName+"/"+a); err != nil {
			return err
		}
	}
	return nil
}

// doGroup makes the group's rules anew where one differs: the group is Bascule's own. Proxmox puts each new rule first.
func (f Firewall) doGroup(ctx context.Context, sys System) error {
	group, err := hasGroup(ctx, sys)
	if err != nil {
		return err
	}
	if !group {
		if err := pvesh(ctx, sys, nil, "create", "/cluster/firewall/groups", "--group", FWName, "--comment", "Bascule's ports, members only"); err != nil {
			return err
		}
	}
	have, err := inGroup(ctx, sys)
	if err != nil || slices.Equal(have, f.rules()) {
		return err
	}
	for range have {
		if err := pvesh(ctx, sys, nil, "delete", "/cluster/firewall/groups/"+FWName+"/0"); err != nil {
			return err
		}
	}
	for _, r := range slices.Backward(f.rules()) {
		options := []string{"--type", r.Type, "--action", r.Action, "--proto", r.Proto, "--dport", string(r.Dport), "--enable", "1"}
		if r.Source != "" {
			options = append(options, "--source", r.Source)
		}
		if err := pvesh(ctx, sys, nil, "create", "/cluster/firewall/groups/"+FWName, options...); err != nil {
			return err
		}
	}
	return nil
}

func (f Firewall) doUse(ctx context.Context, sys System) error {
	at, err := use(ctx, sys)
	if err != nil || at >= 0 {
		return err
	}
	return pvesh(ctx, sys, nil, "create", "/cluster/firewall/rules", "--type", "group", "--action", FWName, "--enable", "1")
}

// NoFirewall removes what Firewall made.
type NoFirewall struct{}

// Title implements Step.
func (NoFirewall) Title() string { return "firewall: remove IPSet and security group " + FWName }

// Done implements Step.
func (NoFirewall) Done(ctx context.Context, sys System) (bool, error) {
	set, err := hasIPSet(ctx, sys)
	if err != nil || set {
		return false, err
	}
	group, err := hasGroup(ctx, sys)
	return !group, err
}

// Do implements Step: the use first, the addresses last.
func (NoFirewall) Do(ctx context.Context, sys System) error {
	for {
		at, err := use(ctx, sys)
		if err != nil {
			return err
		}
		if at < 0 {
			break
		}
		if err := pvesh(ctx, sys, nil, "delete", fmt.Sprintf("/cluster/firewall/rules/%d", at)); err != nil {
			return err
		}
	}
	if group, err := hasGroup(ctx, sys); err != nil {
		return err
	} else if group {
		rules, err := inGroup(ctx, sys)
		if err != nil {
			return err
		}
		for range rules {
			if err := pvesh(ctx, sys, nil, "delete", "/cluster/firewall/groups/"+FWName+"/0"); err != nil {
				return err
			}
		}
		if err := pvesh(ctx, sys, nil, "delete", "/cluster/firewall/groups/"+FWName); err != nil {
			return err
		}
	}
	set, err := hasIPSet(ctx, sys)
	if err != nil || !set {
		return err
	}
	return pvesh(ctx, sys, nil, "delete", "/cluster/firewall/ipset/"+FWName, "--force", "1")
}

// missing lists what is wanted and not there.
func missing(want, have []string) (out []string) {
	for _, w := range want {
		if !slices.Contains(have, w) {
			out = append(out, w)
		}
	}
	return out
}
