package cephblocklist

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	"bascule/fencing"
)

// osdMap is what is needed of "ceph osd dump". It holds the blocklist of one epoch, which "ceph osd blocklist ls" does not say; and that
// one prints two JSON documents after one another as soon as there are ranges.
type osdMap struct {
	Epoch     int64             `json:"epoch"`
	Pools     []pool            `json:"pools"`
	OSDs      []osd             `json:"osds"`
	Blocklist map[string]string `json:"blocklist"`       // ADDR:PORT/NONCE: until
	Ranges    map[string]string `json:"range_blocklist"` // cidr:ADDR:0/BITS: until; not in versions without ranges
}

type pool struct {
	ID        int64  `json:"pool"`
	Name      string `json:"pool_name"`
	PGs       int    `json:"pg_num"`
	Hash      int    `json:"object_hash"`
	ReadTier  int64  `json:"read_tier"`
	WriteTier int64  `json:"write_tier"`
}

type osd struct {
	ID   int    `json:"osd"`
	Up   int    `json:"up"`
	Addr string `json:"public_addr"` // ADDR:PORT/NONCE
}

// rjenkins is the number of the one hash that Ceph has given names to since its beginnings.
const rjenkins = 2

// parseOSDMap decodes a dump. What is missing from it is an error, not an empty list.
func parseOSDMap(text string) (*osdMap, error) {
	m := &osdMap{}
	if err := json.Unmarshal([]byte(text), m); err != nil {
		return nil, fmt.Errorf("%w: its osd dump: %w", fencing.ErrRubbish, err)
	}
	if m.Epoch <= 0 || m.Pools == nil || m.Blocklist == nil {
		return nil, fmt.Errorf("%w: its osd dump has no epoch, pools or blocklist; Ceph 16 or newer is needed", fencing.ErrRubbish)
	}
	return m, nil
}

// choose returns the pools with these names.
func (m *osdMap) choose(names []string) ([]pool, error) {
	var out []pool
	for _, name := range names {
		found := false
		for _, p := range m.Pools {
			if p.Name != name {
				continue
			}
			if p.Hash != rjenkins || p.PGs < 1 || p.PGs > maxPGs {
				return nil, fmt.Errorf("%w: pool %q has object hash %d and %d placement groups", fencing.ErrRubbish, name, p.Hash, p.PGs)
			}
			if p.ReadTier >= 0 || p.WriteTier >= 0 {
				return nil, fmt.Errorf("%w: pool %q has a cache tier, through which nothing can be proven: remove the tier", fencing.ErrSettings, name)
			}
			out, found = append(out, p), true
		}
		if !found {
			return nil, fmt.Errorf("%w: setting \"pools\": the cluster has no pool %q: write one of %s", fencing.ErrSettings, name, fencing.Printable(m.poolNames(), 200))
		}
	}
	return out, nil
}

func (m *osdMap) poolNames() string {
	var names []string
	for _, p := range m.Pools {
		names = append(names, p.Name)
	}
	return strings.Join(names, ", ")
}

// sameGroups says whether the pools have kept their placement groups.
func sameGroups(a, b []pool) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].ID != b[i].ID || a[i].PGs != b[i].PGs {
			return false
		}
	}
	return true
}

// parseEntity reads an address as Ceph writes it: [any:|v1:|v2:|cidr:]ADDR:PORT/NONCE; of a range the last number is its bits.
func parseEntity(text string) (addr netip.Addr, port uint16, nonce uint64, err error) {
	for _, prefix := range []string{"any:", "v1:", "v2:", "cidr:"} {
		if rest, ok := strings.CutPrefix(text, prefix); ok {
			text = rest
			break
		}
	}
	where, last, ok := strings.Cut(text, "/")
	ap, err := netip.ParseAddrPort(where)
	if err != nil || !ok {
		return addr, 0, 0, fmt.Errorf("%w: the address %q", fencing.ErrRubbish, fencing.Printable(text, 80))
	}
	for _, d := range last {
		if d < '0' || d > '9' || nonce > 1<<40 {
			return addr, 0, 0, fmt.Errorf("%w: the address %q", fencing.ErrRubbish, fencing.Printable(text, 80))
		}
		nonce = nonce*10 + uint64(d-'0')
	}
	if last == "" {
		return addr, 0, 0, fmt.Errorf("%w: the address %q", fencing.ErrRubbish, fencing.Printable(text, 80))
	}
	return ap.Addr().Unmap(), ap.Port(), nonce, nil
}
