package proxmox

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/waittest"
)

// TestPlacesOfThisNode: of storage.cfg only what is for this node counts. No such file is no storage; one that cannot be read is an error.
func TestPlacesOfThisNode(t *testing.T) {
	const cfg = "dir: local\n\tpath /var/lib/vz\n\nnfs: nas\n\tserver 10.0.0.5\n\tnodes n1,n2\n\nnfs: elsewhere\n\tnodes n3\n\nnfs: off\n\tdisable\n"
	inv, err := inventoryPVE(t).driver(t, newTree(map[string]string{"storage.cfg": cfg})).Inventory(context.Background())
	want := []ha.StoragePlace{{Name: "local", Type: "dir", Path: "/var/lib/vz"}, {Name: "nas", Type: "nfs", Path: "/mnt/pve/nas", Mount: "/mnt/pve/nas"}}
	if err != nil || !reflect.DeepEqual(inv.Places, want) {
		t.Errorf("%+v, %v", inv.Places, err)
	}
	if inv, err = inventoryPVE(t).driver(t, newTree(nil)).Inventory(context.Background()); err != nil || inv.Places != nil {
		t.Errorf("without a file: %+v, %v", inv.Places, err)
	}
	if _, err = inventoryPVE(t).driver(t, newTree(nil).fail("read", "storage.cfg", syscall.EIO)).Inventory(context.Background()); !errors.Is(err, syscall.EIO) {
		t.Errorf("unread: %v", err)
	}
}

// TestInventoryWhileAStorageHangs: Proxmox answers everything but the list of storages; the guests are seen all the same, and no storage
// counts as active. Without any list to go by there is no inventory: what is local would be taken for shared.
func TestInventoryWhileAStorageHangs(t *testing.T) {
	limit := 300 * time.Millisecond
	waittest.BestOf(t, func() string { // what does not hang must have been answered by then
		limit *= 2
		return inventoryWhileAStorageHangs(t, limit/2)
	})
}

// inventoryWhileAStorageHangs gives each call so long, and says what went wrong.
func inventoryWhileAStorageHangs(t *testing.T, limit time.Duration) string {
	f := inventoryPVE(t)
	d := f.driver(t, newTree(map[string]string{"nodes/n1/qemu-server/100.conf": "name: web1\nscsi0: shared:1\n"}), func(c *Config) {
		c.Protect.All, c.CallTimeout = true, limit
	})
	f.on("GET /nodes/n1/storage", answer{hang: true})
	if _, err := d.Inventory(context.Background()); err == nil {
		t.Fatal("an inventory without any list of storages")
	}
	f.on("GET /nodes/n1/storage", ok(storageList))
	before, err := d.Inventory(context.Background())
	if err != nil {
		return err.Error()
	}
	f.on("GET /nodes/n1/storage", answer{hang: true})
	got, err := d.Inventory(context.Background())
	if err != nil || len(got.Guests) != 1 || !got.Guests[0].Running || len(got.Storages) != len(before.Storages) {
		return fmt.Sprintf("%+v, %v", got, err)
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
		return fmt.Sprintf("%q, %v", got.Problems, err)
	}
	return ""
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
