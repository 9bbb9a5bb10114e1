package setup

import (
	"fmt"
	"slices"
	"strings"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/setup/discover"
)

// protect renders which guests are protected.
func (s *site) protect() string {
	a := s.answers
	var lines, said []string
	if a.All {
		lines, said = append(lines, "  all: true"), append(said, "every guest")
	}
	if len(a.Tags) > 0 || !a.protects() {
		tags := a.Tags
		if len(tags) == 0 {
			tags = []string{"ha"}
		}
		lines, said = append(lines, "  tags: ["+strings.Join(tags, ", ")+"]"), append(said, "tag "+strings.Join(tags, ", "))
	} else {
		lines = append(lines, "  tags: []")
	}
	if len(a.Pools) > 0 {
		lines, said = append(lines, "  pools: ["+strings.Join(a.Pools, ", ")+"]"), append(said, "pool "+strings.Join(a.Pools, ", "))
	}
	if len(a.VMIDs) > 0 {
		ids := strings.Trim(strings.ReplaceAll(fmt.Sprint(a.VMIDs), " ", ", "), "[]")
		lines, said = append(lines, "  vmids: ["+ids+"]"), append(said, ids)
	}
	why := "as asked"
	if !a.protects() {
		why = "the tag is given and taken in Proxmox's page, guest by guest"
	}
	s.choose("protected guests", strings.Join(said, "; "), "%s", why)
	return "protect:\n" + strings.Join(lines, "\n") + "\n"
}

// chooseFencing says how each node would be proven off, and warns of those that nothing proves.
func (s *site) chooseFencing() {
	conf := s.plan.Config
	w := watchdogOf(conf, s.facts.Node, s.facts.Watchdogs, s.answers.TrustSoftdog)
	for _, m := range conf.Members {
		if m.Witness {
			continue
		}
		var ways []string
		for _, level := range conf.Levels(m.Name) {
			if !slices.Contains(level, "manual") {
				ways = append(ways, strings.Join(level, " and "))
			}
		}
		switch {
		case s.manualOnly():
			s.choose("fencing of "+string(m.Name), "by hand", "two nodes without a third vote: a person decides (hactl confirm-off)")
		case len(ways) > 0:
			s.choose("fencing of "+string(m.Name), strings.Join(ways, ", then "), "its power can be switched and read back")
		case m.Name == s.facts.Node && w.Driver != "none":
			s.choose("fencing of "+string(m.Name), "its own watchdog", "no BMC was given: its end is proven by time")
		case m.Name == s.facts.Node:
			s.choose("fencing of "+string(m.Name), "by hand", "no BMC was given and no watchdog counts")
			s.warn("%s: after its death its guests wait for hactl confirm-off; give its BMC (--bmc) or a watchdog", m.Name)
		default:
			s.choose("fencing of "+string(m.Name), "its own watchdog, if its hactl join finds one", "no BMC was given")
		}
	}
	s.choose("watchdog of "+string(s.facts.Node), w.Driver, "%s", w.Why)
	if s.facts.BMC.Present && !slices.ContainsFunc(conf.Fencing.Devices, func(d config.DeviceSettings) bool { return d.Node == s.facts.Node }) && !s.manualOnly() {
		at := s.facts.BMC.Address
		if at == "" {
			at = "ADDRESS"
		}
		s.warn("%s has a BMC that is not used; for recovery within seconds: hactl init --bmc %s=ipmi:%s,user=USER,password-file=FILE", s.facts.Node, s.facts.Node, at)
	}
	s.storages()
}

// storages says what the protected guests lie on, and what could prove more.
func (s *site) storages() {
	local, shared := map[string][]string{}, map[string]bool{}
	for _, g := range s.protected() {
		for _, name := range g.Storages {
			st, ok := s.facts.Storage(name)
			switch {
			case ok && st.Shared:
				shared[st.Type] = true
			default:
				local[name] = append(local[name], fmt.Sprint(g.VMID))
			}
		}
	}
	for _, name := range sortedSet(local) {
		s.warn("guest %s lies on %s, which only its own node reaches: it can be restarted nowhere else", strings.Join(local[name], ", "), name)
	}
	if shared["rbd"] {
		s.choose("storage fencing", "not set up", "guests on Ceph: its blocklist frees them before a slow BMC does (docs/fencing/ceph-blocklist.md)")
	}
	if shared["lvm"] {
		s.choose("storage fencing", "not set up", "guests on shared LVM: SCSI reservations or sbd on a small LUN work where no BMC does (docs/fencing/scsi-pr.md, sbd.md)")
	}
}

// protected lists the guests that the configuration selects.
func (s *site) protected() []discover.Guest { return s.facts.Chosen(s.plan.Config.Protect.Choice()) }

// ours are the guests that would be protected today; theirs are selected too, and Proxmox's own HA holds them.
func (s *site) ours() (ours, theirs []string) {
	for _, g := range s.protected() {
		if slices.Contains(s.facts.HAManaged, g.VMID) {
			theirs = append(theirs, fmt.Sprint(g.VMID))
		} else {
			ours = append(ours, fmt.Sprint(g.VMID))
		}
	}
	return ours, theirs
}

// chooseGuests counts what would be protected, and names what Proxmox's own HA holds.
func (s *site) chooseGuests() {
	ids, theirs := s.ours()
	if len(ids) == 0 {
		s.choose("guests today", "none", "nothing carries the tag yet")
	} else {
		s.choose("guests today", strings.Join(ids, ", "), "\"Start at boot\" becomes No for them, because only an agent with a permit may start them; it is put back when they are no longer protected")
	}
	if len(theirs) > 0 {
		s.warn("guest %s is managed by Proxmox's own HA and refused; take it out there first (ha-manager remove)", strings.Join(theirs, ", "))
	}
}

func sortedSet[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func memberNames(members []ha.Member) string {
	var names []string
	for _, m := range members {
		names = append(names, string(m.Name))
	}
	return strings.Join(names, ", ")
}
