package pve

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"bascule/ha"
)

// What comes out of any corosync.conf is whole: named nodes with votes that add up, or an error.
func FuzzCorosyncConf(f *testing.F) {
	f.Add([]byte(with(qdevice)))
	f.Add([]byte("nodelist {\nnode {\n}\n}\nname: x"))
	f.Add([]byte("nodelist {\nnode {\nname: x\nring00_addr: a\nring0_addr: b\n}\n}\ntotem {\ntoken: 134217728\n}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseCorosync(data)
		if err != nil {
			return
		}
		sum := 0
		for _, n := range c.Nodes {
			if n.Name == "" || n.Votes < 0 || n.ID < 0 {
				t.Fatalf("%+v", n)
			}
			sum += n.Votes
		}
		if c.Device != nil {
			sum += c.Device.Votes
		}
		if v := c.Votes(); len(c.Nodes) == 0 || v.All() != sum || len(v.Fatal()) > len(c.Nodes) || len(c.Nodes) < 1000 && c.Block() < 0 {
			t.Fatalf("%+v: %+v, block %v", c, v, c.Block())
		}
	})
}

// Whatever .members holds: each node is named, and on the list once.
func FuzzMembers(f *testing.F) {
	f.Add([]byte(`{"nodename":"b","cluster":{"name":"x","quorate":"1"},"nodelist":{"b":{"id":"2","online":1,"ip":"10.0.0.2"},"a":{"id":1,"online":0}}}`))
	f.Add([]byte(`{"nodename":null,"cluster":{},"nodelist":{"":{}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseMembers(data)
		if err != nil {
			return
		}
		if !m.Known && (!m.Quorate || m.Nodes != nil) {
			t.Fatalf("%+v", m)
		}
		for i, n := range m.Nodes {
			if slices.ContainsFunc(m.Nodes[:i], func(o Member) bool { return o.Name == n.Name }) {
				t.Fatalf("%s twice in %+v", n.Name, m)
			}
		}
	})
}

// Storages have names of their own that Proxmox would take; a storage that is looked at belongs to the node.
func FuzzStorageCfg(f *testing.F) {
	f.Add([]byte("dir: local\n\tpath /var/lib/vz\n\nnfs: nas\n\tnodes n1,n2\n\tdisable\n"))
	f.Add([]byte("dir: a\r\n\tshared\t1\r\nDIR:a\n\tis_mountpoint /x/../y\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		all := ParseStorages(data)
		for i, s := range all {
			if !storageName.MatchString(s.Name) || s.Type == "" || s.Type != strings.ToLower(s.Type) ||
				slices.ContainsFunc(all[:i], func(o Storage) bool { return o.Name == s.Name }) {
				t.Fatalf("%+v of %+v", s, all)
			}
			if p := s.Place(); s.Disabled && s.On("n1") || p.Name != s.Name || len(p.Path) > 1 && strings.HasSuffix(p.Path, "/") {
				t.Fatalf("%+v at %+v", s, p)
			}
			s.HoldsGuests()
		}
	})
}

// Only a section that says "ignored" takes a guest away from Proxmox's own HA.
func FuzzHAResources(f *testing.F) {
	for _, text := range []string{"vm: 102\n\tstate started\n\nct: 200\n\tstate ignored\n", "vm: 102\n\n\tstate ignored\nvm:102\n state ignored\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		managed := ParseHAResources(data)
		for g, state := range managed {
			if state == haIgnored || g.Kind != ha.QEMU && g.Kind != ha.LXC {
				t.Fatalf("%+v is %q", g, state)
			}
		}
		if plain := ParseHAResources(bytes.ReplaceAll(data, []byte(haIgnored), []byte("started"))); len(plain) < len(managed) {
			t.Fatalf("%v managed, without the word %q %v", managed, haIgnored, plain)
		}
	})
}

func FuzzPools(f *testing.F) {
	f.Add([]byte("user:root@pam:1:0::::::\npool:club:our club:101,200:san:\npool:empty:\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		pools := ParsePools(data)
		for name, guests := range pools {
			for _, id := range guests {
				if !slices.Contains(pools.Of(id), name) {
					t.Fatalf("%d is in %s and not in %q", id, name, pools.Of(id))
				}
			}
		}
	})
}
