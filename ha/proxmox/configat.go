package proxmox

import (
	"context"
	"fmt"

	"bascule/ha"
)

// ConfigAt says under which node's directory a guest's config lies now; empty: under none. A config under two
// directories cannot be: pmxcfs refuses the second.
func (d *Driver) ConfigAt(ctx context.Context, id ha.VMID, kind ha.GuestKind) (ha.NodeName, error) {
	nodes, err := d.readDir(ctx, "nodes")
	if err != nil {
		return "", fmt.Errorf("looking for the config of %s: %w; `systemctl status pve-cluster`", kind.Label(id), err)
	}
	for _, n := range nodes {
		ok, err := d.exists(ctx, configName(ha.NodeName(n), kind, id))
		if err != nil {
			return "", fmt.Errorf("looking for the config of %s under %s: %w; `systemctl status pve-cluster`", kind.Label(id), n, err)
		}
		if ok {
			return ha.NodeName(n), nil
		}
	}
	return "", nil
}
