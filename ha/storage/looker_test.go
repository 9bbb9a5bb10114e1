package storage

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bascule/ha"
)

// asChild makes this test binary the process of a look.
const asChild = "BASCULE_TEST_STORAGE_CHILD"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == asChild {
		os.Exit(RunChild(os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

func looker(t *testing.T, root string) *Looker {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return New(Config{Node: "n1", Child: []string{self, asChild}, Etc: filepath.Join(root, "etc"), Root: root})
}

func look(t *testing.T, l *Looker, p ha.StoragePlace, limit time.Duration) (ha.StorageLook, time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	began := time.Now()
	return l.Look(ctx, p), time.Since(began)
}

// TestDirectory: what a directory is like, and what a look at it says.
func TestDirectory(t *testing.T) {
	for _, c := range []struct {
		name    string
		make    func(t *testing.T, dir string)
		place   ha.StoragePlace
		problem string
		skipped bool
		note    string
		written bool
	}{
		{"good", func(*testing.T, string) {}, ha.StoragePlace{}, "", false, "", true},
		{"good, read only", func(*testing.T, string) {}, ha.StoragePlace{ReadOnly: true}, "", false, "", false},
		{"not there", func(t *testing.T, dir string) { must(t, os.Remove(dir)) }, ha.StoragePlace{}, "no such thing", true, "", false},
		{"not mounted", func(*testing.T, string) {}, ha.StoragePlace{Mount: "."}, "is not mounted", false, "", false},
		{"no directory", func(t *testing.T, dir string) {
			must(t, os.Remove(dir))
			must(t, os.WriteFile(dir, nil, 0o600))
		}, ha.StoragePlace{}, "not a directory", false, "", false},
		{"its link leads nowhere", func(t *testing.T, dir string) {
			must(t, os.Remove(dir))
			must(t, os.Symlink(dir, dir))
		}, ha.StoragePlace{}, "too many levels", false, "", false},
		{"something is in the way of what we write", func(t *testing.T, dir string) {
			must(t, os.WriteFile(filepath.Join(dir, ownDir), nil, 0o600))
		}, ha.StoragePlace{}, "", false, "not written to", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "nas")
			must(t, os.Mkdir(dir, 0o755))
			c.make(t, dir)
			p := c.place
			p.Name, p.Type, p.Path = "nas", "dir", dir
			if p.Mount == "." {
				p.Mount = dir
			}
			got, _ := look(t, looker(t, t.TempDir()), p, 40*time.Second)
			if got.Storage != "nas" || got.Hung || got.Skipped != c.skipped || (got.Problem == "") != (c.problem == "") || !strings.Contains(got.Problem, c.problem) {
				t.Errorf("%+v, want %q", got, c.problem)
			}
			notes := strings.Join(got.Notes, "; ")
			if !strings.Contains(notes, c.note) || c.note == "" && notes != "" && !strings.Contains(notes, "free") {
				t.Errorf("notes %q, want %q", notes, c.note)
			}
			if _, err := os.Stat(filepath.Join(dir, ownDir, "look-n1")); (err == nil) != c.written {
				t.Errorf("written: %v, want %v", err == nil, c.written)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestFailedWrites: which errors of a write say that the storage fails on this node.
func TestFailedWrites(t *testing.T) {
	for _, c := range []struct {
		err  error
		note bool
	}{{syscall.ENOSPC, true}, {syscall.EROFS, true}, {syscall.EDQUOT, true}, {syscall.EACCES, true}, {syscall.ENOTDIR, true}, {syscall.EIO, false}, {syscall.ESTALE, false}, {syscall.ETIMEDOUT, false}} {
		var a answer
		err := a.judgeWrite("/x", &os.PathError{Op: "write", Path: "/x", Err: c.err})
		if (err == nil) != c.note || (len(a.Notes) == 1) != c.note {
			t.Errorf("%v: %v, notes %q", c.err, err, a.Notes)
		}
	}
}

// TestWritesArePaced: a storage that works is written to once a minute and read in each look, one that does not in each look.
func TestWritesArePaced(t *testing.T) {
	dir := t.TempDir()
	l, p := looker(t, t.TempDir()), ha.StoragePlace{Name: "nas", Path: dir}
	file := filepath.Join(dir, ownDir, "look-n1")
	for i := range 3 {
		got, _ := look(t, l, p, 40*time.Second)
		if got.Problem != "" {
			t.Fatal(got.Problem)
		}
		_, err := os.Stat(file)
		if i == 0 && err != nil || i > 0 && !os.IsNotExist(err) {
			t.Fatalf("look %d: %v", i, err)
		}
		os.Remove(file)
	}
	l.mu.Lock()
	l.wrote["nas"] = time.Now().Add(-2 * writeEvery)
	l.mu.Unlock()
	look(t, l, p, 40*time.Second)
	if _, err := os.Stat(file); err != nil {
		t.Error("not written after a minute")
	}
}

// TestALookThatHangsIsKilled: a FIFO stands for a file that never answers. The look ends at its time, its process is gone, and the next one
// begins anew.
func TestALookThatHangsIsKilled(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, ownDir), 0o755))
	must(t, syscall.Mkfifo(filepath.Join(dir, ownDir, "look-n1"), 0o600))
	l, p := looker(t, t.TempDir()), ha.StoragePlace{Name: "nas", Path: dir}
	for range 2 {
		got, took := look(t, l, p, 500*time.Millisecond)
		if !got.Hung || !strings.Contains(got.Problem, "no answer") {
			t.Fatalf("%+v", got)
		}
		t.Logf("took %v", took)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) != 0 {
		t.Errorf("left: %v", l.open)
	}
}

// TestOneLookAtATime: while a process cannot be killed, no other look at that storage begins; other storages are looked at.
func TestOneLookAtATime(t *testing.T) {
	l := looker(t, t.TempDir())
	since := time.Now().Add(-time.Hour)
	l.open["nas"] = &process{since: since}
	dir := t.TempDir()
	for range 3 {
		got, took := look(t, l, ha.StoragePlace{Name: "nas", Path: dir}, 40*time.Second)
		if !got.Hung || !strings.Contains(got.Problem, since.Format(time.TimeOnly)) || took > 30*time.Second { // it must not use its time up
			t.Fatalf("%+v after %v", got, took)
		}
	}
	if got, _ := look(t, l, ha.StoragePlace{Name: "other", Path: dir}, 40*time.Second); got.Problem != "" {
		t.Errorf("%+v", got)
	}
	if _, err := os.Stat(filepath.Join(dir, ownDir, "look-n1")); err != nil {
		t.Error("the other one was not looked at")
	}
}

// TestNothingIsSaidWithoutALook: what says nothing about the storage makes no state.
func TestNothingIsSaidWithoutALook(t *testing.T) {
	root := t.TempDir()
	l := looker(t, root)
	for _, p := range []ha.StoragePlace{
		{Name: "zfs", Type: "zfspool"}, {Name: "pbs", Type: "pbs"},
		{Name: "san", Type: "lvm", VG: "sanvg"}, {Name: "iscsi", Type: "iscsi", Target: "iqn.2026-05.example:san"},
	} {
		if got, _ := look(t, l, p, 40*time.Second); !got.Skipped || got.Problem == "" || got.Hung {
			t.Errorf("%s: %+v", p.Name, got)
		}
	}
	l.cfg.Child = []string{filepath.Join(root, "no-such-program")}
	if got, _ := look(t, l, ha.StoragePlace{Name: "nas", Path: root}, 40*time.Second); !got.Skipped || !strings.Contains(got.Problem, "no process") {
		t.Errorf("%+v", got)
	}
	l.cfg.Child = []string{"/bin/sh", "-c", "echo broken >&2; exit 3"}
	if got, _ := look(t, l, ha.StoragePlace{Name: "nas", Path: root}, 40*time.Second); !got.Skipped || !strings.Contains(got.Problem, "broken") {
		t.Errorf("%+v", got)
	}
}

// TestBlockDeviceIsRead: a real loop device is read past the cache; one whose file is gone short of its size fails.
func TestBlockDeviceIsRead(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can make loop devices")
	}
	file := filepath.Join(t.TempDir(), "disk")
	must(t, os.WriteFile(file, make([]byte, 1<<20), 0o600))
	out, err := exec.Command("losetup", "-f", "--show", file).Output()
	if err != nil {
		t.Skipf("no loop device: %v", err)
	}
	dev := strings.TrimSpace(string(out))
	t.Cleanup(func() { _ = exec.Command("losetup", "-d", dev).Run() })
	var a answer
	if err := a.carryOut(order{Devices: []string{dev}}); err != nil {
		t.Fatal(err)
	}
	must(t, os.Truncate(file, 0))
	if err := a.carryOut(order{Devices: []string{dev}}); err == nil {
		t.Error("a disk that is gone was read")
	} else {
		t.Log(err)
	}
	if err := a.carryOut(order{Devices: []string{dev + "no"}}); !notOurs(err) {
		t.Errorf("a disk that this process may not see: %v", err)
	}
}

// tree writes files below a root, as /sys, /run and /dev would have them.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		at := filepath.Join(root, name)
		must(t, os.MkdirAll(filepath.Dir(at), 0o755))
		if to, link := strings.CutPrefix(content, "-> "); link {
			must(t, os.Symlink(to, at))
			continue
		}
		must(t, os.WriteFile(at, []byte(content), 0o600))
	}
	return root
}

