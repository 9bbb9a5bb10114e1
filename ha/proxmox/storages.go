package proxmox

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"bascule/ha/pve"
)

// storageRow is a storage in the node's list.
type storageRow struct {
	Name    pve.Word   `json:"storage"`
	Type    pve.Word   `json:"type"`
	Shared  pve.Number `json:"shared"`
	Active  pve.Number `json:"active"`
	Enabled pve.Number `json:"enabled"`
}

// usable: PVE would use it now. A disabled storage has active 0, and an older PVE leaves enabled out.
func (r storageRow) usable() bool { return r.Active.Yes() && (!r.Enabled.Set || r.Enabled.Yes()) }

// storages lists the storages that this node may use. PVE looks at each, which can take seconds when one hangs.
func (d *Driver) storages(ctx context.Context) ([]storageRow, error) {
	var rows []storageRow
	if err := d.get(ctx, d.nodePath("/storage"), &rows); err != nil {
		return nil, fmt.Errorf("reading the storages of %s: %w", d.node, err)
	}
	return rows, nil
}

// lastStorages is the newest list that Proxmox gave.
type lastStorages struct {
	mu   sync.Mutex
	rows []storageRow
}

// storagesWait is how long an inventory waits for the list of storages.
const storagesWait = 5 * time.Second

// storagesOrLast is storages; while Proxmox hangs over one of them it is the list as it was last, with none of them active, and a problem: a storage
// that hangs must not hide the node's guests.
func (d *Driver) storagesOrLast(ctx context.Context) (rows []storageRow, problem string, err error) {
	call, cancel := context.WithTimeout(ctx, min(storagesWait, d.timeout))
	defer cancel()
	rows, err = d.storages(call)
	d.seen.mu.Lock()
	defer d.seen.mu.Unlock()
	if err == nil {
		d.seen.rows = slices.Clone(rows)
		return rows, "", nil
	}
	if call.Err() == nil || ctx.Err() != nil || len(d.seen.rows) == 0 {
		return nil, "", err
	}
	rows = slices.Clone(d.seen.rows)
	for i := range rows {
		rows[i].Active = pve.Number{Set: true}
	}
	return rows, "Proxmox on this node does not list its storages, so none counts as active here: one of them hangs; `pvesm status` names it", nil
}

// StoragesActive returns which of the named storages this node cannot use now, in the order given. Names that begin
// with "/" (see pve.OffPVE) are no PVE storages and are not judged.
func (d *Driver) StoragesActive(ctx context.Context, names []string) ([]string, error) {
	names = slices.DeleteFunc(slices.Clone(names), pve.OffPVE)
	if len(names) == 0 {
		return nil, nil
	}
	rows, err := d.storages(ctx)
	if err != nil {
		return nil, err
	}
	var inactive []string
	for _, name := range names {
		if !slices.ContainsFunc(rows, func(r storageRow) bool { return string(r.Name) == name && r.usable() }) {
			inactive = append(inactive, name)
		}
	}
	return inactive, nil
}
