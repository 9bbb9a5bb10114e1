package proxmox

import (
	"context"
	"fmt"
	"slices"

	"bascule/ha"
	"bascule/ha/pve"
)

// haResources returns the guests that PVE's own HA manages, with their states there.
func (d *Driver) haResources(ctx context.Context) (map[ha.GuestRef]string, error) {
	data, err := d.read(ctx, "ha/resources.cfg")
	if isGone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return pve.ParseHAResources(data), nil
}

// notManaged refuses a guest that PVE's HA manages: commands about it would be diverted there (R7).
func (d *Driver) notManaged(ctx context.Context, id ha.VMID, kind ha.GuestKind) error {
	managed, err := d.haResources(ctx)
	if err != nil {
		return fmt.Errorf("reading ha/resources.cfg: %w; `systemctl status pve-cluster`", err)
	}
	if state, ok := managed[ha.GuestRef{ID: id, Kind: kind}]; ok {
		return fmt.Errorf("%w (state %s); %s", ErrManagedByHA, state, haAdvice(kind, id))
	}
	return nil
}

// haAdvice is how an operator takes a guest out of PVE's HA.
func haAdvice(kind ha.GuestKind, id ha.VMID) string {
	sid := fmt.Sprintf("vm:%d", id)
	if kind == ha.LXC {
		sid = fmt.Sprintf("ct:%d", id)
	}
	return fmt.Sprintf("choose one of the two: `ha-manager remove %s`, or take the guest out of Bascule's protection", sid)
}

// managedIDs are the numbers of the guests in haResources' answer, ascending.
func managedIDs(managed map[ha.GuestRef]string) []ha.VMID {
	var ids []ha.VMID
	for g := range managed {
		ids = append(ids, g.ID)
	}
	slices.Sort(ids)
	return ids
}
