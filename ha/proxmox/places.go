package proxmox

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"bascule/ha"
)

// mountedTypes are mounted by PVE under /mnt/pve when storage.cfg names no other path.
var mountedTypes = []string{"nfs", "cifs", "cephfs", "glusterfs"}

// places reads from storage.cfg where the storages lie that this node may use.
func (d *Driver) places(ctx context.Context) ([]ha.StoragePlace, error) {
	data, err := d.read(ctx, "storage.cfg")
	if isGone(err) {
		return nil, nil // PVE has its defaults then: local disks only
	}
	if err != nil {
		return nil, fmt.Errorf("reading storage.cfg on %s: %w; `systemctl status pve-cluster`", d.node, err)
	}
	return parsePlaces(string(data), string(d.node)), nil
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

// parsePlaces reads the sections "type: name" with their indented lines "key value". Of a storage that appears twice PVE takes the first.
func parsePlaces(text, node string) []ha.StoragePlace {
	var out []ha.StoragePlace
	props := map[string]string{}
	kind, name := "", ""
	end := func() {
		here := props["nodes"] == "" || slices.Contains(splitList(props["nodes"]), node)
		known := slices.ContainsFunc(out, func(p ha.StoragePlace) bool { return p.Name == name })
		if name != "" && here && !known && !isOn(props["disable"]) {
			out = append(out, place(kind, name, props))
		}
		kind, name, props = "", "", map[string]string{}
	}
	for _, line := range strings.Split(text, "\n") {
		switch {
		case strings.TrimSpace(line) == "":
			end()
		case line[0] == '#':
		case line[0] != ' ' && line[0] != '\t':
			end()
			if k, n, ok := strings.Cut(line, ":"); ok && k != "" && storageName.MatchString(strings.TrimSpace(n)) {
				kind, name = k, strings.TrimSpace(n)
			}
		case name != "":
			key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
			if value = strings.TrimSpace(value); value == "" && key == "disable" { // a bare word is a switch
				value = "1"
			}
			props[key] = value
		}
	}
	end()
	return out
}

func place(kind, name string, p map[string]string) ha.StoragePlace {
	out := ha.StoragePlace{Name: name, Type: kind, Path: p["path"], VG: p["vgname"], Portal: p["portal"], Target: p["target"], Pool: p["pool"],
		Namespace: p["namespace"], Monitors: p["monhost"], User: p["username"], ReadOnly: strings.Contains(","+p["options"]+",", ",ro,")}
	if slices.Contains(mountedTypes, kind) {
		if out.Path == "" {
			out.Path = "/mnt/pve/" + name
		}
		out.Mount = out.Path
	}
	switch at := p["is_mountpoint"]; {
	case at == "" || strings.EqualFold(at, "no") || at == "0" || strings.EqualFold(at, "off") || strings.EqualFold(at, "false"):
	case strings.HasPrefix(at, "/"):
		out.Mount = at
	default:
		out.Mount = out.Path
	}
	return out
}
