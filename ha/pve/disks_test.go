package pve

import (
	"slices"
	"strings"
	"testing"

	"bascule/ha"
)

func TestWritableStoragesAndPins(t *testing.T) {
	local := func(s string) bool { return s == "local-lvm" || s == "local" }
	for name, c := range map[string]struct {
		kind     ha.GuestKind
		text     string
		storages string
		pins     string
	}{
		"shared disks": {ha.QEMU, "scsi0: shared:100/vm-100-disk-0.qcow2,size=32G\nefidisk0: ceph:vm-100-disk-1,size=4M\n" +
			"tpmstate0: ceph:vm-100-disk-2\nunused0: old:vm-100-disk-9\n", "ceph shared", ""},
		"file= form":      {ha.QEMU, "virtio1: cache=none,file=shared:100/a.raw\n", "shared", ""},
		"cdrom and empty": {ha.QEMU, "ide2: local:iso/debian.iso,media=cdrom\nide0: none,media=cdrom\nsata1: cdrom,media=cdrom\n", "", ""},
		"read only":       {ha.QEMU, "scsi1: shared:base.raw,ro=1\nscsi2: local:x.raw,ro=1\n", "", "scsi2 is on local, which is not shared"},
		"local disk":      {ha.QEMU, "scsi0: local-lvm:vm-100-disk-0\n", "local-lvm", "scsi0 is on local-lvm, which is not shared"},
		"declared shared": {ha.QEMU, "scsi0: local-lvm:vm-100-disk-0,shared=1\n", "local-lvm", ""},
		"hibernated":      {ha.QEMU, "lock: suspended\nvmstate: local:100/vm-100-state-suspend.raw\n", "local", "vmstate is on local, which is not shared"},
		"host's disk":     {ha.QEMU, "scsi0: /dev/disk/by-id/ata-X,size=1T\n", "/dev/disk/by-id/ata-X", "scsi0 is the host's /dev/disk/by-id/ata-X"},
		"passthrough": {ha.QEMU, "hostpci0: 0000:01:00.0,pcie=1\nhostpci1: mapping=gpu\nusb0: host=046d:c52b\nusb1: spice\n" +
			"usb2: mapping=stick\nserial0: socket\nserial1: /dev/ttyS0\n", "",
			"hostpci0 passes a host device through; usb0 passes a host device through; serial1 passes a host device through"},
		"unknown storage is no pin": {ha.QEMU, "scsi0: elsewhere:1\n", "elsewhere", ""},
		"smuggled in":               {ha.QEMU, "args: -drive file=/srv/x.raw\nvirtiofs0: dirid=data\nscsi0: shared:1\n", "/args /virtiofs/dirid=data shared", ""},
		"harmless args":             {ha.QEMU, "args: -cpu host,+x\n", "", ""},
		"container": {ha.LXC, "rootfs: shared:200/vm-200-disk-0.raw,size=32M\nmp1: volume=ceph:subvol-200,mp=/d\nmp2: shared:x,mp=/y,ro=1\n",
			"ceph shared", ""},
		"bind mount": {ha.LXC, "rootfs: shared:1\nmp0: /srv/host,mp=/srv,ro=1\nmp1: /srv/b,mp=/b\n", "/srv/b shared",
			"mp0 is a bind mount of /srv/host; mp1 is a bind mount of /srv/b"},
		"bind mount everywhere": {ha.LXC, "rootfs: shared:1\nmp0: /srv/nfs,mp=/srv,shared=1\n", "/srv/nfs shared", ""},
		"raw mounts": {ha.LXC, "lxc.mount.entry: /mnt/nfs srv none bind 0 0\nlxc.mount.entry = /ro ro none bind,ro 0 0\n" +
			"lxc.mount.entry: /dev/net/tun dev/net/tun none bind,create=file\nlxc.mount.entry: tmpfs tmp tmpfs rw 0 0\n", "/mnt/nfs", ""},
		"of two lines both count": {ha.QEMU, "scsi0: shared:2\nscsi0: local:1,nonsense=1\n", "local shared", "scsi0 is on local, which is not shared"},
		"snapshots do not count":  {ha.QEMU, "scsi0: shared:1\n\n[snap]\nscsi0: local:1\nhostpci0: 1\n", "shared", ""},
	} {
		config := ParseGuestConfig(c.kind, []byte(c.text))
		if got := strings.Join(config.WritableStorages(), " "); got != c.storages {
			t.Errorf("%s: storages %q, want %q", name, got, c.storages)
		}
		if got := strings.Join(config.Pins(local), "; "); got != c.pins {
			t.Errorf("%s: pins %q, want %q", name, got, c.pins)
		}
	}
}

func TestDisksKeepTheirOrder(t *testing.T) {
	config := ParseGuestConfig(ha.QEMU, []byte("scsi1: b:1\nscsi0: a:1\n"))
	var keys []string
	for _, d := range config.Disks() {
		keys = append(keys, d.Key)
	}
	if !slices.Equal(keys, []string{"scsi1", "scsi0"}) {
		t.Errorf("got %q", keys)
	}
}
