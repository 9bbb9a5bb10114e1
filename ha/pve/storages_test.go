package pve

import (
	"reflect"
	"slices"
	"testing"

	"bascule/ha"
)

// TestPlaces: where the storages of a node lie.
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
	var got []ha.StoragePlace
	for _, s := range ParseStorages([]byte(cfg)) {
		if s.On("n1") {
			got = append(got, s.Place())
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("places:\n got %+v\nwant %+v", got, want)
	}
	if got := ParseStorages(nil); got != nil {
		t.Errorf("of an empty file: %+v", got)
	}
}

func TestStorages(t *testing.T) {
	got := ParseStorages([]byte(`dir: local
	path /var/lib/vz
	content iso,vztmpl

lvm: san
	vgname vg0
	content images,rootdir
	shared 1
	nodes camille,nikita

rbd: ceph-vm
	pool vm
	content images
	disable

`))
	if len(got) != 3 || got[0].Shared || got[0].HoldsGuests() || !got[1].Shared || !got[1].HoldsGuests() || !got[1].On("nikita") || got[1].On("proxima") ||
		got[1].Options["vgname"] != "vg0" || !got[2].Shared || got[2].HoldsGuests() || !got[0].On("proxima") || got[2].On("proxima") {
		t.Errorf("%+v", got)
	}
}

// A key alone is a switch; of a key, and of a storage, that comes twice the first counts; what is no boolean switches nothing.
func TestStorageSwitches(t *testing.T) {
	for lines, want := range map[string][2]bool{ // disabled, shared
		"":                                  {false, false},
		"\tdisable\n":                       {true, false},
		"\tdisable \n":                      {true, false},
		"\tdisable 1\n":                     {true, false},
		"\tdisable\tYes\r\n":                {true, false},
		"\tdisable 0\n":                     {false, false},
		"\tdisable no\n":                    {false, false},
		"\tdisable perhaps\n":               {false, false},
		"\tdisable 0\n\tdisable 1\n":        {false, false},
		"\t# disable\n#disable\n":           {false, false},
		"\n\tdisable\n":                     {false, false},
		"\tdisabled\n":                      {false, false},
		"  shared\n":                        {false, true},
		"  shared 1\n  shared 0\n":          {false, true},
		"  shared yes\n":                    {false, true},
		"  shared on\n  disable on\n":       {true, true},
		"  shared 0\n":                      {false, false},
		"\ndir: x\n\tdisable\n\tshared 1\n": {false, false},
	} {
		got := ParseStorages([]byte("dir: x\n" + lines))
		if len(got) != 1 || got[0].Disabled != want[0] || got[0].Shared != want[1] || got[0].Options["#"] != "" {
			t.Errorf("%q: %+v, want disabled %t, shared %t", lines, got, want[0], want[1])
		}
	}
}

// Sections whose names Proxmox would not take, and lines before the first, are no storage's.
func TestStorageNames(t *testing.T) {
	var got []string
	for _, s := range ParseStorages([]byte("\tpath /x\nDIR: a-1_b.c\ndir: 1a\ndir: a b\ndir:\n: a\ndir a\n dir: b\ndir: a/b\nnfs:x:y\ndir:tight\n")) {
		got = append(got, s.Type+" "+s.Name)
	}
	if want := []string{"dir a-1_b.c", "dir tight"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReadOnlyStorages(t *testing.T) {
	for options, want := range map[string]bool{"": false, "ro": true, "vers=4.2,ro": true, "ro,soft": true, "rw,proto=tcp": false, "errors=remount-ro": false} {
		if got := ParseStorages([]byte("nfs: x\n\toptions " + options + "\n"))[0].Place().ReadOnly; got != want {
			t.Errorf("%q: read only %t", options, got)
		}
	}
}

func TestPathsOfStorages(t *testing.T) {
	for text, want := range map[string][2]string{ // path, mount
		"dir: x\n\tpath /var/lib/vz/\n":                       {"/var/lib/vz", ""},
		"dir: x\n\tpath /mnt/a b/\n\tis_mountpoint 1\n":       {"/mnt/a b", "/mnt/a b"},
		"dir: x\n\tpath /mnt/a\n\tis_mountpoint off\n":        {"/mnt/a", ""},
		"dir: x\n\tpath /mnt/a/b\n\tis_mountpoint /mnt/a/\n":  {"/mnt/a/b", "/mnt/a"},
		"nfs: x\n\tserver 10.0.9.1\n":                         {"/mnt/pve/x", "/mnt/pve/x"},
		"cifs: x\n\tpath /srv/c/\n":                           {"/srv/c", "/srv/c"},
		"rbd: x\n\tpool vm\n":                                 {"", ""},
		"lvm: x\n\tvgname v\n\tis_mountpoint yes\n":           {"", ""},
		"dir: x\n\tpath\t/tab\n\tis_mountpoint\n\tshared 1\n": {"/tab", ""},
	} {
		p := ParseStorages([]byte(text))[0].Place()
		if got := [2]string{p.Path, p.Mount}; got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
