package proxmox

import (
	"context"

	"bascule/ha"
)

// OnbootGuests returns the protected guests under a node's own directory that Proxmox would start at boot. It reads the tree
// only: at boot the API may not be up yet. It errs rather than leave a guest out.
func OnbootGuests(ctx context.Context, tree Tree, node ha.NodeName, protect ha.Protect) ([]ha.GuestSeen, error) {
	d := &Driver{node: node, tree: tree, protect: protect, timeout: DefaultCallTimeout}
	choice, err := d.chooser(ctx)
	if err != nil {
		return nil, err
	}
	var out []ha.GuestSeen
	for _, kind := range []ha.GuestKind{ha.QEMU, ha.LXC} {
		ids, err := d.ownIDs(ctx, kind)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			config, err := d.readOwnConfig(ctx, id, kind)
			if err != nil {
				return nil, err
			}
			if g := choice.see(id, config, func(string) bool { return false }); g.Protected && g.Onboot {
				out = append(out, g)
			}
		}
	}
	return out, nil
}
