package ha

import (
	"slices"
	"strings"
)

// Protect chooses the guests to protect: any match suffices.
type Protect struct {
	Tags  []string // of Proxmox, compared without regard to case, as Proxmox does
	Pools []string // of Proxmox
	VMIDs []VMID
	All   bool
}

// Chooses says whether a guest with these tags, in these pools, is to be protected.
func (p Protect) Chooses(id VMID, tags, pools []string) bool {
	return p.All || slices.Contains(p.VMIDs, id) ||
		slices.ContainsFunc(pools, func(pool string) bool { return slices.Contains(p.Pools, pool) }) ||
		slices.ContainsFunc(tags, func(tag string) bool {
			return slices.ContainsFunc(p.Tags, func(wanted string) bool { return strings.EqualFold(tag, wanted) })
		})
}
