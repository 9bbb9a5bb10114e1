package node

import (
	"fmt"
	"testing"
	"time"

	"bascule/ha"
)

// TestLeftActive: whose volumes count as left behind on n1.
func TestLeftActive(t *testing.T) {
	self := Config{Self: "n1", Incarnation: "b1"}
	san := []ha.StoragePlace{{Name: "san", Type: "lvm", VG: "sanvg"}, {Name: "local-lvm", Type: "lvmthin", VG: "pve"}}
	reports := []ha.StorageReport{{Name: "san", Type: "lvm", Shared: true}, {Name: "local-lvm", Type: "lvmthin"}}
	for _, c := range []struct {
		name   string
		change func(g *ha.GuestRecord, inv *ha.Inventory, v *ha.ActiveVolume)
		want   bool
	}{
		{"it runs on n2", func(*ha.GuestRecord, *ha.Inventory, *ha.ActiveVolume) {}, true},
		{"it is stopped on n2", func(g *ha.GuestRecord, _ *ha.Inventory, _ *ha.ActiveVolume) { g.State = ha.GuestStopped }, true},
		{"it is given up", func(g *ha.GuestRecord, _ *ha.Inventory, _ *ha.ActiveVolume) { g.State = ha.GuestError }, true},
		{"it is ours", func(g *ha.GuestRecord, _ *ha.Inventory, _ *ha.ActiveVolume) { g.Node = "n1" }, false},
		{"nobody's", func(g *ha.GuestRecord, _ *ha.Inventory, _ *ha.ActiveVolume) { g.Node = "" }, false},
		{"we are a holder", func(g *ha.GuestRecord, _ *ha.Inventory, _ *ha.ActiveVolume) {
			g.Holders = append(g.Holders, ha.Holder{Node: "n1", Incarnation: "b0"})
		}, false},
		{"it is on its way, whereto ever", func(g *ha.GuestRecord, _ *ha.Inventory, _ *ha.ActiveVolume) {
			g.Move = &ha.Move{From: "n2", Target: "n3"}
		}, false},
		{"its config is here", func(_ *ha.GuestRecord, inv *ha.Inventory, _ *ha.ActiveVolume) {
			inv.Guests = []ha.GuestSeen{{ID: 101}}
		}, false},
		{"Proxmox's own HA has it", func(_ *ha.GuestRecord, inv *ha.Inventory, _ *ha.ActiveVolume) { inv.Managed = []ha.VMID{101} }, false},
		{"it is refused", func(g *ha.GuestRecord, _ *ha.Inventory, _ *ha.ActiveVolume) { g.Refused = "a template" }, false},
		{"it is no longer protected", func(g *ha.GuestRecord, _ *ha.Inventory, _ *ha.ActiveVolume) { g.State = ha.GuestUnprotected }, false},
		{"it is frozen", func(g *ha.GuestRecord, _ *ha.Inventory, _ *ha.ActiveVolume) { g.State = ha.GuestFrozen }, false},
		{"its record is of another life of the store", func(g *ha.GuestRecord, _ *ha.Inventory, _ *ha.ActiveVolume) { g.Epoch = 3 }, false},
		{"a guest that we do not know", func(_ *ha.GuestRecord, _ *ha.Inventory, v *ha.ActiveVolume) { v.Guest = 900 }, false},
		{"a local group", func(_ *ha.GuestRecord, _ *ha.Inventory, v *ha.ActiveVolume) { v.Group = "pve" }, false},
		{"a group of nobody", func(_ *ha.GuestRecord, _ *ha.Inventory, v *ha.ActiveVolume) { v.Group = "other" }, false},
		{"the storage is not shared", func(_ *ha.GuestRecord, inv *ha.Inventory, _ *ha.ActiveVolume) { inv.Storages[0].Shared = false }, false},
		{"a local storage is on the same group", func(_ *ha.GuestRecord, inv *ha.Inventory, _ *ha.ActiveVolume) { inv.Places[1].VG = "sanvg" }, false},
	} {
		g := ha.GuestRecord{ID: 101, Node: "n2", Incarnation: "b2", State: ha.GuestStarted, Epoch: 4, Holders: []ha.Holder{{Node: "n2", Incarnation: "b2"}}}
		inv := ha.Inventory{Places: append([]ha.StoragePlace(nil), san...), Storages: append([]ha.StorageReport(nil), reports...)}
		v := ha.ActiveVolume{Guest: 101, Group: "sanvg", Name: "vm-101-disk-0", UUID: "LVM-a"}
		c.change(&g, &inv, &v)
		store := &ha.Snapshot{Guests: map[ha.VMID]ha.Versioned[ha.GuestRecord]{101: {Rec: g}}}
		store.Cluster.Rec.Epoch = 4
		if got := len(self.LeftActive(store, inv, []ha.ActiveVolume{v})) == 1; got != c.want {
			t.Errorf("%s: left behind %v, want %v", c.name, got, c.want)
		}
	}
}

// TestLeftIsGivenTime: only what has been left for a minute without a break is due.
func TestLeftIsGivenTime(t *testing.T) {
	a, b := ha.ActiveVolume{Name: "a", UUID: "A"}, ha.ActiveVolume{Name: "b", UUID: "B"}
	left, now := Left{}, ha.Instant(0).Add(time.Hour)
	for _, s := range []struct {
		after time.Duration
		left  []ha.ActiveVolume
		want  string
	}{
		{0, []ha.ActiveVolume{a}, ""},
		{59 * time.Second, []ha.ActiveVolume{a, b}, ""},
		{time.Second, []ha.ActiveVolume{a, b}, "a"},
		{time.Second, []ha.ActiveVolume{b}, ""},
		{57 * time.Second, []ha.ActiveVolume{a, b}, ""}, // a came back: it begins anew
		{time.Second, []ha.ActiveVolume{a, b}, "b"},
		{time.Minute, []ha.ActiveVolume{a, b}, "ab"},
		{time.Second, nil, ""},
	} {
		now = now.Add(s.after)
		got := ""
		for _, v := range left.Due(now, s.left) {
			got += v.Name
		}
		if got != s.want {
			t.Errorf("at %v: due %q, want %q", now, got, s.want)
		}
	}
	if len(left) != 0 {
		t.Errorf("remembered for nothing: %s", fmt.Sprint(left))
	}
}
