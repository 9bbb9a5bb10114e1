package pvesim

import (
	"testing"
	"time"
)

// sampleTree has VMs 100 and 103 on n1, 101 and CT 200 on n2, 102 on n3, as the recorded cluster had.
func sampleTree(t *testing.T) *tree {
	t.Helper()
	tr := newTree()
	now := time.Unix(1, 0)
	must := func(next *tree, e errno) {
		t.Helper()
		if e != success {
			t.Fatal(e)
		}
		tr = next
	}
	must(tr.mkdir("nodes", now))
	must(tr.mkdir("priv", now))
	for _, n := range []string{"n1", "n2", "n3"} {
		for _, d := range []string{"", "/qemu-server", "/lxc"} {
			must(tr.mkdir("nodes/"+n+d, now))
		}
	}
	for p, content := range map[string]string{"nodes/n1/qemu-server/100.conf": "a", "nodes/n1/qemu-server/103.conf": "b", "nodes/n2/qemu-server/101.conf": "c",
		"nodes/n2/lxc/200.conf": "d", "nodes/n3/qemu-server/102.conf": "e", "nodes/n1/qemu-server/101.conf.tmp.1": "f", "nodes/n1/file": "g", "priv/key": "h"} {
		must(tr.write(p, []byte(content), now))
	}
	return tr
}

// What the notes of a real pmxcfs with quorum show.
func TestTreeOperations(t *testing.T) {
	now := time.Unix(2, 0)
	write := func(p string) func(*tree) (*tree, errno) {
		return func(tr *tree) (*tree, errno) { return tr.write(p, []byte("new"), now) }
	}
	rename := func(from, to string) func(*tree) (*tree, errno) {
		return func(tr *tree) (*tree, errno) { return tr.rename(from, to, now) }
	}
	const n1, n3 = "nodes/n1/qemu-server/", "nodes/n3/qemu-server/"
	tests := []struct {
		name string
		do   func(*tree) (*tree, errno)
		want errno
	}{
		{"write a new file", write("nodes/n1/new"), success},
		{"overwrite it", write("nodes/n1/file"), success},
		{"overwrite an own config", write(n1 + "100.conf"), success},
		{"create a config held by another node", write(n1 + "101.conf"), eEXIST},
		{"create it as a container", write("nodes/n1/lxc/101.conf"), eEXIST},
		{"create a VM whose id is a container elsewhere", write(n1 + "200.conf"), eEXIST},
		{"another name is free", write(n1 + "101.conf.tmp.2"), success},
		{"no id: notanid.conf", write(n1 + "notanid.conf"), success},
		{"no id: 099.conf", write(n1 + "099.conf"), success},
		{"no such directory", write("nodes/n9/qemu-server/190.conf"), eNOENT},
		{"write a directory", write("nodes/n1"), eISDIR},
		{"1 MiB + 1", func(tr *tree) (*tree, errno) { return tr.write("nodes/n1/big", make([]byte, maxFile+1), now) }, eFBIG},
		{"1 MiB", func(tr *tree) (*tree, errno) { return tr.write("nodes/n1/big", make([]byte, maxFile), now) }, success},
		{"rename tmp onto a config held by another node", rename(n1+"101.conf.tmp.1", n1+"101.conf"), eEXIST},
		{"rename a config onto an id that lies elsewhere", rename(n3+"102.conf", n1+"101.conf"), eEXIST},
		{"rename a config onto another id's existing file: silently overwrites", rename(n3+"102.conf", n1+"100.conf"), success},
		{"no such node directory", rename(n3+"102.conf", "nodes/n9/qemu-server/102.conf"), eNOENT},
		{"type change", rename(n3+"102.conf", "nodes/n1/lxc/102.conf"), success},
		{"missing source", rename(n3+"777.conf", n1+"777.conf"), eNOENT},
		{"take over", rename(n3+"102.conf", n1+"102.conf"), success},
		{"to itself", rename(n3+"102.conf", n3+"102.conf"), success},
		{"tmp onto an own config", rename("nodes/n1/file", n1+"100.conf"), success},
		{"tmp onto a new id", rename("nodes/n1/file", n1+"300.conf"), success},
		{"out of priv", rename("priv/key", "nodes/n1/key"), success},
		{"unlink missing", func(tr *tree) (*tree, errno) { return tr.unlink("nodes/n1/none") }, eNOENT},
		{"unlink a directory", func(tr *tree) (*tree, errno) { return tr.unlink("nodes/n1") }, eISDIR},
		{"mkdir again", func(tr *tree) (*tree, errno) { return tr.mkdir("nodes/n1", now) }, eEXIST},
		{"mkdir without parent", func(tr *tree) (*tree, errno) { return tr.mkdir("a/b", now) }, eNOENT},
		{"rmdir non-empty", func(tr *tree) (*tree, errno) { return tr.rmdir("nodes/n1") }, eNOTEMPTY},
		{"rmdir a file", func(tr *tree) (*tree, errno) { return tr.rmdir("nodes/n1/file") }, eNOTDIR},
		{"rmdir", func(tr *tree) (*tree, errno) { return tr.rmdir("nodes/n1/lxc") }, success},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := sampleTree(t)
			count := len(before.entries)
			after, got := tt.do(before)
			if got != tt.want {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
			if len(before.entries) != count {
				t.Error("the operation changed the old version")
			}
			if got == success {
				consistent(t, after)
			}
		})
	}
}

// consistent checks the list of VMIDs against the files.
func consistent(t *testing.T, tr *tree) {
	t.Helper()
	found := map[int]string{}
	for p := range tr.entries {
		if vmid, _, _, ok := vmPath(p); ok {
			found[vmid] = p
		}
	}
	if len(found) != len(tr.vms) {
		t.Errorf("%d configs, but the list has %d", len(found), len(tr.vms))
	}
	for vmid, at := range tr.vms {
		if p := configPath(at.node, at.kind, vmid); found[vmid] != p {
			t.Errorf("the list says %s, the file is %q", p, found[vmid])
		}
	}
}

func TestOverwriteLosesTheOtherGuest(t *testing.T) {
	tr, e := sampleTree(t).rename("nodes/n3/qemu-server/102.conf", "nodes/n1/qemu-server/100.conf", time.Unix(3, 0))
	if e != success {
		t.Fatal(e)
	}
	if _, held := tr.vms[102]; held {
		t.Error("102 is still listed")
	}
	if got := string(tr.entries["nodes/n1/qemu-server/100.conf"].data); got != "e" {
		t.Errorf("100.conf holds %q, want what was 102's", got)
	}
}
