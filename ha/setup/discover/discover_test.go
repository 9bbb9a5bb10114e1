package discover

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"testing/fstest"

	"bascule/ha"
)

const twoNodes = `nodelist {
  node {
    name: nikita
    nodeid: 2
    ring0_addr: 10.7.1.12
  }
  node {
    name: camille
    nodeid: 1
    ring0_addr: 10.7.1.11
  }
}
totem {
  cluster_name: i11
}
`

func TestCeph(t *testing.T) {
	for _, text := range []string{
		"[global]\n\tfsid = f-1\n\tmon host = 10.9.0.1 10.9.0.2\n\tpublic_network = 10.9.0.0/24\n[osd]\nfsid = no\n",
		"[global]\nfsid=f-1\nmon_host = [v2:10.9.0.1:3300/0,v1:10.9.0.1:6789/0] [v2:10.9.0.2:3300/0,v1:10.9.0.2:6789/0]\npublic_network=10.9.0.0/24\n",
	} {
		want := Ceph{Present: true, FSID: "f-1", Monitors: []string{"10.9.0.1", "10.9.0.2"}, Public: "10.9.0.0/24"}
		if got := ParseCeph([]byte(text)); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func TestLAN(t *testing.T) {
	address, vlan := ParseLAN([]byte("Set in Progress         : Set Complete\nIP Address Source       : Static Address\nIP Address              : 10.0.9.2\nMAC Address             : 00:25:90:aa:bb:cc\n802.1q VLAN ID          : Disabled\n"))
	if address != "10.0.9.2" || vlan != "Disabled" {
		t.Errorf("%q %q", address, vlan)
	}
	if address, _ = ParseLAN([]byte("IP Address              : 0.0.0.0\n")); address != "" {
		t.Errorf("0.0.0.0 is no address, got %q", address)
	}
}

// ipmitool answers as ipmitool does.
type ipmitool string

func (i ipmitool) Output(context.Context, string, ...string) ([]byte, error) {
	if i == "" {
		return nil, errors.New("not installed")
	}
	return []byte(i), nil
}

func TestBMC(t *testing.T) {
	if b := ReadBMC(t.Context(), ipmitool("IP Address : 10.0.9.9"), BMC{}); b.Address != "" {
		t.Errorf("a machine without a BMC was asked: %+v", b)
	}
	if b := ReadBMC(t.Context(), ipmitool("IP Address : 10.0.9.9"), BMC{Present: true}); b.Address != "10.0.9.9" {
		t.Errorf("%+v", b)
	}
	for _, run := range []ipmitool{"", "IP Address : 0.0.0.0"} {
		if b := ReadBMC(t.Context(), run, BMC{Present: true}); b.Address != "" || b.Why == "" {
			t.Errorf("nothing says why: %+v", b)
		}
	}
}

// tree is a small node.
func tree() fstest.MapFS {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	return fstest.MapFS{
		"etc/hostname":                               file("camille.example.org\n"),
		"etc/machine-id":                             file("aa11\n"),
		"etc/pve/.members":                           file(`{"nodename":"camille","cluster":{"name":"i11","quorate":1},"nodelist":{"camille":{"id":1,"online":1,"ip":"10.7.0.11"},"nikita":{"id":2,"online":0,"ip":"10.7.0.12"}}}`),
		"etc/pve/corosync.conf":                      file(twoNodes),
		"etc/pve/ceph.conf":                          file("[global]\nfsid = f\n"),
		"etc/pve/user.cfg":                           file("user:root@pam:1:0::::::\npool:club:our club:101,200:san:\n"),
		"etc/pve/ha/resources.cfg":                   file("vm: 102\n\tstate started\n\nct: 200\n\tstate ignored\n"),
		"etc/pve/firewall/cluster.fw":                file("[OPTIONS]\n\nenable: 1\n"),
		"etc/pve/nodes/camille/qemu-server/101.conf": file("name: web\ntags: prod;ha\nonboot: 1\nscsi0: san:vm-101-disk-0,size=8G\nide2: local:iso/x.iso,media=cdrom\n[snap]\nname: old\n"),
		"etc/pve/nodes/nikita/qemu-server/102.conf":  file("name: db\ntags: ha\n"),
		"etc/pve/nodes/nikita/qemu-server/103.conf":  file("name: template\ntags: ha\ntemplate: 1\n"),
		"etc/pve/nodes/nikita/qemu-server/099.conf":  file("name: no guest's\ntags: ha\n"),
		"etc/pve/nodes/nikita/lxc/200.conf":          file("hostname: mail\ntags: ha\nrootfs: san:vm-200-disk-0,size=4G\nmp0: /srv,mp=/srv\n"),
		"dev/watchdog":                               file(""),
		"dev/watchdog0":                              file(""),
		"dev/watchdog1":                              file(""),
		"dev/ipmi0":                                  file(""),
		"run/watchdog-mux.sock":                      file(""),
		"sys/class/watchdog/watchdog0/identity":      file("Software Watchdog\n"),
		"sys/class/watchdog/watchdog1/identity":      file("iTCO_wdt\n"),
		"sys/class/watchdog/watchdog1/nowayout":      file("1\n"),
		"sys/class/dmi/id/product_uuid":              file("4C4C4544-0042-3510-8058-B6C04F4A4D32\n"),
	}
}

func TestRead(t *testing.T) {
	f := Read(tree())
	if f.Node != "camille" || f.MachineID != "aa11" || !f.PVE || f.Corosync == nil || !f.Ceph.Local || !f.BMC.Present || !f.Firewall || len(f.Unread) > 0 {
		t.Errorf("%+v", f)
	}
	if f.UUID != "4c4c4544-0042-3510-8058-b6c04f4a4d32" {
		t.Errorf("UUID %q", f.UUID)
	}
	if got := f.Nodes(); !reflect.DeepEqual(got, []Site{{"camille", "10.7.1.11", true}, {"nikita", "10.7.1.12", false}}) {
		t.Errorf("nodes %+v", got)
	}
	var ids []ha.VMID
	for _, g := range f.Chosen(ha.Protect{Tags: []string{"HA"}}) {
		ids = append(ids, g.VMID)
	}
	if !slices.Equal(ids, []ha.VMID{101, 102, 200}) || !slices.Equal(f.HAManaged, []ha.VMID{102}) {
		t.Errorf("chosen %v, Proxmox's own %v", ids, f.HAManaged)
	}
	g := f.Guests[0]
	if g.Name != "web" || !g.Onboot || !slices.Equal(g.Storages, []string{"san"}) || !slices.Equal(g.Pools, []string{"club"}) {
		t.Errorf("guest %+v", g)
	}
	if ct := f.Guests[3]; ct.Name != "mail" || ct.Kind != ha.LXC || ct.Node != "nikita" || !slices.Equal(ct.Storages, []string{"san"}) {
		t.Errorf("what lies on no storage is on none: %+v", ct)
	}
	free, ok := f.Watchdogs.Free()
	if !f.Watchdogs.Mux || !ok || free.Number != 1 || !free.NoWayOut || len(f.Watchdogs.Devices) != 2 {
		t.Errorf("watchdogs %+v", f.Watchdogs)
	}
	if first, _ := f.Watchdogs.First(); !first.Software() {
		t.Errorf("the first watchdog is softdog: %+v", first)
	}
}

// What is missing is said, and the rest is read all the same.
func TestReadWithoutProxmox(t *testing.T) {
	tr := tree()
	delete(tr, "etc/pve/.members")
	tr["etc/pve/corosync.conf"].Data = []byte("}")
	f := Read(tr)
	if f.PVE || f.Corosync != nil || f.Node != "camille" || len(f.Unread) != 2 || len(f.Guests) != 4 {
		t.Errorf("%+v", f)
	}
}

// On a real file system the holder of a watchdog is seen by its open file.
func TestWatchdogHolder(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{"dev/watchdog0": "", "proc/77/comm": "watchdog-mux\n", "proc/77/fd/.keep": ""} {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/dev/watchdog", filepath.Join(root, "proc/77/fd/4")); err != nil {
		t.Fatal(err)
	}
	w := Read(os.DirFS(root)).Watchdogs
	if d, ok := w.First(); !ok || d.Holder != "watchdog-mux" {
		t.Errorf("%+v", w)
	}
	if _, free := w.Free(); free {
		t.Error("a watchdog that is held counts as free")
	}
}
