package proxmox

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bascule/ha"
)

const (
	storageList = `[{"type":"dir","storage":"shared","shared":1,"enabled":1,"active":1,"total":270553174016,"used_fraction":0.06},
		{"storage":"local","shared":0,"enabled":1,"active":1,"type":"dir"},
		{"storage":"off","shared":"1","enabled":0,"active":0,"type":"nfs","total":0},
		{"storage":"gone","shared":1,"enabled":1,"active":0,"type":"nfs","used_fraction":null}]`
	nodeStatus = `{"memory":{"total":25276514304,"used":3033915392},"loadavg":["0.71","1.33","1.47"],"wait":0}`
)

// inventoryPVE has VM 100 running and answers whatever an inventory asks.
func inventoryPVE(t *testing.T) *fakePVE {
	return newFakePVE(t).
		on("GET /nodes/n1/status", ok(nodeStatus)).
		on("GET /nodes/n1/storage", ok(storageList)).
		on("GET /nodes/n1/qemu", ok(`[{"vmid":"103","status":"stopped"},{"vmid":104,"status":"running"}]`)).
		on("GET /nodes/n1/qemu/100/status/current", ok(`{"status":"running","vmid":100,"clipboard":null}`)).
		on("GET /nodes/n1/lxc/200/status/current", ok(`{"status":"stopped","vmid":200,"pressurecpufull":null}`))
}

func guestFiles() map[string]string {
	return map[string]string{
		"nodes/n1/qemu-server/100.conf":       "name: web1\nmemory: 2048\ntags: prod;HA\nscsi0: shared:1\nonboot: 1\nlock: backup\n",
		"nodes/n1/qemu-server/102.conf":       "name: pooled\nscsi0: local:1\n",
		"nodes/n1/qemu-server/103.conf":       "name: tmpl\ntemplate: 1\ntags: ha\n",
		"nodes/n1/qemu-server/104.conf":       "name: theirs\ntags: ha\n",
		"nodes/n1/qemu-server/105.conf":       "name: free\n",
		"nodes/n1/qemu-server/099.conf":       "name: not a guest\n",
		"nodes/n1/qemu-server/100.conf.tmp.7": "name: half\n",
		"nodes/n1/qemu-server/notanid.conf":   "x\n",
		"nodes/n1/lxc/200.conf":               "hostname: ct200\nmemory: 64\nrootfs: shared:1\ntags: ct ha\n",
		"nodes/n2/qemu-server/300.conf":       "name: other node's\ntags: ha\n",
		"ha/resources.cfg":                    "vm: 104\n\tcomment c\n\tstate disabled\n\nct: 200\n\tstate ignored\n",
		"user.cfg":                            "user:root@pam:1:0::::::\npool:ha:a%20comment:102,300:shared:\npool:empty:\n",
	}
}

