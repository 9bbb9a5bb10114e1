package storage

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"bascule/ha"
)

// lvUUID is how the kernel marks a logical volume that LVM shows to people: the group's identity and its own. Hidden parts of volumes carry
// a suffix.
var lvUUID = regexp.MustCompile(`^LVM-[A-Za-z0-9]{64}$`)

// guestVolume is how Proxmox names a guest's volumes: vm-101-disk-0, vm-101-cloudinit, snap_vm-101-disk-0_before.qcow2.
var guestVolume = regexp.MustCompile(`^(?:snap_)?vm-([1-9][0-9]{2,8})-.`)

// Active lists the guests' logical volumes that this node's kernel has mapped. It reads /sys alone, which does not hang with a storage.
func (l *Looker) Active() []ha.ActiveVolume {
	s := sysfs{l.cfg.Root}
	var out []ha.ActiveVolume
	for _, dev := range s.list("sys/block") {
		uuid := s.read("sys/block", dev, "dm/uuid")
		if !lvUUID.MatchString(uuid) {
			continue
		}
		group, name, ok := splitMap(s.read("sys/block", dev, "dm/name"))
		found := guestVolume.FindStringSubmatch(name)
		if !ok || found == nil {
			continue
		}
		id, err := strconv.Atoi(found[1])
		if err != nil {
			continue
		}
		v := ha.ActiveVolume{Guest: ha.VMID(id), Group: group, Name: name, UUID: uuid}
		if s.fileSystem(dev) {
			v.Above = append(v.Above, "a mounted file system")
		}
		for _, above := range s.list("sys/block", dev, "holders") {
			v.Above = append(v.Above, "the device "+above)
		}
		out = append(out, v)
	}
	return out
}

// splitMap takes the device mapper's name of a volume apart: "-" within the group's and the volume's name is doubled.
func splitMap(name string) (group, volume string, ok bool) {
	const dash = "\x00"
	group, volume, ok = strings.Cut(strings.ReplaceAll(name, "--", dash), "-")
	return strings.ReplaceAll(group, dash, "-"), strings.ReplaceAll(volume, dash, "-"), ok
}

// Deactivate takes the kernel's mapping of a volume away, as lvchange -an does, but without reading the storage: it must work where that is
// lost. The kernel refuses a volume that anybody has open. It needs systemd/storage/deactivate.conf.
func (l *Looker) Deactivate(ctx context.Context, v ha.ActiveVolume) error {
	if !lvUUID.MatchString(v.UUID) { // never anything that is no volume of LVM
		return fmt.Errorf("%s is not the kernel's mark of a logical volume", printable(v.UUID, 80))
	}
	r := l.run(ctx, "deactivate "+v.UUID, []string{"dmsetup", "remove", "--noudevsync", "--uuid", v.UUID}, nil)
	r.err = bytes.TrimSuffix(bytes.TrimSpace(r.err), []byte("Command failed.")) // its last line; the one before says why
	if err := r.error(); err != nil {
		return fmt.Errorf("dmsetup remove: %w", err)
	}
	return nil
}
