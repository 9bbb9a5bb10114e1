package doctor

import (
	"fmt"
	"slices"
)

// How much room the store needs beside what it has: all that etcd keeps by default (--quota-backend-bytes), and what it cannot go on
// without: its next two files of the write-ahead log, made ahead at 64 MB each.
const (
	roomWanted = 2 << 30
	roomNeeded = 256 << 20
)

// disk: where the store's data lie, and whether there is room.
var disk = check{
	kinds: []Kind{
		{ID: "disk-space", Grades: []Severity{Warning, Critical, OK}, Title: "Little room for the store's data",
			Why: "etcd stops when it cannot write: the node loses its lease, and a voter is lost. It may grow to 2 GiB, and makes files of 64 MB ahead",
			Do:  "make room on the file system of data_dir (journalctl --vacuum-size=200M, old kernels, old backups), or move data_dir to a larger local disk"},
		{ID: "data-dir-volatile", Grades: []Severity{Critical}, Title: "The store's data do not survive a reboot",
			Why: "a voter that forgets what it has voted can undo what a majority has agreed on, and with it the only truth about where a guest runs",
			Do:  "put data_dir on a local disk (default /var/lib/bascule), not on tmpfs"},
		{ID: "data-dir-shared", Grades: []Severity{Critical}, Title: "The store's data lie on shared or protected storage",
			Why: "when that storage is away, or is taken from a dying node by fencing, the store goes with it: nothing is left to decide by",
			Do:  "move data_dir to a disk of the machine's own, one voter after the other"},
	},
	run: func(x *exam) {
		for _, f := range x.nodes() {
			if f.Disk != nil && voter(f) {
				x.disk(f)
			}
		}
	},
}

// networkFilesystems are types of file systems that are not the machine's own.
var networkFilesystems = []string{"nfs", "nfs4", "cifs", "smb3", "ceph", "fuse.ceph", "fuse.glusterfs", "ocfs2", "gfs2", "fuse.sshfs", "9p", "afs"}

func voter(f Facts) bool { return f.Config != nil && slices.Contains(f.Config.Voters, f.Node) }

func (x *exam) disk(f Facts) {
	d := f.Disk
	where := fmt.Sprintf("%s on %s (%s)", d.Path, d.Mount, d.Filesystem)
	switch {
	case slices.Contains(networkFilesystems, d.Filesystem):
		x.add(Finding{ID: "data-dir-shared", Severity: Critical, Node: f.Node, Evidence: where + " is a network file system"})
	case d.Shared != "":
		x.add(Finding{ID: "data-dir-shared", Severity: Critical, Node: f.Node, Evidence: fmt.Sprintf("%s lies on Proxmox's storage %s", where, d.Shared)})
	case d.Filesystem == "tmpfs" || d.Filesystem == "ramfs":
		x.add(Finding{ID: "data-dir-volatile", Severity: Critical, Node: f.Node, Evidence: where + " lives in memory"})
	}
	room := fmt.Sprintf("%s of %s free where %s lies", bytes(d.Free), bytes(d.Size), d.Path)
	switch {
	case d.Free < roomNeeded:
		x.add(Finding{ID: "disk-space", Severity: Critical, Node: f.Node, Evidence: room})
	case d.Free+d.Used < roomWanted:
		x.add(Finding{ID: "disk-space", Severity: Warning, Node: f.Node, Evidence: fmt.Sprintf("%s, the store has %s", room, bytes(d.Used))})
	default:
		x.add(Finding{ID: "disk-space", Severity: OK, Node: f.Node, Evidence: room})
	}
}

// bytes words a number of bytes: "512 MiB", "3.2 GiB".
func bytes(n int64) string {
	if n >= 1<<30 {
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%d MiB", n>>20)
}
