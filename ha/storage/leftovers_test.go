package storage

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha"
)

// TestHeld: what of guest 101 is mounted in this kernel. A volume that is only mapped is not held.
func TestHeld(t *testing.T) {
	root := tree(t, map[string]string{
		"sys/block/dm-1/dm/name": "sanvg-vm--101--disk--0", "sys/fs/ext4/dm-1/session_write_kbytes": "1",
		"sys/block/dm-2/dm/name": "sanvg-vm--101--disk--1", // mapped only
		"sys/block/dm-3/dm/name": "sanvg-vm--1010--disk--0", "sys/fs/xfs/dm-3/log": "1",
		"sys/block/loop4/loop/backing_file": "/mnt/pve/nas/images/101/vm-101-disk-2.raw", "sys/fs/xfs/loop4/log": "1",
		"sys/block/loop5/loop/backing_file": "/mnt/pve/nas/images/101/vm-101-disk-3.raw",
		"sys/block/rbd0/size":               "1", "sys/devices/rbd/0/name": "vm-101-disk-5", "sys/fs/btrfs/uuid/devices/rbd0/x": "1",
		"sys/block/sda/size": "1", "sys/fs/ext4/sda/x": "1",
	})
	l := looker(t, root)
	if got, want := fmt.Sprint(l.Held(101)), "[dm-1 (sanvg-vm-101-disk-0) loop4 (/mnt/pve/nas/images/101/vm-101-disk-2.raw) rbd0 (vm-101-disk-5)]"; got != want {
		t.Errorf("held %s\nwant %s", got, want)
	}
	if got := l.Held(10); got != nil {
		t.Errorf("of another guest: %v", got)
	}
	if got := looker(t, t.TempDir()).Held(101); got != nil {
		t.Errorf("without a /sys: %v", got)
	}
}

// TestWhoseAddress: only exactly the dead machine's addresses count, in every way in which Ceph writes them.
func TestWhoseAddress(t *testing.T) {
	dead := addresses([]string{"ip:10.0.5.2", "ip:fd00:5::2", "iqn.2026-05.example:n2", "ip:127.0.0.1", "ip:0.0.0.0", "ip:nonsense"})
	if len(dead) != 2 {
		t.Fatalf("addresses %v", dead)
	}
	for entity, want := range map[string]bool{
		"10.0.5.2:0/1234": true, "v1:10.0.5.2:0/1": true, "v2:10.0.5.2:3300/7": true, "[fd00:5::2]:0/9": true, "v1:[fd00:5::2]:0/9": true,
		"10.0.5.20:0/1234": false, "10.0.5.3:0/1234": false, "110.0.5.2:0/1": false, "127.0.0.1:0/1": false, "": false, "10.0.5.2": false, "-": false,
	} {
		if from(entity, dead) != want {
			t.Errorf("%q: %v, want %v", entity, !want, want)
		}
	}
}

// fakeTools puts programs called rbd and ceph in front of the real ones; each notes how it was called and answers by its first words.
func fakeTools(t *testing.T, locks, status string) (calls func() []string) {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	script := `#!/bin/sh
while :; do case "$1" in -c|-n|-m|--keyring) shift 2;; *) break;; esac; done
echo "${0##*/} $*" >> ` + log + `
case "$1 $2" in
"lock ls") echo '` + locks + `';;
"status "*) echo '` + status + `';;
esac
`
	for _, name := range []string{"rbd", "ceph"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755))
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	return func() []string {
		b, _ := os.ReadFile(log)
		return strings.Split(strings.TrimSpace(string(b)), "\n")
	}
}

// TestClear: locks and watches of the dead machine go, all others stay.
func TestClear(t *testing.T) {
	const mine, other = "10.0.5.2:0/11", "10.0.5.3:0/33"
	lock := func(addr string) string {
		return `{"id":"auto 1","locker":"client.4","address":"` + addr + `"}`
	}
	watch := func(addr string) string {
		return `{"address":"` + addr + `","client":4,"cookie":1}`
	}
	for _, c := range []struct {
		name          string
		locks, status string
		want          []string // what changes anything
	}{
		{"nothing", `[]`, `{"watchers":[]}`, nil},
		{"its lock, and the watch of the same client goes with it", `[` + lock(mine) + `]`, `{"watchers":[` + watch(mine) + `]}`, []string{"rbd lock rm vms/vm-101-disk-0 auto 1 client.4"}},
		{"its watch without a lock", `[]`, `{"watchers":[` + watch(mine) + `]}`, []string{"ceph osd blocklist add " + mine + " 3600"}},
		{"another process of it watches, too", `[` + lock(mine) + `]`, `{"watchers":[` + watch("10.0.5.2:0/12") + `]}`,
			[]string{"rbd lock rm vms/vm-101-disk-0 auto 1 client.4", "ceph osd blocklist add 10.0.5.2:0/12 3600"}},
		{"another machine's", `[` + lock(other) + `]`, `{"watchers":[` + watch(other) + `]}`, nil},
		{"no JSON", `oops`, `{}`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			calls := fakeTools(t, c.locks, c.status)
			l := looker(t, t.TempDir())
			ctx, cancel := contextFor(40 * time.Second)
			defer cancel()
			did, err := l.Clear(ctx, ha.StoragePlace{Name: "ceph", Type: "rbd", Pool: "vms"}, []string{"vm-101-disk-0"}, []string{"ip:10.0.5.2"})
			changes := slices.DeleteFunc(calls(), func(s string) bool { return strings.Contains(s, "--format json") })
			if !slices.Equal(changes, c.want) || len(did) != len(c.want) || (err != nil) != (c.name == "no JSON") {
				t.Errorf("changed %q, want %q; did %q, %v", changes, c.want, did, err)
			}
		})
	}
}

// TestClearAsksNothing where nothing can be left: no addresses, another kind of storage.
func TestClearAsksNothing(t *testing.T) {
	calls := fakeTools(t, `[]`, `{}`)
	l := looker(t, t.TempDir())
	ctx, cancel := contextFor(40 * time.Second)
	defer cancel()
	for _, c := range []struct {
		place ha.StoragePlace
		dead  []string
	}{{ha.StoragePlace{Name: "ceph", Type: "rbd"}, nil}, {ha.StoragePlace{Name: "ceph", Type: "rbd"}, []string{"iqn.x"}}, {ha.StoragePlace{Name: "nas", Type: "nfs"}, []string{"ip:10.0.5.2"}}} {
		if did, err := l.Clear(ctx, c.place, []string{"vm-101-disk-0"}, c.dead); did != nil || err != nil {
			t.Errorf("%+v: %q %v", c, did, err)
		}
	}
	if got := calls(); len(got) > 1 || got[0] != "" {
		t.Errorf("called %q", got)
	}
}
