package proxmox

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

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

// TestInventoryWhileAStorageHangs: Proxmox answers everything but the list of storages; the guests are seen all the same, and no storage
// counts as active. Without any list to go by there is no inventory: what is local would be taken for shared.
func TestInventoryWhileAStorageHangs(t *testing.T) {
	f := inventoryPVE(t)
	d := f.driver(t, newTree(map[string]string{"nodes/n1/qemu-server/100.conf": "name: web1\nscsi0: shared:1\n"}), func(c *Config) {
		c.Protect.All, c.CallTimeout = true, 300*time.Millisecond
	})
	f.on("GET /nodes/n1/storage", answer{hang: true})
	if _, err := d.Inventory(context.Background()); err == nil {
		t.Fatal("an inventory without any list of storages")
	}
	f.on("GET /nodes/n1/storage", ok(storageList))
	before, err := d.Inventory(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	f.on("GET /nodes/n1/storage", answer{hang: true})
	got, err := d.Inventory(context.Background())
	if err != nil || len(got.Guests) != 1 || !got.Guests[0].Running || len(got.Storages) != len(before.Storages) {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, s := range got.Storages {
		if s.Active {
			t.Errorf("%s counts as active", s.Name)
		}
	}
	if len(got.Problems) != 1 || !strings.Contains(got.Problems[0], "pvesm status") {
		t.Errorf("problems %q", got.Problems)
	}
	f.on("GET /nodes/n1/storage", fails("no rights"))
	if _, err := d.Inventory(context.Background()); err == nil {
		t.Error("a refusal passes for a hang")
	}
	f.on("GET /nodes/n1/storage", ok(storageList))
	if got, err = d.Inventory(context.Background()); err != nil || len(got.Problems) != 0 {
		t.Errorf("%q, %v", got.Problems, err)
	}
}

// TestVolumes: the disks of a guest that can be written to, by their names on their storages.
func TestVolumes(t *testing.T) {
	d := newFakePVE(t).driver(t, newTree(map[string]string{"nodes/n1/qemu-server/100.conf": "scsi0: ceph:vm-100-disk-0,size=8G\n" +
		"scsi1: ceph:base-9-disk-0/vm-100-disk-1\nscsi2: nas:100/vm-100-disk-2.qcow2\nscsi3: ceph:vm-100-disk-3,ro=1\nide2: none,media=cdrom\nscsi4: /dev/sdb\n"}))
	got, err := d.Volumes(context.Background(), 100, ha.QEMU)
	want := []ha.Volume{{Storage: "ceph", Name: "vm-100-disk-0"}, {Storage: "ceph", Name: "vm-100-disk-1"}, {Storage: "nas", Name: "vm-100-disk-2.qcow2"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := d.Volumes(context.Background(), 101, ha.QEMU); err == nil {
		t.Error("a guest without a config has disks")
	}
}
