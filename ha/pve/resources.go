package pve

import (
	"strconv"

	"bascule/ha"
)

// haIgnored is the state of a guest that Proxmox's own HA leaves alone.
const haIgnored = "ignored"

// ParseHAResources reads ha/resources.cfg: the guests that Proxmox's own HA manages, with their states there. Those it is told to ignore are left
// out. No state means started. In doubt a guest is managed.
func ParseHAResources(data []byte) map[ha.GuestRef]string {
	managed := map[ha.GuestRef]string{}
	for _, s := range parseSections(string(data)) {
		kind, ours := haKind(s.kind)
		id, err := strconv.Atoi(s.id)
		state, told := s.options["state"]
		if !told {
			state = "started"
		}
		if ours && err == nil && state != haIgnored {
			managed[ha.GuestRef{ID: ha.VMID(id), Kind: kind}] = state
		}
	}
	return managed
}

// haKind reads a section's type.
func haKind(kind string) (ha.GuestKind, bool) {
	switch kind {
	case "vm":
		return ha.QEMU, true
	case "ct":
		return ha.LXC, true
	}
	return "", false
}
