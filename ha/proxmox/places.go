package proxmox

import (
	"context"
	"fmt"
	"strings"

	"bascule/ha"
	"bascule/ha/pve"
)

// places reads from storage.cfg where the storages lie that this node may use.
func (d *Driver) places(ctx context.Context) ([]ha.StoragePlace, error) {
	data, err := d.read(ctx, "storage.cfg")
	if isGone(err) {
		return nil, nil // PVE has its defaults then: local disks only
	}
	if err != nil {
		return nil, fmt.Errorf("reading storage.cfg on %s: %w; `systemctl status pve-cluster`", d.node, err)
	}
	var out []ha.StoragePlace
	for _, s := range pve.ParseStorages(data) {
		if s.On(d.node) {
			out = append(out, s.Place())
		}
	}
	return out, nil
}

// Volumes lists the writable disks of a guest of this node that lie on PVE's storages, by their names there.
func (d *Driver) Volumes(ctx context.Context, id ha.VMID, kind ha.GuestKind) ([]ha.Volume, error) {
	config, err := d.readOwnConfig(ctx, id, kind)
	if err != nil {
		return nil, d.guestErr(kind, id, "reading its config", err, "`systemctl status pve-cluster`")
	}
	var out []ha.Volume
	for _, disk := range config.Disks() {
		if disk.Writable && disk.Storage != "" {
			_, name, _ := strings.Cut(disk.Volume, ":")
			out = append(out, ha.Volume{Storage: disk.Storage, Name: name[strings.LastIndex(name, "/")+1:]}) // a linked clone names its base first
		}
	}
	return out, nil
}
