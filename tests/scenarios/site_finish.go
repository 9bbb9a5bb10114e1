package scenarios

import (
	"fmt"
	"slices"
	"time"

	"bascule/ha"
	"bascule/tests/sim"
)

// finish builds the spec from what the block said.
func (t *site) finish() error {
	s := &t.spec
	base, err := ha.Profile(t.profile)
	if err != nil {
		return err
	}
	if s.Timing, err = t.override(base); err != nil {
		return err
	}
	for i := range t.nodes {
		s.Hosts = append(s.Hosts, newHost(i+1))
	}
	if t.witness {
		w := newHost(t.nodes + 1)
		w.Witness, w.Vote, w.Watchdog = true, false, ""
		s.Hosts = append(s.Hosts, w)
		if s.QDevice == "" {
			s.QDevice = w.Name
		}
	}
	if s.QDevice == "none" {
		s.QDevice = ""
	}
	if s.Storages = t.storages; s.Storages == nil {
		s.Storages = []sim.StorageSpec{{Name: "ceph", Shared: true, Revocable: true}, {Name: "iscsi", Shared: true, Revocable: true}}
	}
	for _, steps := range []func() error{t.hosts, t.allGuests, t.plans} {
		if err := steps(); err != nil {
			return err
		}
	}
	return nil
}

func newHost(i int) sim.HostSpec {
	return sim.HostSpec{Name: fmt.Sprintf("node%d", i), Memory: 64 << 30, UUID: fmt.Sprintf("%08d-0000-4000-8000-000000000000", i),
		Vote: true, Watchdog: "hw", BootTime: 30 * time.Second}
}

// hosts carries out the settings of single nodes.
func (t *site) hosts() error {
	for _, w := range t.hostWords {
		found := false
		for i := range t.spec.Hosts {
			h := &t.spec.Hosts[i]
			if h.Name == w.node || w.node == "all" && !h.Witness {
				w.set(h)
				found = true
			}
		}
		if !found {
			return fmt.Errorf("%d: %q is no node of this site", w.line, w.node)
		}
	}
	for _, n := range []*string{&t.leader, &t.raft} {
		if *n == "any" || n == &t.raft && *n == "node3" && len(t.spec.Hosts) < 3 {
			*n = ""
		}
	}
	for _, n := range append(slices.Clone(t.spec.Old), t.spec.QDevice, t.leader, t.raft) {
		if n != "" && !t.isNode(n) {
			return fmt.Errorf(" old-version, qdevice, leader, raft: %q is no node of this site", n)
		}
	}
	return nil
}

func (t *site) isNode(name string) bool {
	return slices.ContainsFunc(t.spec.Hosts, func(h sim.HostSpec) bool { return h.Name == name })
}
