package pvesim

import (
	"testing"
	"time"
)

// recordedLab looks like the cluster of the recordings.
func recordedLab(t *testing.T, change func(*Options)) *testLab {
	lab := newTestLab(t, "n", 3, func(o *Options) {
		o.Tokens = []Token{{ID: "ha@pve!sep", Secret: "sep", Privileges: minimalRole}, {ID: "ha@pve!full", Secret: "full", Privileges: minimalRole},
			{ID: "ha@pve!none", Secret: "none"}, {ID: "root@pam!t1", Secret: "t1"}, {ID: "ha@pve!options", Secret: "options", Privileges: []string{"VM.Config.Options"}},
			{ID: "ha@pve!all", Secret: "all", Privileges: allPrivileges}}
		o.Timing.ProxyBlackhole = 3 * time.Second // longer than anything that is passed on takes
		o.Storages[0].Content = "images,iso,vztmpl,rootdir"
		o.Storages[1].Content = "rootdir,images"
		if change != nil {
			change(o)
		}
	})
	vm := func(vmid int, node, name string) GuestSpec {
		return GuestSpec{VMID: vmid, Kind: "qemu", Name: name, Node: node, Memory: 64, Tags: []string{"ha"}, Storage: "shared", Disk: "31458K", Pool: "ha",
			Extra: map[string]string{"serial0": "socket", "vga": "serial0", "kvm": "0"}}
	}
	web := vm(100, "n1", "web1")
	web.Cores, web.Tags, web.Description = 2, []string{"ha", "prod", "web"}, "first line\nsecond line äöü"
	web.Extra["meta"], web.Extra["vmgenid"], web.Extra["net0"] = "creation-qemu=7.2.22,ctime=1795297910", "6f72af0e-6bb2-40a6-a674-9e7eaf012e84", ""
	lab.guest(web)
	lab.guest(vm(101, "n2", "web101"))
	lab.guest(vm(102, "n3", "web102"))
	lab.guest(GuestSpec{VMID: 103, Kind: "qemu", Name: "tmpl", Node: "n1", Memory: 64, Storage: "shared", Template: true, Extra: map[string]string{"scsi0": ""}})
	lab.guest(GuestSpec{VMID: 104, Kind: "qemu", Name: "local", Node: "n1", Memory: 64, Storage: "only1", Disk: "31458K", Extra: map[string]string{"usb0": "host=1234:5678",
		"scsi0": "only1:104/vm-104-disk-0.raw,size=31458K"}})
	lab.guest(GuestSpec{VMID: 200, Kind: "lxc", Name: "ct200", Node: "n1", Memory: 64, Storage: "shared", Disk: "32M"})
	lab.must(lab.edit(200, func([]byte) []byte { return []byte(recordedCT) }))
	lab.on()
	lab.eventually("pve-guests.service has looked for guests on all nodes", func() bool { return lab.boots.Load() == 3 })
	lab.broadcastAll()
	return lab
}

// recordedCT is the recorded container's config; it was written by hand, and is not in the order in which Proxmox writes.
const recordedCT = `#a container\x3a hand-written
arch: amd64
cores: 1
features: nesting=1
hostname: ct200
memory: 64
mp0: /srv/host,mp=/srv,ro=1
net0: name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:02:00,ip=dhcp,type=veth
onboot: 0
ostype: unmanaged
rootfs: shared:200/vm-200-disk-0.raw,size=32M
swap: 0
tags: ct;ha
unprivileged: 0
lxc.environment: FOO=bar
lxc.cap.drop: sys_time
`