func TestInventory(t *testing.T) {
	f := inventoryPVE(t).on("GET /nodes/n1/qemu/102/status/current", ok(`{"status":"stopped"}`))
	d := f.driver(t, newTree(guestFiles()), func(c *Config) {
		c.Protect = ha.Protect{Tags: []string{"ha"}, Pools: []string{"ha", "nosuch"}}
	})
	got, err := d.Inventory(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	advice := haAdvice(ha.QEMU, 104)
	want := ha.Inventory{
		Memory: 25276514304,
		Storages: []ha.StorageReport{{Name: "gone", Type: "nfs", Shared: true}, {Name: "local", Type: "dir", Active: true},
			{Name: "off", Type: "nfs", Shared: true}, {Name: "shared", Type: "dir", Shared: true, Active: true}},
		Guests: []ha.GuestSeen{
			{ID: 100, Kind: ha.QEMU, Name: "web1", Protected: true, Running: true, Memory: 2048 << 20,
				Storages: []string{"shared"}, Lock: "backup", Onboot: true},
			{ID: 102, Kind: ha.QEMU, Name: "pooled", Protected: true, Memory: 512 << 20, Storages: []string{"local"},
				Pinned: "scsi0 is on local, which is not shared"},
			{ID: 103, Kind: ha.QEMU, Name: "tmpl", Memory: 512 << 20, Refused: "a template cannot run"},
			{ID: 104, Kind: ha.QEMU, Name: "theirs", Running: true, Memory: 512 << 20,
				Refused: "Proxmox's own HA manages it (state disabled); " + advice},
			// in no list: rather taken for running than overfilled
			{ID: 105, Kind: ha.QEMU, Name: "free", Running: true, Memory: 512 << 20},
			{ID: 200, Kind: ha.LXC, Name: "ct200", Protected: true, Memory: 64 << 20, Storages: []string{"shared"}},
		},
		Managed: []ha.VMID{104},
		Problems: []string{"pool \"nosuch\", whose guests are to be protected, does not exist: " +
			"make it with `pveum pool add nosuch` or correct the configuration"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, line := range f.asked {
		if strings.Contains(line, "/cluster/") || !strings.Contains(line, "/nodes/n1/") {
			t.Errorf("asked %s: stale, or another node's", line)
		}
	}
}

func TestProtectByVMIDAndAll(t *testing.T) {
	for name, protect := range map[string]ha.Protect{"vmid": {VMIDs: []ha.VMID{100}}, "all": {All: true}} {
		tree := newTree(map[string]string{"nodes/n1/qemu-server/100.conf": "name: web1\n"})
		d := inventoryPVE(t).driver(t, tree, func(c *Config) { c.Protect = protect })
		got, err := d.Inventory(context.Background())
		if err != nil || len(got.Guests) != 1 || !got.Guests[0].Protected || !got.Guests[0].Running {
			t.Errorf("%s: got %+v, %v", name, got.Guests, err)
		}
	}
}

// A guest that leaves while the inventory is taken is dropped, not reported as stopped.
func TestGuestLeavesMeanwhile(t *testing.T) {
	tree := newTree(map[string]string{"nodes/n1/qemu-server/100.conf": "tags: ha\n", "nodes/n1/qemu-server/101.conf": "tags: ha\n"}).
		fail("read", "nodes/n1/qemu-server/101.conf", syscall.ENOENT)
	f := inventoryPVE(t).on("GET /nodes/n1/qemu/100/status/current",
		fails("Configuration file 'nodes/n1/qemu-server/100.conf' does not exist"))
	got, err := f.driver(t, tree, func(c *Config) { c.Protect.All = true }).Inventory(context.Background())
	if err != nil || len(got.Guests) != 0 {
		t.Fatalf("got %+v, %v", got.Guests, err)
	}
}

// Whatever is missing makes the whole inventory an error: a shorter list would read as "gone".
func TestInventoryIsWholeOrAnError(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*fakePVE, *fakeTree)
		want   error
	}{
		"not mounted":    {func(_ *fakePVE, tr *fakeTree) { delete(tr.files, ".members") }, ErrNotMounted},
		"another node's": {func(_ *fakePVE, tr *fakeTree) { tr.files[".members"] = `{"nodename":"n9"}` }, ErrNotMounted},
		"no directory":   {func(_ *fakePVE, tr *fakeTree) { tr.fail("readdir", "nodes/n1/lxc", syscall.ENOENT) }, ErrNotMounted},
		"config unread":  {func(_ *fakePVE, tr *fakeTree) { tr.fail("read", conf100, syscall.EIO) }, syscall.EIO},
		"HA list unread": {func(_ *fakePVE, tr *fakeTree) { tr.fail("read", "ha/resources.cfg", syscall.EIO) }, syscall.EIO},
		"pools unread":   {func(_ *fakePVE, tr *fakeTree) { tr.fail("read", "user.cfg", syscall.EIO) }, syscall.EIO},
		"no status":      {func(f *fakePVE, _ *fakeTree) { f.on("GET /nodes/n1/qemu/100/status/current", answer{drop: true}) }, ErrNoAnswer},
		"no storages":    {func(f *fakePVE, _ *fakeTree) { f.on("GET /nodes/n1/storage", ok("null")) }, ErrNoAnswer},
		"no memory":      {func(f *fakePVE, _ *fakeTree) { f.on("GET /nodes/n1/status", ok("{}")) }, ErrNoAnswer},
		"statistics late": {func(f *fakePVE, _ *fakeTree) {
			f.on("GET /nodes/n1/qemu/100/status/current", ok(`{"status":"unknown"}`))
		}, ErrNoAnswer},
	} {
		f, tree := inventoryPVE(t), newTree(guestFiles())
		c.change(f, tree)
		d := f.driver(t, tree, func(cfg *Config) { cfg.Protect = ha.Protect{VMIDs: []ha.VMID{100}, Pools: []string{"empty"}} })
		if got, err := d.Inventory(context.Background()); !errors.Is(err, c.want) || len(got.Guests) > 0 {
			t.Errorf("%s: got %d guests, %v", name, len(got.Guests), err)
		}
	}
}

func TestStoragesActive(t *testing.T) {
	d := inventoryPVE(t).driver(t, newTree(nil))
	got, err := d.StoragesActive(context.Background(), []string{"shared", "off", "/dev/sdb", "nosuch", "gone", "local"})
	if err != nil || !cmp.Equal(got, []string{"off", "nosuch", "gone"}) {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := d.StoragesActive(context.Background(), nil); got != nil || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestMembers(t *testing.T) {
	for text, want := range map[string]ha.CorosyncView{
		membersN1: {Known: true, Quorate: true, Online: []ha.NodeName{"n1", "n2"}},
		`{"nodename":"n1","version":8,"cluster":{"quorate":0},"nodelist":{"n1":{"online":"1"},"n2":{"online":0}}}`: {Known: true,
			Online: []ha.NodeName{"n1"}},
		`{"nodename":"n1","version":0}`: {},
	} {
		got, err := newFakePVE(t).driver(t, newTree(map[string]string{".members": text})).Members(context.Background())
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
	_, err := newFakePVE(t).driver(t, newTree(map[string]string{".members": "{ half"})).Members(context.Background())
	if !errors.Is(err, ErrNotMounted) {
		t.Errorf("got %v, want ErrNotMounted", err)
	}
}

// The version changes with guests and membership, not with the statistics that nodes publish all the time.
func TestVersion(t *testing.T) {
	version := func(text string) string {
		got, err := newFakePVE(t).driver(t, newTree(map[string]string{".version": text})).Version(context.Background())
		if err != nil || got == "" {
			t.Fatalf("got %q, %v", got, err)
		}
		return got
	}
	base := version(`{"starttime": 1, "clinfo": 7, "vmlist": 3, "kvstore": {"n1": {"tasklist": 1}}}`)
	if version(`{"vmlist": 3, "starttime": 1, "clinfo": 7, "kvstore": {"n1": {"tasklist": 2}}}`) != base {
		t.Error("statistics or order changed the version")
	}
	if version(`{"starttime": 1, "clinfo": 7, "vmlist": 4, "kvstore": {}}`) == base {
		t.Error("a changed guest list did not change the version")
	}
}
