package setup

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"bascule/config"
	"bascule/ha"
)

var notClusterName = regexp.MustCompile(`[^a-z0-9-]+`)

// name is the cluster's name.
func (s *site) name() string {
	name, why := s.answers.Cluster, "as asked"
	if name == "" && s.facts.Corosync != nil {
		name, why = s.facts.Corosync.Cluster, "corosync's name"
	}
	if name == "" {
		name, why = string(s.facts.Node), "a single node: its own name"
	}
	fits := strings.Trim(notClusterName.ReplaceAllString(strings.ToLower(name), "-"), "-")
	if len(fits) > 32 {
		fits = fits[:32]
	}
	if fits != name {
		why += fmt.Sprintf(" %q, in small letters", name)
	}
	s.choose("cluster", fits, "%s", why)
	return fits
}

// common makes the common part, or takes the one that is there.
func (s *site) common(have []byte) error {
	if len(have) > 0 {
		return s.keepCommon(have)
	}
	text := s.text()
	c, err := ParseCommon([]byte(text))
	if err != nil {
		return err
	}
	for _, d := range s.answers.Devices {
		c.AddDevice(s.device(d))
	}
	return s.take(c)
}

// keepCommon takes the common part that is there, with the members and devices that this run adds.
func (s *site) keepCommon(have []byte) error {
	c, err := ParseCommon(have)
	if err != nil {
		return fmt.Errorf("%s: %w; put it right, or remove it to have it made anew", s.layout.Common(), err)
	}
	conf, err := c.Config()
	if err != nil {
		return err
	}
	s.choose("configuration", s.layout.Common(), "it is there already and stays as it is; only what was asked for now is added")
	changed := false
	if w := s.answers.Witness; w != nil {
		if _, ok := conf.Member(w.Name); !ok {
			c.AddMember(config.MemberSettings{Name: w.Name, Address: w.Address, Witness: true})
			changed = true
		}
	}
	for _, d := range s.answers.Devices {
		c.AddDevice(s.device(d))
		changed = true
	}
	if err := s.take(c); err != nil {
		return err
	}
	if !changed {
		s.plan.Common = have // byte for byte
	}
	return nil
}

// take makes a common part the plan's.
func (s *site) take(c *Common) (err error) {
	if s.plan.Common, err = c.Bytes(); err != nil {
		return err
	}
	s.plan.Config, err = c.Config()
	return err
}

// device is the setting of a fencing device with its password's file.
func (s *site) device(d Device) config.DeviceSettings {
	out := d.DeviceSettings
	out.Settings = map[string]string{}
	for k, v := range d.Settings {
		out.Settings[k] = v
	}
	if needsPassword(d.Method) {
		out.Settings["password_file"] = s.layout.Password(d.Name)
	}
	return out
}

func needsPassword(method string) bool { return method == "ipmi" || method == "redfish" }

// text is a fresh common part.
func (s *site) text() string {
	var b strings.Builder
	b.WriteString("# Bascule: what all members say alike. Proxmox replicates this file; every node runs with its own copy, /etc/bascule/basculed.yaml,\n" +
		"# so that it starts without quorum too. After a change here, on every node: hactl join --update\n")
	timing := s.answers.Timing
	if timing == "" {
		timing = "normal"
		s.choose("timing", timing, "leases of 5 s; hactl doctor measures whether the hardware carries fast")
	} else {
		s.choose("timing", timing, "as asked")
	}
	fmt.Fprintf(&b, "cluster: %s\ntiming:\n  profile: %s\nmembers:\n", s.name(), timing)
	voters := s.voters()
	for _, n := range s.nodes {
		vote := "" // a spare: it votes in the place of a voter that is gone for good
		switch {
		case slices.Contains(voters, n.Name):
			vote = ", voter: true"
		case s.manualOnly():
			vote = ", voter: false"
		}
		fmt.Fprintf(&b, "  - {name: %s, address: %q%s}\n", n.Name, n.Address, vote)
	}
	if w := s.answers.Witness; w != nil {
		fmt.Fprintf(&b, "  - {name: %s, address: %q, witness: true}\n", w.Name, w.Address)
	}
	fmt.Fprintf(&b, "etcd:\n  # The store was formed here; every other voter is let in by its hactl join.\n  initial_voters: [%s]\n", s.facts.Node)
	b.WriteString(s.protect())
	if s.manualOnly() {
		b.WriteString("fencing:\n  # No third vote: nothing is recovered by itself. A person looks, then hactl confirm-off.\n  levels:\n")
		for _, n := range s.nodes {
			fmt.Fprintf(&b, "    %s: [[manual]]\n", n.Name)
		}
	}
	return b.String()
}

// manualOnly says that no death is ever proven by a device: two nodes without a third vote.
func (s *site) manualOnly() bool { return len(s.nodes) == 2 && s.answers.Witness == nil }

// voters chooses who keeps the store: this node, then the others in order, to 3, or 5 from five members on.
func (s *site) voters() []ha.NodeName {
	members, witness := len(s.nodes), 0
	if s.answers.Witness != nil {
		members, witness = members+1, 1
	}
	want := 3
	if members >= 5 {
		want = 5
	}
	want -= witness
	if s.manualOnly() {
		want = 1 // a second vote would only be a second way to lose the store
	}
	out := []ha.NodeName{s.facts.Node}
	for _, n := range s.nodes {
		if len(out) < want && n.Name != s.facts.Node {
			out = append(out, n.Name)
		}
	}
	all := len(out) + witness
	names := make([]string, 0, all)
	for _, v := range out {
		names = append(names, string(v))
	}
	if witness == 1 {
		names = append(names, string(s.answers.Witness.Name))
	}
	switch {
	case all == 1 && len(s.nodes) == 1:
		s.choose("voters", names[0], "a single node: nothing can fail over to anywhere until a second one joins")
	case all == 1:
		s.choose("voters", names[0], "without a third vote a second one would only be a second way to lose the store")
	default:
		s.choose("voters", strings.Join(names, ", "), "%d votes bear the loss of %d; %s forms the store, each of the others is let in when it joins", all, (all-1)/2, s.facts.Node)
	}
	addresses := make([]string, 0, len(s.nodes))
	for _, n := range s.nodes {
		addresses = append(addresses, n.Address)
	}
	why := "corosync's first link: made for short round trips"
	if s.facts.Corosync != nil && len(s.facts.Corosync.Links) > 1 {
		why += fmt.Sprintf("; corosync has %d links, gossip uses this one", len(s.facts.Corosync.Links))
	}
	if len(s.answers.Addresses) > 0 {
		why = "as asked"
	}
	s.choose("addresses", strings.Join(addresses, ", "), "%s", why)
	return out
}
