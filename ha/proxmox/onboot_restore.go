package proxmox

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"bascule/ha"
)

// RestoreOnboot sets onboot to 1 for those of the guests whose configs lie under the node's own directory, and returns them, also beside
// an error; the others are another node's affair. It needs the tree only, so it works when Bascule, its store and the node's API are gone.
// Every guest is tried. root is the prefix of PVE's lock files; empty: "/".
func RestoreOnboot(ctx context.Context, tree Tree, node ha.NodeName, root string, ids []ha.VMID) ([]ha.GuestRef, error) {
	if root == "" {
		root = "/"
	}
	d := &Driver{node: node, tree: tree, hostRoot: root, timeout: DefaultCallTimeout, sleep: realSleep}
	var restored []ha.GuestRef
	var all error
	for _, kind := range []ha.GuestKind{ha.QEMU, ha.LXC} {
		here, err := d.ownIDs(ctx, kind)
		if err != nil {
			return restored, errors.Join(all, err)
		}
		for _, id := range here {
			if !slices.Contains(ids, id) {
				continue
			}
			_, err := d.SetOnboot(ctx, id, kind, true)
			switch {
			case err == nil:
				restored = append(restored, ha.GuestRef{ID: id, Kind: kind})
			case !errors.Is(err, ErrConfigGone): // gone: it was moved or removed meanwhile
				all = errors.Join(all, fmt.Errorf("%s keeps \"start at boot: No\": %w", kind.Label(id), err))
			}
		}
	}
	return restored, all
}
