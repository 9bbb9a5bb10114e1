package storage

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bascule/ha"
)

// TestActive: which of the kernel's maps are volumes of guests, and what lies on them.
func TestActive(t *testing.T) {
	lv := func(c string) string { return "LVM-" + strings.Repeat("v", 32) + strings.Repeat(c, 32) }
	root := tree(t, map[string]string{
		"sys/block/dm-0/dm/name": "mpatha", "sys/block/dm-0/dm/uuid": "mpath-3600",
		"sys/block/dm-1/dm/name": "san--vg-vm--101--disk--0\n", "sys/block/dm-1/dm/uuid": lv("a") + "\n",
		"sys/block/dm-2/dm/name": "san--vg-vm--101--cloudinit", "sys/block/dm-2/dm/uuid": lv("b"), "sys/fs/ext4/dm-2/x": "",
		"sys/block/dm-3/dm/name": "san--vg-snap_vm--102--disk--0_before.qcow2", "sys/block/dm-3/dm/uuid": lv("c"), "sys/block/dm-3/holders/dm-9/x": "",
		"sys/block/dm-4/dm/name": "san--vg-base--103--disk--0", "sys/block/dm-4/dm/uuid": lv("d"), // a template's
		"sys/block/dm-5/dm/name": "pve-data_tmeta", "sys/block/dm-5/dm/uuid": lv("e") + "-tmeta",
		"sys/block/dm-6/dm/name": "pve-root", "sys/block/dm-6/dm/uuid": lv("f"),
		"sys/block/dm-7/dm/name": "san--vg-vm--104--disk--0", "sys/block/dm-7/dm/uuid": lv("g") + "-real", // a hidden part
		"sys/block/dm-8/dm/name": "crypt-vm--105--disk--0", "sys/block/dm-8/dm/uuid": "CRYPT-LUKS2-x",
		"sys/block/dm-9/dm/name": "inner-vm-x", "sys/block/dm-9/dm/uuid": lv("h"),
		"sys/block/sda/size": "1",
	})
	var got []string
	for _, v := range looker(t, root).Active() {
		got = append(got, fmt.Sprintf("%d %s/%s %s %q", v.Guest, v.Group, v.Name, v.UUID[len(v.UUID)-1:], v.Above))
	}
	want := []string{`101 san-vg/vm-101-disk-0 a []`, `101 san-vg/vm-101-cloudinit b ["a mounted file system"]`, `102 san-vg/snap_vm-102-disk-0_before.qcow2 c ["the device dm-9"]`}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestDeactivate: exactly the volume is named, by the kernel's mark; a refusal is passed on; nothing else than a volume is ever touched.
func TestDeactivate(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	must(t, os.WriteFile(filepath.Join(dir, "dmsetup"), []byte("#!/bin/sh\necho \"$*\" >> "+log+"\ncase \"$*\" in *b) echo 'device-mapper: remove ioctl on LVM-b failed: Device or resource busy' >&2; echo 'Command failed.' >&2; exit 1;; esac\n"), 0o755))
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	mark := func(c string) string { return "LVM-" + strings.Repeat(c, 64) }
	ctx, cancel := contextFor(30 * time.Second)
	defer cancel()
	l := looker(t, t.TempDir())
	if err := l.Deactivate(ctx, ha.ActiveVolume{UUID: mark("a")}); err != nil {
		t.Error(err)
	}
	if err := l.Deactivate(ctx, ha.ActiveVolume{UUID: mark("b")}); err == nil || !strings.Contains(err.Error(), "busy") {
		t.Errorf("of one that is open: %v", err)
	}
	for _, no := range []string{"", "mpath-3600", "LVM-short", mark("a") + "-tmeta", "LVM-" + strings.Repeat("a", 63) + " "} {
		if err := l.Deactivate(ctx, ha.ActiveVolume{UUID: no}); err == nil {
			t.Errorf("%q was taken", no)
		}
	}
	said, _ := os.ReadFile(log)
	if got, want := string(said), "remove --noudevsync --uuid "+mark("a")+"\nremove --noudevsync --uuid "+mark("b")+"\n"; got != want {
		t.Errorf("called %q", got)
	}
}
