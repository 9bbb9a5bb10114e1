package setup

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/setup/discover"
)

// NodeFacts is what a node's own part is made from.
type NodeFacts struct {
	Node         ha.NodeName
	MachineID    string
	Watchdogs    discover.Watchdogs
	TrustSoftdog bool
}

// The units of a node, in the order in which they are started.
const (
	UnitGuard   = "bascule-guard.service"
	UnitDaemon  = "basculed.service"
	UnitWitness = "basculed-witness.service"
)

// OwnSteps makes a node a member that runs: what hactl join does, and init on its own node.
func OwnSteps(conf *config.Config, n NodeFacts, l Layout, now time.Time) []Step {
	self, _ := conf.Member(n.Node)
	own := Own{Node: n.Node, Watchdog: watchdogOf(conf, n.Node, n.Watchdogs, n.TrustSoftdog), Layout: l}
	steps := append(trustSteps(l), OwnConfig{own}, Certificate{Layout: l, Node: n.Node, Addresses: []string{self.Address}, Now: now})
	steps = append(steps, passwordSteps(conf, l)...)
	return append(steps,
		Token{Node: n.Node, File: l.Local("proxmox.token")}, Grant{Token: n.Node},
		Unit{UnitGuard}, Unit{UnitDaemon},
		File{Path: l.Joined(n.Node), Mode: 0o640, Data: []byte(n.MachineID + "\n"), What: "which machine has joined as " + string(n.Node)})
}

// trustSteps copies what members know each other by.
func trustSteps(l Layout) []Step {
	return []Step{
		Copy{From: l.CACert(), To: l.Local("tls/ca.pem"), Mode: 0o644, What: "the authority's certificate"},
		Copy{From: l.GossipKeys(), To: l.Local("gossip.keys"), Mode: 0o600, What: "the gossip's key"},
	}
}

// passwordSteps copies the passwords of the devices that the configuration names, so that a node can fence without quorum.
func passwordSteps(conf *config.Config, l Layout) (steps []Step) {
	for _, d := range conf.Fencing.Devices {
		if file := d.Settings["password_file"]; file == l.Password(d.Name) {
			steps = append(steps, Copy{From: l.Secret(path.Base(file)), To: file, Mode: 0o600, What: "password of " + d.Name})
		}
	}
	return steps
}

// Unit is a systemd unit that runs, now and after every boot.
type Unit struct{ Name string }

// Title implements Step.
func (u Unit) Title() string { return "systemctl enable --now " + u.Name }

// Done implements Step.
func (u Unit) Done(ctx context.Context, sys System) (bool, error) {
	for _, ask := range []string{"is-enabled", "is-active"} {
		if _, err := sys.Run(ctx, nil, "systemctl", ask, "--quiet", u.Name); err != nil {
			return false, nil // systemctl says no by its exit status
		}
	}
	return true, nil
}

// Do implements Step.
func (u Unit) Do(ctx context.Context, sys System) error {
	if _, err := sys.Run(ctx, nil, "systemctl", "enable", "--now", u.Name); err != nil {
		return fmt.Errorf("%w; is the package installed, and what does journalctl -u %s say?", err, u.Name)
	}
	return nil
}

// NoUnit is a unit that neither runs nor starts at boot.
type NoUnit struct{ Name string }

// Title implements Step.
func (u NoUnit) Title() string { return "systemctl disable --now " + u.Name }

// Done implements Step.
func (u NoUnit) Done(ctx context.Context, sys System) (bool, error) {
	for _, ask := range []string{"is-enabled", "is-active"} {
		if _, err := sys.Run(ctx, nil, "systemctl", ask, "--quiet", u.Name); err == nil {
			return false, nil
		}
	}
	return true, nil
}

// Do implements Step.
func (u NoUnit) Do(ctx context.Context, sys System) error {
	_, err := sys.Run(ctx, nil, "systemctl", "disable", "--now", u.Name)
	return err
}

// JoinPlan is what join will do.
type JoinPlan struct {
	Plan
	Added     bool // the node was no member: the others need hactl join --update
	Reinstall bool // its name has joined before with another machine, or its store is gone
	Voter     bool // it is to be let into the store
}

