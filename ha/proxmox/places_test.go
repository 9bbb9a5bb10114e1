package proxmox

import (
	"reflect"
	"testing"

	"bascule/ha"
)

func TestPlaces(t *testing.T) {
	const cfg = `# by hand
dir: local
	path /var/lib/vz
	content iso,vztmpl

nfs: nas
	export /srv/vms
	path /mnt/pve/nas
	server 10.0.0.5
	options vers=4.2,ro
	nodes n1,n2

cifs: share
	server 10.0.0.6
	share vms

dir: disk
	path /mnt/disk
	is_mountpoint yes
	shared 1
dir: below
	path /mnt/big/below
	is_mountpoint /mnt/big

lvm: san
	vgname sanvg
	base iscsi:0.0.0.scsi-1
	shared 1

iscsi: iscsi
	portal 10.0.0.7
	target iqn.2026-05.example:san

rbd: ceph-vm
	pool vms
	namespace a
	monhost 10.0.1.1;10.0.1.2
	username bascule

nfs: elsewhere
	path /mnt/pve/elsewhere
	nodes n3

nfs: off
	path /mnt/pve/off
	disable

nfs: nas
	path /again

nonsense
: nothing
`
	want := []ha.StoragePlace{
		{Name: "local", Type: "dir", Path: "/var/lib/vz"},
		{Name: "nas", Type: "nfs", Path: "/mnt/pve/nas", Mount: "/mnt/pve/nas", ReadOnly: true},
		{Name: "share", Type: "cifs", Path: "/mnt/pve/share", Mount: "/mnt/pve/share"},
		{Name: "disk", Type: "dir", Path: "/mnt/disk", Mount: "/mnt/disk"},
		{Name: "below", Type: "dir", Path: "/mnt/big/below", Mount: "/mnt/big"},
		{Name: "san", Type: "lvm", VG: "sanvg"},
		{Name: "iscsi", Type: "iscsi", Portal: "10.0.0.7", Target: "iqn.2026-05.example:san"},
		{Name: "ceph-vm", Type: "rbd", Pool: "vms", Namespace: "a", Monitors: "10.0.1.1;10.0.1.2", User: "bascule"},
	}
	if got := parsePlaces(cfg, "n1"); !reflect.DeepEqual(got, want) {
		t.Errorf("places:\n got %+v\nwant %+v", got, want)
	}
	if got := parsePlaces("", "n1"); got != nil {
		t.Errorf("of an empty file: %+v", got)
	}
}
