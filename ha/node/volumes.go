package node

import (
	"slices"
	"time"

	"bascule/ha"
)

// leftFor is how long a volume must have been left active before it is deactivated: Proxmox does it itself in the seconds after a guest's end, and
// whoever is about to use it has opened it by then.
const leftFor = time.Minute

// LeftActive are the volumes on shared volume groups that are active here although their guest lives elsewhere: this node is not its
// node, none of its holders and no end of a move, and its config is not here. Nothing of guests that are not Bascule's, or whose place is
// being rebuilt.
func (c Config) LeftActive(store *ha.Snapshot, inv ha.Inventory, active []ha.ActiveVolume) []ha.ActiveVolume {
	var out []ha.ActiveVolume
	groups := sharedGroups(inv)
	for _, v := range active {
		g, known := store.Guests[v.Guest]
		if known && slices.Contains(groups, v.Group) && c.elsewhere(g.Rec, store.Cluster.Rec.Epoch, inv) {
			out = append(out, v)
		}
	}
	return out
}

// sharedGroups are the volume groups that are nothing but shared LVM storages here.
func sharedGroups(inv ha.Inventory) (out []string) {
	var others []string
	for _, p := range inv.Places {
		shared := slices.ContainsFunc(inv.Storages, func(s ha.StorageReport) bool { return s.Name == p.Name && s.Shared })
		if p.Type == "lvm" && shared {
			out = append(out, p.VG)
		} else {
			others = append(others, p.VG)
		}
	}
	return slices.DeleteFunc(out, func(vg string) bool { return vg == "" || slices.Contains(others, vg) })
}

// elsewhere says whether a guest certainly has nothing to do with this node now.
func (c Config) elsewhere(g ha.GuestRecord, epoch ha.Epoch, inv ha.Inventory) bool {
	here := g.Node == c.Self || g.Node == "" || slices.ContainsFunc(g.Holders, func(h ha.Holder) bool { return h.Node == c.Self }) ||
		slices.ContainsFunc(inv.Guests, func(s ha.GuestSeen) bool { return s.ID == g.ID })
	foreign := g.Refused != "" || slices.Contains(inv.Managed, g.ID) || g.Epoch != epoch || g.State == ha.GuestFrozen || g.State == ha.GuestUnprotected
	return !here && !foreign && g.Move == nil
}

// Left is since when volumes have been left active without a break, by the kernel's mark of each.
type Left map[string]ha.Instant

// Due takes in what is left active now and returns what has been for long enough.
func (l Left) Due(now ha.Instant, left []ha.ActiveVolume) []ha.ActiveVolume {
	var due []ha.ActiveVolume
	for _, mark := range sorted(l) {
		if !slices.ContainsFunc(left, func(v ha.ActiveVolume) bool { return v.UUID == mark }) {
			delete(l, mark)
		}
	}
	for _, v := range left {
		if _, known := l[v.UUID]; !known {
			l[v.UUID] = now
		}
		if now.Sub(l[v.UUID]) >= leftFor {
			due = append(due, v)
		}
	}
	return due
}
