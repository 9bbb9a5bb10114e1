package discover

import (
	"io/fs"
	"path"
	"slices"

	"bascule/ha"
	"bascule/ha/pve"
)

// Guest is a guest as its configuration has it. It is enough to choose what to protect; the daemon reads configurations itself.
type Guest struct {
	VMID     ha.VMID
	Kind     ha.GuestKind
	Node     ha.NodeName // where its configuration lies
	Name     string
	Tags     []string
	Pools    []string
	Onboot   bool
	Template bool
	Storages []string // of its disks, sorted; what lies on no storage of Proxmox is left out
}

// readGuests reads all configurations, by VMID.
func readGuests(tree fs.FS) (out []Guest) {
	var pools pve.Pools
	if data, err := fs.ReadFile(tree, "etc/pve/user.cfg"); err == nil {
		pools = pve.ParsePools(data)
	}
	for _, kind := range []ha.GuestKind{ha.QEMU, ha.LXC} {
		files, _ := fs.Glob(tree, "etc/pve/nodes/*/"+kind.ConfigDir()+"/*.conf") // only a bad pattern is an error
		for _, f := range files {
			id, isGuest := pve.GuestOf(path.Base(f))
			data, err := fs.ReadFile(tree, f)
			if !isGuest || err != nil {
				continue // or gone since
			}
			g := guestOf(pve.ParseGuestConfig(kind, data))
			g.VMID, g.Node, g.Pools = id, ha.NodeName(path.Base(path.Dir(path.Dir(f)))), pools.Of(id)
			out = append(out, g)
		}
	}
	slices.SortFunc(out, func(a, b Guest) int { return int(a.VMID) - int(b.VMID) })
	return out
}

// guestOf is what a configuration says by itself.
func guestOf(c *pve.GuestConfig) Guest {
	g := Guest{Kind: c.Kind(), Name: c.Name(), Tags: c.Tags(), Onboot: c.Onboot(), Template: c.Template()}
	for _, d := range c.Disks() {
		if d.Storage != "" {
			g.Storages = append(g.Storages, d.Storage)
		}
	}
	slices.Sort(g.Storages)
	g.Storages = slices.Compact(g.Storages)
	return g
}

// managed lists the guests of Proxmox's own HA, ascending.
func managed(resources []byte) (out []ha.VMID) {
	for g := range pve.ParseHAResources(resources) {
		out = append(out, g.ID)
	}
	slices.Sort(out)
	return out
}