// TestDevicesOfStorages: which disks are below a volume group or belong to a target, and how many paths lead to them.
func TestDevicesOfStorages(t *testing.T) {
	root := tree(t, map[string]string{
		// a group on a multipath map of two paths, one of which is offline
		"sys/block/dm-5/dm/name": "san--vg-vm--101--disk--0\n", "sys/block/dm-5/dm/uuid": "LVM-abc", "sys/block/dm-5/slaves/dm-0/x": "",
		"sys/block/dm-0/dm/name": "mpatha", "sys/block/dm-0/dm/uuid": "mpath-3600", "sys/block/dm-0/slaves/sda/x": "", "sys/block/dm-0/slaves/sdb/x": "",
		"sys/block/sda/device/state": "running\n", "sys/block/sdb/device/state": "transport-offline\n",
		"sys/block/sda/holders/dm-0/x": "", "sys/block/sdb/holders/dm-0/x": "",
		// a thin volume: its pool is a volume, too; and a group whose name begins like the other's
		"sys/block/dm-7/dm/name": "san--vg--2-vm", "sys/block/dm-7/dm/uuid": "LVM-def", "sys/block/dm-7/slaves/dm-8/x": "",
		"sys/block/dm-8/dm/name": "san--vg--2-pool", "sys/block/dm-8/dm/uuid": "LVM-ghi", "sys/block/dm-8/slaves/sdc/x": "",
		"sys/block/dm-9/dm/name": "san--vg-crypt", "sys/block/dm-9/dm/uuid": "CRYPT-x", "sys/block/dm-9/slaves/sdz/x": "",
		// a group without an active volume, which udev has noted
		"run/lvm/pvs_online/uuid1": "8:48\nvg:idle\ndev:/dev/sdd\n", "dev/block/8:48": "-> ../sdd", "dev/sdd": "",
		"dev/sda": "", "dev/sdb": "", "dev/sdc": "", "dev/dm-0": "",
		"dev/disk/by-path/ip-10.0.0.7:3260-iscsi-iqn.2026-05.example:san-lun-1":       "-> ../../sda",
		"dev/disk/by-path/ip-10.0.0.8:3260-iscsi-iqn.2026-05.example:san-lun-1":       "-> ../../sdb",
		"dev/disk/by-path/ip-10.0.0.7:3260-iscsi-iqn.2026-05.example:san-lun-1-part1": "-> ../../sda1",
		"dev/disk/by-path/ip-10.0.0.7:3260-iscsi-iqn.2026-05.example:san2-lun-1":      "-> ../../sdc",
	})
	s := sysfs{root}
	dev := func(names ...string) string {
		var out []string
		for _, n := range names {
			out = append(out, filepath.Join(root, "dev", n))
		}
		return fmt.Sprint(out)
	}
	for _, c := range []struct {
		name string
		got  []string
		want string
	}{
		{"group on multipath", s.volumeGroup("san-vg"), dev("dm-0")},
		{"group with a thin pool", s.volumeGroup("san-vg-2"), dev("sdc")},
		{"group without an active volume", s.volumeGroup("idle"), dev("sdd")},
		{"no such group", s.volumeGroup("san"), "[]"},
		{"no group", s.volumeGroup(""), "[]"},
		{"target behind multipath", s.iscsi("iqn.2026-05.example:san"), dev("dm-0")},
		{"target with one path", s.iscsi("iqn.2026-05.example:san2"), dev("sdc")},
		{"no target", s.iscsi("iqn.none"), "[]"},
	} {
		if got := fmt.Sprint(c.got); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	if p := s.paths([]string{filepath.Join(root, "dev/dm-0")}); p == nil || *p != (ha.PathCount{Up: 1, All: 2}) {
		t.Errorf("paths %+v", p)
	}
	if p := s.paths([]string{filepath.Join(root, "dev/sdc")}); p != nil {
		t.Errorf("a disk without multipath has paths: %+v", p)
	}
}

// TestMultipathd reads the daemon's own answer, as multipath-tools 0.9.4 gives it.
func TestMultipathd(t *testing.T) {
	const answer = `{"major_version":0,"minor_version":1,"maps":[
{"name":"mpatha","uuid":"3600","sysfs":"dm-0","failback":"-","queueing":"off","paths":2,"write_prot":"rw","dm_st":"active","features":"0","hwhandler":"0","action":"","path_faults":1,
"path_groups":[{"selector":"service-time 0","pri":1,"dm_st":"active","marginal_st":"normal","group":1,"paths":[
{"dev":"sda","dev_t":"8:0","dm_st":"active","dev_st":"running","chk_st":"ready","checker":"tur","pri":1},
{"dev":"sdb","dev_t":"8:16","dm_st":"failed","dev_st":"running","chk_st":"faulty","checker":"tur","pri":1}]}]},
{"name":"mpathb","sysfs":"dm-1","path_groups":[{"paths":[{"dm_st":"active","chk_st":"ready"},{"dm_st":"active","chk_st":"ghost"}]}]}]}`
	for _, c := range []struct {
		devices []string
		want    string
	}{
		{[]string{"/dev/dm-0"}, "1 of 2"}, {[]string{"/dev/dm-1"}, "2 of 2"}, {[]string{"/dev/dm-1", "/dev/dm-0"}, "1 of 2"}, {[]string{"/dev/sdc"}, "not known"},
	} {
		got := "not known"
		if p, ok := parseMaps([]byte(answer), c.devices); ok {
			got = fmt.Sprintf("%d of %d", p.Up, p.All)
		}
		if got != c.want {
			t.Errorf("%v: %s, want %s", c.devices, got, c.want)
		}
	}
	if _, ok := parseMaps([]byte("timeout"), []string{"/dev/dm-0"}); ok {
		t.Error("nonsense was read")
	}
}

// TestCephStatus: what is told of a cluster that answers.
func TestCephStatus(t *testing.T) {
	for _, c := range []struct {
		name, status, want string
	}{
		{"healthy", `{"health":{"status":"HEALTH_OK","checks":{}},"quorum_names":["a","b","c"],"monmap":{"num_mons":3}}`, "[]"},
		{"a monitor is lost", `{"health":{"checks":{"MON_DOWN":{"summary":{"message":"1/3 mons down, quorum a,b"}}}},"quorum_names":["a","b"],"monmap":{"num_mons":3}}`,
			"[Ceph: 2 of 3 monitors answer (a, b)]"},
		{"older monmap", `{"quorum_names":["a"],"monmap":{"mons":[{"name":"a"},{"name":"b"}]}}`, "[Ceph: 1 of 2 monitors answer (a)]"},
		{"nearly full and noout", `{"health":{"checks":{"OSD_NEARFULL":{"summary":{"message":"2 nearfull osd(s)"}},"OSDMAP_FLAGS":{"summary":{"message":"noout,noscrub flag(s) set"}}}}}`,
			"[Ceph: an OSD is nearly full Ceph: the flag noout is set: data of OSDs that are gone is not rebuilt]"},
		{"another flag", `{"health":{"checks":{"OSDMAP_FLAGS":{"summary":{"message":"noscrub flag(s) set"}}}}}`, "[]"},
		{"full", `{"health":{"checks":{"POOL_FULL":{},"OSD_FULL":{}}}}`, "[Ceph: a pool is FULL, nothing can be written to it Ceph: an OSD is FULL, nothing can be written]"},
		{"nonsense", `{`, "[]"},
	} {
		if got := fmt.Sprint(parseCephStatus([]byte(c.status))); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestCephArgs: the tools are called as Proxmox itself calls them.
func TestCephArgs(t *testing.T) {
	root := tree(t, map[string]string{"etc/priv/ceph/own.keyring": "", "etc/priv/ceph/far.keyring": "", "etc/priv/ceph/far.conf": "", "etc/priv/ceph/fs.secret": ""})
	l := looker(t, root)
	etc := filepath.Join(root, "etc")
	for _, c := range []struct {
		place ha.StoragePlace
		want  string
	}{
		{ha.StoragePlace{Name: "own"}, "rbd -c ETC/ceph.conf -n client.admin --keyring ETC/priv/ceph/own.keyring"},
		{ha.StoragePlace{Name: "far", Monitors: "10.0.1.1;10.0.1.2 10.0.1.3", User: "bascule"}, "rbd -m 10.0.1.1,10.0.1.2,10.0.1.3 -c ETC/priv/ceph/far.conf -n client.bascule --keyring ETC/priv/ceph/far.keyring"},
		{ha.StoragePlace{Name: "open", Monitors: "10.0.1.1"}, "rbd -m 10.0.1.1 -n client.admin --auth_supported none"},
		{ha.StoragePlace{Name: "fs"}, "rbd -c ETC/ceph.conf -n client.admin --keyfile ETC/priv/ceph/fs.secret"},
		{ha.StoragePlace{Name: "default"}, "rbd -c ETC/ceph.conf -n client.admin"},
	} {
		if got := strings.ReplaceAll(strings.Join(l.cephArgs("rbd", c.place), " "), etc, "ETC"); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.place.Name, got, c.want)
		}
	}
	if p := l.pool(ha.StoragePlace{Pool: "vms", Namespace: "a"}); p != "vms/a" {
		t.Errorf("pool %q", p)
	}
	if p := l.pool(ha.StoragePlace{}); p != "rbd" {
		t.Errorf("pool %q", p)
	}
}

func contextFor(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}
