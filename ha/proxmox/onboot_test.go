package proxmox

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"testing"

	"bascule/ha"
)

// What is put back: the guests that were noted, of both kinds, on this node alone; the bytes around it stay.
func TestRestoreOnboot(t *testing.T) {
	tree := newTree(map[string]string{
		"nodes/n1/qemu-server/100.conf": "name: a\nonboot: 0\ntags: ha\n",
		"nodes/n1/qemu-server/102.conf": "name: not noted\nonboot: 0\n",
		"nodes/n1/lxc/101.conf":         "hostname: b\n",
		"nodes/n2/qemu-server/103.conf": "name: elsewhere\nonboot: 0\n",
	})
	got, err := RestoreOnboot(context.Background(), tree, "n1", t.TempDir(), []ha.VMID{100, 101, 103, 999})
	if err != nil || !slices.Equal(got, []ha.GuestRef{{ID: 100, Kind: ha.QEMU}, {ID: 101, Kind: ha.LXC}}) {
		t.Errorf("restored %v, %v", got, err)
	}
	for name, want := range map[string]string{
		"nodes/n1/qemu-server/100.conf": "name: a\nonboot: 1\ntags: ha\n",
		"nodes/n1/qemu-server/102.conf": "name: not noted\nonboot: 0\n",
		"nodes/n1/lxc/101.conf":         "hostname: b\nonboot: 1\n",
		"nodes/n2/qemu-server/103.conf": "name: elsewhere\nonboot: 0\n",
	} {
		if data, _ := tree.get(name); data != want {
			t.Errorf("%s: %q, want %q", name, data, want)
		}
	}
	if slices.ContainsFunc(tree.calls, func(c string) bool {
		return c == "write nodes/n1/lxc/103.conf" || c == "write nodes/n2/qemu-server/103.conf"
	}) {
		t.Error("another node's directory was written to")
	}
}

// Without quorum nothing can be written: each guest that lacks it is named, the others are done.
func TestRestoreOnbootWithoutQuorumNamesTheGuests(t *testing.T) {
	tree := newTree(map[string]string{"nodes/n1/qemu-server/100.conf": "onboot: 0\n", "nodes/n1/lxc/101.conf": "onboot: 0\n"}).
		fail("write", "nodes/n1/qemu-server/100.conf", syscall.EACCES)
	got, err := RestoreOnboot(context.Background(), tree, "n1", t.TempDir(), []ha.VMID{100, 101})
	if !errors.Is(err, ErrNoQuorum) || !slices.Equal(got, []ha.GuestRef{{ID: 101, Kind: ha.LXC}}) {
		t.Errorf("restored %v, %v", got, err)
	}
}

// A tree that is not mounted is an error, not "nothing to do".
func TestRestoreOnbootNeedsTheTree(t *testing.T) {
	tree := newTree(nil)
	delete(tree.files, "nodes/n1/qemu-server/.keep")
	if _, err := RestoreOnboot(context.Background(), tree, "n1", t.TempDir(), []ha.VMID{100}); !errors.Is(err, ErrNotMounted) {
		t.Errorf("got %v, want ErrNotMounted", err)
	}
}
