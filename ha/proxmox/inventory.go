package proxmox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"bascule/ha"
	"bascule/ha/pve"
)

// askAtOnce bounds the status requests under way; PVE forks for each.
const askAtOnce = 4

// Inventory reads the node's memory, storages and guests. It is whole or an error: a list that lacks guests would look
// as if they were gone. Names in a guest's Storages that begin with "/" are no PVE storages (see pve.OffPVE).
func (d *Driver) Inventory(ctx context.Context) (ha.Inventory, error) {
	// An /etc/pve that is not mounted is an empty directory, not an error.
	if _, err := d.Members(ctx); err != nil {
		return ha.Inventory{}, err
	}
	var inv ha.Inventory
	var node struct {
		Memory struct {
			Total pve.Number `json:"total"`
		} `json:"memory"`
	}
	if err := d.get(ctx, d.nodePath("/status"), &node); err != nil {
		return ha.Inventory{}, fmt.Errorf("reading the memory of %s: %w", d.node, err)
	}
	if inv.Memory = node.Memory.Total.Value; inv.Memory <= 0 {
		return ha.Inventory{}, fmt.Errorf("reading the memory of %s: %w: no total in it", d.node, ErrNoAnswer)
	}
	rows, hangs, err := d.storagesOrLast(ctx)
	if err != nil {
		return ha.Inventory{}, err
	}
	for _, r := range rows {
		inv.Storages = append(inv.Storages, ha.StorageReport{Name: string(r.Name), Type: string(r.Type),
			Shared: r.Shared.Yes(), Active: r.usable()})
	}
	slices.SortFunc(inv.Storages, func(a, b ha.StorageReport) int { return strings.Compare(a.Name, b.Name) })
	if inv.Places, err = d.places(ctx); err != nil {
		return ha.Inventory{}, err
	}
	choice, err := d.chooser(ctx)
	if err != nil {
		return ha.Inventory{}, err
	}
	inv.Problems, inv.Managed = choice.problems, managedIDs(choice.managed)
	if hangs != "" {
		inv.Problems = append(inv.Problems, hangs)
	}
	if inv.Votes, err = d.votes(ctx); err != nil {
		inv.Problems = append(slices.Clone(inv.Problems), err.Error())
	}
	if inv.Guests, err = d.guests(ctx, inv.Storages, choice); err != nil {
		return ha.Inventory{}, err
	}
	if missing := unlisted(inv); missing != "" {
		if err := d.CheckPrivileges(ctx); err != nil { // the token may have become weaker: it is shown fewer storages
			return ha.Inventory{}, fmt.Errorf("storage %s is not in the list of %s: %w", missing, d.node, err)
		}
	}
	return inv, nil
}

// unlisted is a storage that a protected guest uses and the node's list lacks; empty: there is none.
func unlisted(inv ha.Inventory) string {
	for _, g := range inv.Guests {
		for _, name := range g.Storages {
			listed := slices.ContainsFunc(inv.Storages, func(s ha.StorageReport) bool { return s.Name == name })
			if g.Protected && !listed && !pve.OffPVE(name) {
				return name
			}
		}
	}
	return ""
}

// guests reads the configs of both kinds, and for protected guests whether they run.
func (d *Driver) guests(ctx context.Context, storages []ha.StorageReport, choice *chooser) ([]ha.GuestSeen, error) {
	local := func(name string) bool {
		return slices.ContainsFunc(storages, func(s ha.StorageReport) bool { return s.Name == name && !s.Shared })
	}
	var guests []ha.GuestSeen
	for _, kind := range []ha.GuestKind{ha.QEMU, ha.LXC} {
		ids, err := d.ownIDs(ctx, kind)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			config, err := d.readOwnConfig(ctx, id, kind)
			if errors.Is(err, ErrConfigGone) {
				continue // it has left since the directory was listed
			}
			if err != nil {
				return nil, d.guestErr(kind, id, "reading its config", err, "`systemctl status pve-cluster`")
			}
			guests = append(guests, choice.see(id, config, local))
		}
	}
	slices.SortFunc(guests, func(a, b ha.GuestSeen) int { return int(a.ID) - int(b.ID) })
	return d.lookWhichRun(ctx, guests)
}

// ownIDs lists the guests of a kind in this node's own directory.
func (d *Driver) ownIDs(ctx context.Context, kind ha.GuestKind) ([]ha.VMID, error) {
	dir := "nodes/" + string(d.node) + "/" + kind.ConfigDir()
	names, err := d.readDir(ctx, dir)
	if isGone(err) {
		return nil, fmt.Errorf("%w: %w; is %s its name in /etc/pve/nodes?", ErrNotMounted, err, d.node)
	}
	if err != nil {
		return nil, fmt.Errorf("listing the guests of %s: %w; `systemctl status pve-cluster`", d.node, err)
	}
	var ids []ha.VMID
	for _, name := range names {
		if id, ok := pve.GuestOf(name); ok {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// lookWhichRun fills Running for protected guests. One that left meanwhile is dropped.
func (d *Driver) lookWhichRun(ctx context.Context, guests []ha.GuestSeen) ([]ha.GuestSeen, error) {
	gone := make([]bool, len(guests))
	group, all := errgroup.WithContext(ctx)
	group.SetLimit(askAtOnce)
	for i := range guests {
		g := &guests[i]
		if !g.Protected {
			continue
		}
		group.Go(func() error {
			running, stalled, err := d.current(all, g.ID, g.Kind)
			if errors.Is(err, ErrConfigGone) {
				gone[i] = true
				return nil
			}
			g.Running, g.Stalled = running, stalled
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var left []ha.GuestSeen
	for i, g := range guests {
		if !gone[i] {
			left = append(left, g)
		}
	}
	return d.countOthers(ctx, left), nil
}

// countOthers fills Running for guests that are not protected: they only count as taking memory, so the node's own lists, which can
// lag by seconds, are good enough. One that no list tells of counts as running: a node is rather taken for full than overfilled.
func (d *Driver) countOthers(ctx context.Context, guests []ha.GuestSeen) []ha.GuestSeen {
	stopped := map[ha.GuestKind]map[int64]bool{}
	for i := range guests {
		g := &guests[i]
		if g.Protected {
			continue
		}
		if stopped[g.Kind] == nil {
			stopped[g.Kind] = map[int64]bool{}
			var rows []struct {
				VMID   pve.Number `json:"vmid"`
				Status pve.Word   `json:"status"`
			}
			if err := d.get(ctx, d.nodePath("/%s", g.Kind), &rows); err == nil {
				for _, r := range rows {
					stopped[g.Kind][r.VMID.Value] = r.Status == "stopped"
				}
			}
		}
		g.Running = !stopped[g.Kind][int64(g.ID)]
	}
	return guests
}
