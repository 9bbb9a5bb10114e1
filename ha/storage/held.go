package storage

import (
	"path/filepath"
	"strconv"
	"strings"

	"bascule/ha"
)

// Held lists what this kernel still has mounted of a guest's volumes: a file system on a logical volume, an RBD map or a loop device of the
// guest. It writes on (its journal, dirty pages) although no process of the guest is left, as soon as its storage answers again. A volume that
// is only mapped is not held: LVM may activate all of a group at boot, on every node.
func (l *Looker) Held(id ha.VMID) []string {
	s := sysfs{l.cfg.Root}
	var out []string
	for _, dev := range s.list("sys/block") {
		name := s.volume(dev)
		if ownVolume(name, id) && s.fileSystem(dev) {
			out = append(out, dev+" ("+name+")")
		}
	}
	return out
}

// volume is the name of the volume behind a block device, as Proxmox names it, or a path of one.
func (s sysfs) volume(dev string) string {
	switch {
	case strings.HasPrefix(dev, "dm-"):
		return strings.ReplaceAll(s.read("sys/block", dev, "dm/name"), "--", "-")
	case strings.HasPrefix(dev, "loop"):
		return s.read("sys/block", dev, "loop/backing_file")
	case strings.HasPrefix(dev, "rbd"):
		return s.read("sys/devices/rbd", strings.TrimPrefix(dev, "rbd"), "name")
	}
	return ""
}

// ownVolume says whether a volume is one of the guest: vm-101-disk-0, at the name's end.
func ownVolume(name string, id ha.VMID) bool {
	base := filepath.Base(name)
	_, rest, ok := strings.Cut(base, "vm-"+strconv.Itoa(int(id))+"-")
	return ok && rest != ""
}

// fileSystem says whether a file system on a device is in use, in whatever mount namespace.
func (s sysfs) fileSystem(dev string) bool {
	for _, kind := range []string{"ext4", "xfs", "f2fs"} {
		if len(s.list("sys/fs", kind, dev)) > 0 {
			return true
		}
	}
	for _, fs := range s.list("sys/fs/btrfs") {
		for _, d := range s.list("sys/fs/btrfs", fs, "devices") {
			if d == dev {
				return true
			}
		}
	}
	return false
}
