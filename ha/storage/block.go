package storage

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bascule/ha"
)

// maxDevices bounds how many devices of one storage a look reads.
const maxDevices = 16

// block looks at the disks below a volume group, or of an iSCSI target: it reads their first sector past the cache.
func (l *Looker) block(ctx context.Context, p ha.StoragePlace) ha.StorageLook {
	s := sysfs{l.cfg.Root}
	devices := s.volumeGroup(p.VG)
	if p.VG == "" {
		devices = s.iscsi(p.Target)
	}
	if len(devices) == 0 { // nothing is known of it here, which is no failure: a group may be activated when it is first used
		return ha.StorageLook{Skipped: true, Problem: "no disk of it is known to this node's kernel: nothing can be read"}
	}
	if len(devices) > maxDevices {
		devices = devices[:maxDevices]
	}
	_, out := l.child(ctx, p.Name, order{Devices: devices})
	if out.Skipped {
		return out
	}
	if out.Paths = s.paths(devices); out.Paths != nil {
		if c, ok := l.multipathd(ctx, devices); ok {
			out.Paths = c
		}
	}
	if c := out.Paths; c != nil && c.Up < c.All {
		out.Notes = append(out.Notes, fmt.Sprintf("multipath: %d of %d paths left", c.Up, c.All))
	}
	return out
}

// sysfs reads what the kernel and LVM's udev rules say of devices. None of it touches a disk.
type sysfs struct{ root string }

func (s sysfs) read(parts ...string) string {
	data, err := os.ReadFile(filepath.Join(append([]string{s.root}, parts...)...))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

func (s sysfs) list(parts ...string) []string {
	entries, err := os.ReadDir(filepath.Join(append([]string{s.root}, parts...)...))
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// volumeGroup finds the disks of a group: below its active volumes, and where LVM noted its disks when they appeared.
func (s sysfs) volumeGroup(vg string) []string {
	if vg == "" {
		return nil
	}
	var out []string
	prefix := strings.ReplaceAll(vg, "-", "--") + "-" // as the device mapper writes group and volume in one name
	for _, dm := range s.list("sys/block") {
		name := s.read("sys/block", dm, "dm/name")
		if !strings.HasPrefix(s.read("sys/block", dm, "dm/uuid"), "LVM-") || !strings.HasPrefix(name, prefix) || strings.HasPrefix(name[len(prefix):], "-") {
			continue
		}
		out = append(out, s.below(dm)...)
	}
	for _, id := range s.list("run/lvm/pvs_online") {
		lines := strings.Split(s.read("run/lvm/pvs_online", id), "\n")
		if slices.Contains(lines, "vg:"+vg) {
			out = append(out, filepath.Join(s.root, "dev/block", strings.TrimSpace(lines[0])))
		}
	}
	return s.resolved(out)
}

// below are the devices that are no volumes themselves on which a volume lies.
func (s sysfs) below(dm string) []string {
	var out []string
	for _, slave := range s.list("sys/block", dm, "slaves") {
		if strings.HasPrefix(s.read("sys/block", slave, "dm/uuid"), "LVM-") {
			out = append(out, s.below(slave)...)
			continue
		}
		out = append(out, filepath.Join(s.root, "dev", slave))
	}
	return out
}

// iscsi finds the disks of a target, as udev names them; behind multipath the map above them.
func (s sysfs) iscsi(target string) []string {
	found, _ := filepath.Glob(filepath.Join(s.root, "dev/disk/by-path/ip-*-iscsi-"+strings.NewReplacer("*", "", "?", "", "[", "").Replace(target)+"-lun-*"))
	found = slices.DeleteFunc(found, func(name string) bool { return strings.Contains(name, "-part") })
	return s.resolved(found)
}

// resolved follows links to the devices' own names, and from a path to its multipath map.
func (s sysfs) resolved(names []string) []string {
	var out []string
	for _, n := range names {
		if real, err := filepath.EvalSymlinks(n); err == nil {
			n = real
		}
		for _, holder := range s.list("sys/block", filepath.Base(n), "holders") {
			if s.multipath(holder) {
				n = filepath.Join(s.root, "dev", holder)
			}
		}
		out = append(out, n)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (s sysfs) multipath(dev string) bool {
	return strings.HasPrefix(s.read("sys/block", dev, "dm/uuid"), "mpath-")
}

// paths counts the ways to the devices that are multipath maps; of several maps the one with the fewest left counts. nil: none is one.
func (s sysfs) paths(devices []string) *ha.PathCount {
	var worst *ha.PathCount
	for _, d := range devices {
		dev := filepath.Base(d)
		if !s.multipath(dev) {
			continue
		}
		c := &ha.PathCount{}
		for _, slave := range s.list("sys/block", dev, "slaves") {
			c.All++
			if s.read("sys/block", slave, "device/state") == "running" {
				c.Up++
			}
		}
		worst = fewest(worst, c)
	}
	return worst
}
