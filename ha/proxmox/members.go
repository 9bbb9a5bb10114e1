package proxmox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"bascule/ha"
	"bascule/ha/pve"
)

// Members reads corosync's membership as this node's pmxcfs has it. Known is false as long as pmxcfs has heard nothing
// from corosync. ErrNotMounted: the tree is not this node's /etc/pve.
func (d *Driver) Members(ctx context.Context) (ha.CorosyncView, error) {
	data, err := d.read(ctx, ".members")
	if err != nil {
		return ha.CorosyncView{}, fmt.Errorf("%w: %w; `systemctl status pve-cluster` on %s", ErrNotMounted, err, d.node)
	}
	m, err := pve.ParseMembers(data)
	if err != nil {
		return ha.CorosyncView{}, fmt.Errorf("%w: %w", ErrNotMounted, err)
	}
	if m.Node != "" && m.Node != d.node {
		return ha.CorosyncView{}, fmt.Errorf("%w: .members says that this is %s, the configuration says %s; "+
			"correct the node's name in the configuration", ErrNotMounted, m.Node, d.node)
	}
	if !m.Known {
		return ha.CorosyncView{}, nil
	}
	view := ha.CorosyncView{Known: true, Quorate: m.Quorate}
	for _, n := range m.Nodes {
		if n.Online {
			view.Online = append(view.Online, n.Name)
		}
	}
	slices.Sort(view.Online)
	return view, nil
}

// Version returns a text that changes whenever membership, guests' configs or cluster-wide files change: the counters
// of .version without those of the nodes' statistics, which change all the time. (Changes made on other nodes raise no
// inotify event on pmxcfs.)
func (d *Driver) Version(ctx context.Context) (string, error) {
	data, err := d.read(ctx, ".version")
	if err != nil {
		return "", fmt.Errorf("%w: %w; `systemctl status pve-cluster` on %s", ErrNotMounted, err, d.node)
	}
	var counters map[string]json.RawMessage
	if err := json.Unmarshal(data, &counters); err != nil {
		return "", fmt.Errorf(".version of %s is not understood: %w", d.node, err)
	}
	delete(counters, "kvstore")
	var text strings.Builder
	for _, key := range slices.Sorted(maps.Keys(counters)) {
		fmt.Fprintf(&text, "%s=%s ", key, counters[key])
	}
	return strings.TrimSpace(text.String()), nil
}

// read reads a file of the tree within the call timeout.
func (d *Driver) read(ctx context.Context, name string) ([]byte, error) {
	call, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	return d.tree.ReadFile(call, name)
}

// readDir lists a directory of the tree within the call timeout.
func (d *Driver) readDir(ctx context.Context, name string) ([]string, error) {
	call, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	return d.tree.ReadDir(call, name)
}

// exists looks for a file of the tree within the call timeout.
func (d *Driver) exists(ctx context.Context, name string) (bool, error) {
	call, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	return d.tree.Exists(call, name)
}

// readOwnConfig reads a guest's config from this node's own directory.
func (d *Driver) readOwnConfig(ctx context.Context, id ha.VMID, kind ha.GuestKind) (*pve.GuestConfig, error) {
	data, err := d.read(ctx, configName(d.node, kind, id))
	if isGone(err) {
		return nil, fmt.Errorf("%w: %w", ErrConfigGone, err)
	}
	if err != nil {
		return nil, err
	}
	return pve.ParseGuestConfig(kind, data), nil
}

// checkIDs refuses names that could not be a guest's, before they become part of a path.
func checkIDs(id ha.VMID, kind ha.GuestKind) error {
	if kind != ha.QEMU && kind != ha.LXC {
		return fmt.Errorf("guest %d: %q is neither qemu nor lxc", id, kind)
	}
	if !id.Valid() {
		return errors.New(kind.Label(id) + ": not a VMID (100 to 999999999)")
	}
	return nil
}
