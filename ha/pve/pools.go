package pve

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"bascule/ha"
)

// Pools are Proxmox's resource pools with the guests in them; one without guests is there too.
type Pools map[string][]ha.VMID

// ParsePools reads the lines "pool:NAME:COMMENT:VMIDS:STORAGES:" of user.cfg.
func ParsePools(data []byte) Pools {
	pools := Pools{}
	for line := range strings.Lines(string(data)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if f[0] != "pool" || len(f) < 2 {
			continue
		}
		pools[f[1]] = nil
		if len(f) < 4 {
			continue
		}
		for _, id := range List(f[3]) {
			if vmid, err := strconv.Atoi(id); err == nil {
				pools[f[1]] = append(pools[f[1]], ha.VMID(vmid))
			}
		}
	}
	return pools
}

// Of lists the pools that a guest is in, sorted.
func (p Pools) Of(id ha.VMID) (names []string) {
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if slices.Contains(p[name], id) {
			names = append(names, name)
		}
	}
	return names
}
