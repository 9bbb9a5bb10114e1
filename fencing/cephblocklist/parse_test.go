package cephblocklist

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// Seen from ceph osd map on a Ceph 16.2.15.
func TestHash(t *testing.T) {
	for name, want := range map[string]uint32{"a": 0x29eec818, "rbd": 0x7a31dfd8, "bascule.0": 0x9fba7fa6, "bascule.42": 0x5ef4304c, "twelve-bytes": 0xd42b1abb, "thirteen-byte": 0xafb10832, "a-name-of-more-than-24-byt": 0x51c53534} {
		if got := hash(name); got != want {
			t.Errorf("%q: %#x, want %#x", name, got, want)
		}
	}
}

func TestEveryGroupIsAsked(t *testing.T) {
	for _, pgs := range []int{1, 2, 3, 6, 8, 24, 32, 100, 128, 4096} {
		names, err := probes(pgs)
		if err != nil || len(names) != pgs {
			t.Fatalf("%d: %d names, %v", pgs, len(names), err)
		}
		for i, name := range names {
			if group(name, pgs) != i || !strings.HasPrefix(name, probePrefix) {
				t.Errorf("%d: %q is in group %d, want %d", pgs, name, group(name, pgs), i)
			}
		}
	}
	for _, pgs := range []int{-1, 0, maxPGs + 1} {
		if names, err := probes(pgs); err == nil {
			t.Errorf("%d: %d names", pgs, len(names))
		}
	}
}

// dumped is a part of what a Ceph 16.2.15 printed.
const dumped = `{"epoch":20,"fsid":"433c5d44-04aa-4c1f-b77a-f0fdcb5f9f6c","require_osd_release":"pacific","pools":[{"pool":1,"pool_name":"vms",
"flags":8193,"type":1,"size":1,"object_hash":2,"pg_num":8,"pg_placement_num":8,"last_change":"16","removed_snaps":"[]","tiers":[],
"tier_of":-1,"read_tier":-1,"write_tier":-1,"use_gmt_hitset":true,"options":{},"application_metadata":{"rbd":{}}}],
"osds":[{"osd":0,"uuid":"x","up":1,"in":1,"weight":1,"public_addrs":{"addrvec":[{"type":"v2","addr":"127.0.0.1:6800","nonce":10524}]},
"public_addr":"127.0.0.1:6801/10524","state":["exists","up"]}],
"blocklist":{"10.9.9.6:0/0":"2036-11-19T05:29:38.278055+0000","[fd00::8]:0/0":"2036-11-19T05:29:37.278718+0000","10.9.9.5:0/3710147553":"2026-11-22T06:29:37.278718+0000"},
"range_blocklist":{"cidr:10.9.9.7:0/32":"2036-11-19T05:29:36.153254+0000","cidr:[fd00::7]:0/128":"2036-11-19T05:29:36.260572+0000"}}`

func TestAMapAsCephPrintsIt(t *testing.T) {
	m, err := parseOSDMap(dumped)
	if err != nil {
		t.Fatal(err)
	}
	pools, err := m.choose([]string{"vms"})
	if err != nil || m.Epoch != 20 || pools[0].PGs != 8 || m.OSDs[0].Up != 1 {
		t.Errorf("%+v %v", m, err)
	}
	now := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	addrs, err := parseClients([]string{"ip:10.9.9.6", "ip:fd00::8", "ip:10.9.9.5", "ip:10.9.9.7", "ip:fd00::7", "ip:fd00::9"})
	if err != nil {
		t.Fatal(err)
	}
	open, short, err := m.cover(addrs, now)
	if err != nil || words(open) != "10.9.9.5, fd00::9" || len(short) != 0 {
		t.Errorf("open %v, short %v, %v", open, short, err)
	}
	if rm := m.removals(addrs, now); len(rm) != 4 {
		t.Errorf("%v", rm)
	}
}

func FuzzOSDMap(f *testing.F) {
	f.Add(dumped)
	f.Add(`{"epoch":1,"pools":[],"blocklist":{}}`)
	f.Add(`{"epoch":1,"pools":[{"pool":1,"pool_name":"vms","pg_num":-1,"object_hash":2}],"blocklist":{"::1:0/0":"2036-11-19T05:29:38+0000"},"range_blocklist":{"cidr:1.2.3.4:0/33":"x"}}`)
	f.Add(`{"epoch":1e99,"pools":null}`)
	f.Add("[]\n[]")
	addr := netip.MustParseAddr("10.9.9.6")
	now := time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		m, err := parseOSDMap(text)
		if err != nil {
			return
		}
		open, short, err := m.cover([]netip.Addr{addr}, now)
		good, bad := m.entries()
		if err == nil && len(open)+len(short) == 0 { // revoked: there must be an entry that says so
			for _, e := range good {
				if e.covers.Contains(addr) && e.until.After(now.Add(enough)) {
					return
				}
			}
			t.Errorf("revoked by none of %v", good)
		}
		if len(bad) == 0 && err != nil {
			t.Errorf("%v", err)
		}
		for _, c := range m.removals([]netip.Addr{addr}, now) {
			if a := fmt.Sprint(c["addr"]); a != "10.9.9.6/32" && a != "10.9.9.6:0/0" {
				t.Errorf("would remove %s", a)
			}
		}
		if pools, err := m.choose([]string{"vms"}); err == nil && pools[0].PGs < 4096 {
			if _, err := probes(pools[0].PGs); err != nil {
				t.Error(err)
			}
		}
		_, _ = m.upAt([]int{0, 1}, []netip.Addr{addr}, "x")
	})
}

func FuzzEntity(f *testing.F) {
	for _, s := range []string{"10.9.9.6:0/0", "[fd00::8]:0/0", "cidr:10.9.9.7:0/32", "any:10.0.0.1:1/2", "v2:[::1]:6800/99999999999999999999", "-", "10.0.0.1:0/", "10.0.0.1:0/0x1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, port, nonce, err := parseEntity(s)
		if err != nil {
			return
		}
		again, p2, n2, err := parseEntity(fmt.Sprintf("%s/%d", netip.AddrPortFrom(a, port), nonce))
		if err != nil || again != a || p2 != port || n2 != nonce {
			t.Errorf("%q: %v %d %d, then %v %d %d %v", s, a, port, nonce, again, p2, n2, err)
		}
		for _, o := range ownAddrs(s) {
			if !o.IsValid() {
				t.Errorf("%q", s)
			}
		}
	})
}

func FuzzKeyringAndTree(f *testing.F) {
	f.Add("[client.bascule]\n\tkey = AQD==\n")
	f.Add(`{"nodes":[{"id":-1,"name":"node2","type":"host","children":[0]}],"stray":[]}`)
	f.Add("[client.bascule\nkey==\n[]\nkey=x")
	f.Fuzz(func(t *testing.T, s string) {
		keys, found := keysIn([]byte(s), "bascule")
		if found && (len(keys) == 0 || !strings.Contains(s, "client.bascule")) {
			t.Errorf("%q: found among %d keys", s, len(keys))
		}
		for _, k := range keys {
			if k == "" || !strings.Contains(s, k) {
				t.Errorf("%q: key %q", s, k)
			}
		}
		if nodes, err := parseTree(s); err == nil && !json.Valid([]byte(s)) {
			t.Errorf("%q: %v", s, nodes)
		}
	})
}
