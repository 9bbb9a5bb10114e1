package cephblocklist

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"bascule/fencing"
)

// markDown marks the node's OSDs down, so that its placement groups get other leaders at once; Ceph itself waits 20 s for heartbeats. An OSD
// that lives and can reach the monitors comes up again by itself, then with the map that holds the blocklist.
func (s *session) markDown(addrs []netip.Addr) error {
	m, err := s.osdMap()
	if err != nil {
		return err
	}
	open, short, err := m.cover(addrs, time.Now())
	if err != nil {
		return err
	}
	if len(open)+len(short) > 0 {
		return fmt.Errorf("%w: it took the addresses but does not list all of them; no OSD was marked down", fencing.ErrRefused)
	}
	ids, err := s.hostOSDs(m, addrs)
	if err != nil || len(ids) == 0 {
		return err
	}
	const doing = "mark OSDs down"
	r, err := s.mon(doing, map[string]any{"prefix": "osd down", "ids": ids})
	if err != nil {
		return err
	}
	if err := s.err(r[0]); err != nil {
		return s.d.explain(doing, err)
	}
	return nil
}

// hostOSDs returns those of the host's OSDs that are up. One that is at another address than the node's says that host names
// another node.
func (s *session) hostOSDs(m *osdMap, addrs []netip.Addr) ([]string, error) {
	const doing = "read the tree of the OSDs"
	r, err := s.mon(doing, map[string]any{"prefix": "osd tree", "format": "json"})
	if err != nil {
		return nil, err
	}
	if err := s.err(r[0]); err != nil {
		return nil, s.d.explain(doing, err)
	}
	nodes, err := parseTree(r[0].Out)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(nodes, func(n crushNode) bool { return n.Type == "host" && n.Name == s.d.s.host })
	if i < 0 {
		return nil, fmt.Errorf("%w: setting \"host\": the CRUSH map has no host %q: write the node's name as ceph osd tree shows it", fencing.ErrSettings, s.d.s.host)
	}
	return m.upAt(nodes[i].Children, addrs, s.d.s.host)
}

// upAt returns those of some OSDs that are up, all of which must be at one of the addresses. Without addresses nothing is compared.
func (m *osdMap) upAt(ids []int, addrs []netip.Addr, host string) (up []string, err error) {
	for _, o := range m.OSDs {
		if o.Up != 1 || !slices.Contains(ids, o.ID) {
			continue
		}
		a, _, _, err := parseEntity(o.Addr)
		if err != nil {
			return nil, fmt.Errorf("osd.%d: %w", o.ID, err)
		}
		if len(addrs) > 0 && !slices.Contains(addrs, a) {
			return nil, fmt.Errorf("%w: osd.%d of host %q is at %s, the node's addresses are %s: correct host, or what the node publishes; no OSD was marked down",
				fencing.ErrWrongMachine, o.ID, host, a, words(addrs))
		}
		up = append(up, strconv.Itoa(o.ID))
	}
	return up, nil
}
