package setup

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/setup/discover"
	"bascule/ha/setup/pki"
)

// Plan is what init will do.
type Plan struct {
	Node     ha.NodeName
	Common   []byte // the common part of the configuration
	Config   *config.Config
	Choices  []Choice
	Warnings []string
	Site     []Step   // once for the site
	Own      []Step   // on this node
	Witness  []Step   // on and for the witness, when this node's daemon runs
	Next     []string // what the operator does then
}

// Choice is one thing that was chosen, and why.
type Choice struct{ What, Chosen, Why string }

// Refusals. Each text says what to do.
var (
	ErrNoProxmox  = errors.New("this is no node of Proxmox VE that is ready")
	ErrThirdVote  = errors.New("two nodes without a third vote cannot recover by themselves")
	ErrFacts      = errors.New("the site cannot be set up as it is")
	ErrNotAMember = errors.New("this node is not part of the site")
)

// site is a plan in the making.
type site struct {
	facts   discover.Facts
	answers Answers
	layout  Layout
	now     time.Time
	nodes   []discover.Site // with addresses
	plan    Plan
}

// Make plans the set-up of a site from its first node. common is the common part that is there already, nil if none: what people may have changed
// in it stays.
func Make(f discover.Facts, a Answers, common []byte, l Layout, now time.Time) (Plan, error) {
	s := &site{facts: f, answers: a, layout: l, now: now, plan: Plan{Node: f.Node}}
	if err := s.check(); err != nil {
		return Plan{}, err
	}
	if err := s.common(common); err != nil {
		return Plan{}, err
	}
	s.chooseFencing()
	s.chooseGuests()
	s.plan.Site = s.siteSteps()
	s.plan.Own = OwnSteps(s.plan.Config, NodeFacts{Node: f.Node, MachineID: f.MachineID, Watchdogs: f.Watchdogs, TrustSoftdog: a.TrustSoftdog}, l, now)
	s.witness()
	s.next()
	return s.plan, nil
}

func (s *site) choose(what, chosen, why string, args ...any) {
	s.plan.Choices = append(s.plan.Choices, Choice{what, chosen, fmt.Sprintf(why, args...)})
}

func (s *site) warn(format string, args ...any) {
	s.plan.Warnings = append(s.plan.Warnings, fmt.Sprintf(format, args...))
}

// check refuses what nothing can be built on.
func (s *site) check() error {
	f := s.facts
	switch {
	case !f.PVE:
		return fmt.Errorf("%w: %s. On a machine without Proxmox VE there is nothing to protect; a witness is set up from a node: hactl init --witness HOST", ErrNoProxmox, strings.Join(f.Unread, "; "))
	case len(f.Unread) > 0:
		return fmt.Errorf("%w: %s", ErrFacts, strings.Join(f.Unread, "; "))
	case !f.Members.Quorate:
		return fmt.Errorf("%w: Proxmox's cluster has no quorum, so /etc/pve cannot be written; bring the other nodes back first (pvecm status)", ErrFacts)
	}
	for _, n := range f.Nodes() {
		if a := s.answers.Addresses[n.Name]; a != "" {
			n.Address = a
		}
		if _, err := netip.ParseAddr(n.Address); err != nil { // a name in corosync.conf: what it resolved to
			for _, m := range f.Members.Nodes {
				if m.Name == n.Name && m.IP != "" {
					n.Address = m.IP
				}
			}
		}
		if _, err := netip.ParseAddr(n.Address); err != nil && f.Corosync != nil {
			return fmt.Errorf("%w: the address of %s is not known; give it: --address %s=IP", ErrFacts, n.Name, n.Name)
		} else if err != nil {
			return fmt.Errorf("%w: a single node has no cluster network; give the address that later nodes will reach it at: --address %s=IP", ErrFacts, n.Name)
		}
		s.nodes = append(s.nodes, n)
	}
	if !slices.ContainsFunc(s.nodes, func(n discover.Site) bool { return n.Name == f.Node }) {
		return fmt.Errorf("%w: corosync.conf does not list %s; join it to Proxmox's cluster first (pvecm add)", ErrNotAMember, f.Node)
	}
	if len(s.nodes) == 2 && s.answers.Witness == nil && !s.answers.WithoutRecovery {
		return s.refuseTwo()
	}
	return nil
}

// refuseTwo says why two nodes alone are no cluster that recovers.
func (s *site) refuseTwo() error {
	more := ""
	if d := s.facts.Corosync.Device; d != nil && d.Host != "" {
		more = fmt.Sprintf(" Corosync's third vote is on %s already: the same machine can be Bascule's (--witness %s).", d.Host, d.Host)
	}
	return fmt.Errorf("%w: when one of %s and %s dies, the other cannot know whether it is dead or cut off, Proxmox makes /etc/pve read-only and the store has no majority. "+
		"Nothing was written. Give a third vote on any small machine that runs all the time, not on these two: hactl init --witness HOST (ssh as root must work).%s "+
		"Without one: hactl init --without-recovery sets up status, drain and alerts; after a death a person decides", ErrThirdVote, s.nodes[0].Name, s.nodes[1].Name, more)
}

// siteSteps are made once for the site, from its first node.
func (s *site) siteSteps() []Step {
	l, conf := s.layout, s.plan.Config
	steps := []Step{
		Authority{Layout: l, Cluster: conf.Cluster, Now: s.now},
		Once{Path: l.GossipKeys(), Mode: 0o600, What: "the gossip's encryption key", Make: func() ([]byte, error) { return []byte(pki.NewGossipKey() + "\n"), nil }},
	}
	for _, d := range s.answers.Devices {
		if d.Password != "" {
			steps = append(steps, File{Path: l.Secret(d.Name + ".password"), Mode: 0o600, Data: []byte(d.Password + "\n"), Secret: true, What: "password of " + d.Name})
		}
	}
	return append(steps,
		File{Path: l.Common(), Mode: 0o640, Data: s.plan.Common, What: "the configuration that all members share"},
		Role{}, User{}, Grant{}, FirewallOf(conf))
}

// FirewallOf opens the ports that a configuration names, for its members.
func FirewallOf(conf *config.Config) Firewall {
	f := Firewall{Ports: Ports{Etcd: conf.Etcd.ClientPort, EtcdPeer: conf.Etcd.PeerPort, Gossip: conf.Gossip.Port, API: conf.API.Port}}
	for _, m := range conf.Members {
		f.Addresses = append(f.Addresses, m.Address)
	}
	return f
}

// next says how to go on.
func (s *site) next() {
	var others []string
	for _, n := range s.nodes {
		if n.Name != s.facts.Node {
			others = append(others, string(n.Name))
		}
	}
	if len(others) > 0 {
		s.plan.Next = append(s.plan.Next, fmt.Sprintf("on %s, one after the other: install the package, then hactl join", strings.Join(others, ", ")))
	}
	tags := s.plan.Config.Protect.Tags
	if ours, _ := s.ours(); len(ours) == 0 && len(tags) > 0 && !s.answers.protects() {
		s.plan.Next = append(s.plan.Next, fmt.Sprintf("give the guests to protect the tag %s in Proxmox's page", strings.Join(tags, " or ")))
	}
	s.plan.Next = append(s.plan.Next, "hactl doctor says what is still weak, hactl status what is wrong")
}