// Joined is who has joined already: node → machine id, from the files of Layout.JoinedDir.
type Joined map[ha.NodeName]string

// ReadJoined reads who has joined.
func ReadJoined(sys System, l Layout) (Joined, error) {
	names, err := sys.List(l.JoinedDir())
	if err != nil {
		return nil, err
	}
	out := Joined{}
	for _, n := range names {
		data, err := sys.ReadFile(l.Joined(ha.NodeName(n)))
		if err != nil {
			return nil, err
		}
		out[ha.NodeName(n)] = strings.TrimSpace(string(data))
	}
	return out, nil
}

// MakeJoin plans a node's joining. hasStore says whether the node has the store's data on its disk.
func MakeJoin(f discover.Facts, a Answers, common []byte, joined Joined, hasStore bool, l Layout, now time.Time) (JoinPlan, error) {
	s := &site{facts: f, answers: a, layout: l, now: now, plan: Plan{Node: f.Node}}
	if len(common) == 0 {
		return JoinPlan{}, fmt.Errorf("%w: %s is not there; run hactl init on one node first", ErrFacts, l.Common())
	}
	if !f.PVE || !f.Members.Quorate {
		return JoinPlan{}, fmt.Errorf("%w: Proxmox's cluster must have quorum here to join (pvecm status); %s", ErrNoProxmox, strings.Join(f.Unread, "; "))
	}
	c, err := ParseCommon(common)
	if err != nil {
		return JoinPlan{}, fmt.Errorf("%s: %w", l.Common(), err)
	}
	conf, err := c.Config()
	if err != nil {
		return JoinPlan{}, err
	}
	p := JoinPlan{}
	changed := false
	if _, member := conf.Member(f.Node); !member {
		if err := s.addSelf(c); err != nil {
			return JoinPlan{}, err
		}
		p.Added, changed = true, true
	}
	id, before := joined[f.Node]
	p.Reinstall = before && (id != f.MachineID || !hasStore)
	if moved, err := s.moveInitial(c, conf, joined, hasStore); err != nil {
		return JoinPlan{}, err
	} else if moved {
		changed = true
	}
	for _, d := range a.Devices {
		c.AddDevice(s.device(d))
		changed = true
	}
	if err := s.take(c); err != nil {
		return JoinPlan{}, err
	}
	if !changed {
		s.plan.Common = common
	}
	s.joinChoices(p)
	if changed {
		s.plan.Site = s.changeSteps()
	}
	s.plan.Own = OwnSteps(s.plan.Config, NodeFacts{Node: f.Node, MachineID: f.MachineID, Watchdogs: f.Watchdogs, TrustSoftdog: a.TrustSoftdog}, l, now)
	p.Plan = s.plan
	votes := func(m ha.Member) bool { return m.Name == f.Node }
	p.Voter = slices.ContainsFunc(p.Config.Voters(), votes)
	if p.Added {
		p.Next = append(p.Next, moreVoters(conf, p.Config, f.Node)...)
	}
	if p.Added || len(a.Devices) > 0 {
		p.Next = append(p.Next, others(p.Config, f.Node)...)
	}
	return p, nil
}

// moreVoters says which other members are to vote as well now: the fifth member makes five voters of three.
func moreVoters(before, after *config.Config, self ha.NodeName) (next []string) {
	voted := before.Voters()
	for _, v := range after.Voters() {
		if v.Name != self && !slices.Contains(voted, v) {
			next = append(next, fmt.Sprintf("%s is to vote too, now that there are %d members: hactl join --update on it, then hactl etcd add %s", v.Name, len(after.Members), v.Name))
		}
	}
	return next
}

