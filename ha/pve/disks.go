package pve

import (
	"regexp"
	"slices"
	"strings"

	"bascule/ha"
)

// Disk is a volume that the guest needs to run.
type Disk struct {
	Key      string // scsi0, rootfs, mp1 …
	Volume   string // "shared:100/vm-100-disk-0.qcow2", or an absolute path
	Storage  string // the volume's storage; empty for a path
	Writable bool
	Anywhere bool // declared by the operator to be the same on all nodes (shared=1)
}

var (
	vmDisk       = regexp.MustCompile(`^(?:(?:ide|sata|scsi|virtio|efidisk|tpmstate)\d+|vmstate)$`)
	ctDisk       = regexp.MustCompile(`^(?:rootfs|mp\d+)$`)
	passthrough  = regexp.MustCompile(`^(?:hostpci|usb|parallel|serial)\d+$`)
	argsWithDisk = regexp.MustCompile(`-(?:drive|blockdev|hd[a-d]|virtfs|fsdev)\b|\bfile=`)
)

// Disks returns the volumes that are attached, in the config's order. CD-ROMs and empty drives are left out, unused
// volumes too: no process of the guest opens them for writing.
func (c *GuestConfig) Disks() []Disk {
	wanted := vmDisk
	if c.kind == ha.LXC {
		wanted = ctDisk
	}
	var disks []Disk
	for _, l := range c.main() {
		if !wanted.MatchString(l.key) {
			continue
		}
		// Of several lines for one disk PVE takes the last that it understands. Which that is it alone knows: all count.
		if d, ok := parseDisk(l.key, l.value); ok && !slices.Contains(disks, d) {
			disks = append(disks, d)
		}
	}
	return disks
}

// parseDisk reads "storage:volume,option=value,…", where the volume may also come as file= or volume=.
func parseDisk(key, value string) (Disk, bool) {
	d := Disk{Key: key, Writable: true}
	options := make(map[string]string)
	for _, part := range strings.Split(value, ",") {
		name, text, keyed := strings.Cut(part, "=")
		switch {
		case !keyed && d.Volume == "":
			d.Volume = strings.TrimSpace(name)
		case name == "file" || name == "volume":
			d.Volume = strings.TrimSpace(text)
		default:
			options[strings.TrimSpace(name)] = strings.TrimSpace(text)
		}
	}
	if d.Volume == "" || d.Volume == "none" || d.Volume == "cdrom" || options["media"] == "cdrom" {
		return Disk{}, false
	}
	d.Writable = !isOn(options["ro"]) && !isOn(options["readonly"])
	d.Anywhere = isOn(options["shared"])
	if name, rest, ok := strings.Cut(d.Volume, ":"); ok && rest != "" && storageName.MatchString(name) {
		d.Storage = name
	}
	return d, true
}

// WritableStorages returns the storages that the guest can write to, sorted. What lies on no PVE storage (a device or
// directory of the host, a virtiofs share, drives smuggled in by args) appears under a name that begins with "/": it
// is in no node's list of storages, and nothing but a proof about power frees a guest that has one (R3).
func (c *GuestConfig) WritableStorages() []string {
	var names []string
	for _, d := range c.Disks() {
		switch {
		case !d.Writable:
		case d.Storage != "":
			names = append(names, d.Storage)
		default:
			names = append(names, "/"+strings.TrimLeft(d.Volume, "/"))
		}
	}
	for _, l := range c.main() {
		switch {
		case c.kind == ha.QEMU && strings.HasPrefix(l.key, "virtiofs"):
			names = append(names, "/virtiofs/"+l.value)
		case c.kind == ha.QEMU && l.key == "args" && argsWithDisk.MatchString(l.value):
			names = append(names, "/args")
		case l.key == "lxc.mount.entry" && writableHostMount(l.value):
			names = append(names, strings.Fields(l.value)[0])
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// writableHostMount says whether a raw mount entry ("/srv/data srv none bind,rw 0 0") gives a directory of the host.
func writableHostMount(entry string) bool {
	f := strings.Fields(entry)
	if len(f) == 0 || !strings.HasPrefix(f[0], "/") {
		return false
	}
	for _, kernel := range []string{"/dev/", "/proc/", "/sys/"} {
		if strings.HasPrefix(f[0], kernel) {
			return false
		}
	}
	return len(f) < 4 || !slices.Contains(strings.Split(f[3], ","), "ro")
}

// OffPVE says whether a name of WritableStorages stands for something that is no PVE storage.
func OffPVE(storage string) bool { return strings.HasPrefix(storage, "/") }

// Pins says why the guest cannot run on another node, in the config's order; empty: it can. local tells which
// storages are known not to be shared.
func (c *GuestConfig) Pins(local func(storage string) bool) []string {
	var pins []string
	for _, d := range c.Disks() {
		switch {
		case d.Anywhere:
		case d.Storage != "" && local(d.Storage):
			pins = append(pins, d.Key+" is on "+d.Storage+", which is not shared")
		case d.Storage == "" && c.kind == ha.LXC:
			pins = append(pins, d.Key+" is a bind mount of "+d.Volume)
		case d.Storage == "":
			pins = append(pins, d.Key+" is the host's "+d.Volume)
		}
	}
	for _, l := range c.main() {
		if c.kind == ha.QEMU && passthrough.MatchString(l.key) && hostDevice(l.key, l.value) {
			pins = append(pins, l.key+" passes a host device through")
		}
	}
	return pins
}

// hostDevice tells this host's device from what any node has: sockets, SPICE redirection, cluster-wide mappings.
func hostDevice(key, value string) bool {
	for _, part := range strings.Split(value, ",") {
		if part == "spice" || part == "host=spice" || strings.HasPrefix(part, "mapping=") {
			return false
		}
	}
	return !strings.HasPrefix(key, "serial") || strings.HasPrefix(value, "/")
}