// addSelf makes this node a member: a spare, or a voter where votes are missing.
func (s *site) addSelf(c *Common) error {
	for _, n := range s.facts.Nodes() {
		if n.Name != s.facts.Node {
			continue
		}
		if a := s.answers.Addresses[n.Name]; a != "" {
			n.Address = a
		}
		if n.Address == "" {
			return fmt.Errorf("%w: the address of %s is not known; give it: --address %s=IP", ErrFacts, n.Name, n.Name)
		}
		c.AddMember(config.MemberSettings{Name: n.Name, Address: n.Address})
		s.choose("members", string(n.Name)+" is added", "Proxmox's cluster has it, Bascule's did not")
		return nil
	}
	return fmt.Errorf("%w: corosync.conf does not list %s; join it to Proxmox's cluster first (pvecm add)", ErrNotAMember, s.facts.Node)
}

// moveInitial keeps a second store from forming: where this node is said to have formed the store and its data are gone while others have
// joined, another voter stands there instead.
func (s *site) moveInitial(c *Common, conf *config.Config, joined Joined, hasStore bool) (bool, error) {
	if hasStore || !slices.Contains(conf.Etcd.InitialVoters, s.facts.Node) {
		return false, nil
	}
	var stay []ha.NodeName
	for _, v := range conf.Voters() {
		if _, there := joined[v.Name]; there && v.Name != s.facts.Node && (len(stay) == 0 || slices.Contains(conf.Etcd.InitialVoters, v.Name)) {
			stay = append(stay, v.Name)
		}
	}
	more := 0
	for name := range joined {
		if name != s.facts.Node {
			more++
		}
	}
	if len(stay) > 0 {
		c.SetInitial(stay...)
		s.choose("store", "this node is let in anew", "it formed the store, its data are gone and %s has them: a second store must not form", stay[0])
		return true, nil
	}
	if more > 0 {
		return false, fmt.Errorf("%w: this node formed the store and has lost its data, and no other voter has joined; restore a backup (docs/operate.md)", ErrFacts)
	}
	return false, nil
}

// changeSteps writes a changed common part, with passwords that came with it, and lets the firewall follow.
func (s *site) changeSteps() (steps []Step) {
	for _, d := range s.answers.Devices {
		if d.Password != "" {
			steps = append(steps, File{Path: s.layout.Secret(d.Name + ".password"), Mode: 0o600, Data: []byte(d.Password + "\n"), Secret: true, What: "password of " + d.Name})
		}
	}
	return append(steps, File{Path: s.layout.Common(), Mode: 0o640, Data: s.plan.Common, What: "the configuration that all members share"}, FirewallOf(s.plan.Config))
}

func (s *site) joinChoices(p JoinPlan) {
	if p.Reinstall {
		s.choose("store", "a new member in the old one's place", "%s has joined before, with another disk: its vote is replaced", s.facts.Node)
	}
	w := watchdogOf(s.plan.Config, s.facts.Node, s.facts.Watchdogs, s.answers.TrustSoftdog)
	s.choose("watchdog of "+string(s.facts.Node), w.Driver, "%s", w.Why)
	if w.Driver == "none" && !slices.ContainsFunc(s.plan.Config.Fencing.Devices, func(d config.DeviceSettings) bool { return d.Node == s.facts.Node }) {
		s.warn("%s has neither a fencing device nor a watchdog that counts: after its death its guests wait for hactl confirm-off; give its BMC: hactl join --bmc ipmi:ADDRESS,user=USER,password-file=FILE", s.facts.Node)
	}
}

// Update is what join --update does: the node's configuration from the common part, with the keys and passwords that came with it. It returns
// the text that shall be and the one that is.
func Update(sys System, node ha.NodeName, l Layout) (steps []Step, want, have []byte, err error) {
	own := OwnConfig{Own{Node: node, Layout: l}}
	if have, err = sys.ReadFile(l.Config()); ignoreMissing(err) != nil {
		return nil, nil, nil, err
	}
	if !strings.Contains(string(have), border) {
		return nil, nil, nil, fmt.Errorf("%w: %s was not written by hactl; run hactl join, which keeps a copy of it", ErrFacts, l.Config())
	}
	if want, _, _, err = own.Want(sys); err != nil {
		return nil, nil, nil, err
	}
	conf, err := config.Parse(l.Config(), want)
	if err != nil {
		return nil, nil, nil, err
	}
	steps = append(trustSteps(l), passwordSteps(conf, l)...)
	return append(steps, own), want, have, nil
}
