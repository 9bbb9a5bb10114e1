package pvesim

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The notes of operations on a real pmxcfs, with and without quorum, carried out again through a node's pmxcfs.sock.
// The order is the notes'. A nil request: not replayed, for the reason beside it.

type fsStep struct {
	note string // the operation's text
	q    *fsRequest
	why  string
	// first is done before: the notes have only the operations that they time.
	first *fsRequest
}

const (
	short  = "a short write: os.write returned 1048576. The socket writes whole files"
	users  = "the lab has one user"
	handle = "needs an open file"
)

func op(note, name, path string) fsStep {
	return fsStep{note: note, q: &fsRequest{Op: name, Path: path, Data: base64.StdEncoding.EncodeToString([]byte("memory: 64\n"))}}
}

func mv(note, from, to string) fsStep {
	return fsStep{note: note, q: &fsRequest{Op: "rename", Path: from, To: to}}
}

func with(s fsStep, change func(*fsRequest)) fsStep { change(s.q); return s }

func emptied(s fsStep, file string) fsStep {
	s.first = &fsRequest{Op: "unlink", Path: file}
	return s
}

func not(note, why string) fsStep { return fsStep{note: note, why: why} }

const (
	n1vm, n2vm, n3vm = "nodes/n1/qemu-server/", "nodes/n2/qemu-server/", "nodes/n3/qemu-server/"
)

func size(n int) func(*fsRequest) {
	return func(q *fsRequest) { q.Data = base64.StdEncoding.EncodeToString(make([]byte, n)) }
}

func mode(m uint32) func(*fsRequest)       { return func(q *fsRequest) { q.Mode = m } }
func owner(o string) func(*fsRequest)      { return func(q *fsRequest) { q.Owner = o } }
func stamp(seconds int64) func(*fsRequest) { return func(q *fsRequest) { q.Time = seconds } }

var stepsWithQuorum = []fsStep{
	op("write new file nodes/n1/hatest.txt", "write", "nodes/n1/hatest.txt"), op("overwrite it", "write", "nodes/n1/hatest.txt"),
	op("append", "write", "nodes/n1/hatest.txt"), not("fsync", handle), op("O_EXCL create of an existing file", "create", "nodes/n1/hatest.txt"),
	mv("rename tmp file over an existing plain file", "nodes/n1/hatest.txt", "nodes/n1/hatest2.txt"),
	with(op("chmod 0600 of it", "chmod", "nodes/n1/hatest2.txt"), mode(0o600)), with(op("chmod 0640 (what it has)", "chmod", "nodes/n1/hatest2.txt"), mode(0o640)),
	with(op("chown root:root", "chown", "nodes/n1/hatest2.txt"), owner("root:root")), with(op("chown root:www-data", "chown", "nodes/n1/hatest2.txt"), owner("root:www-data")),
	with(op("utime", "utime", "nodes/n1/hatest2.txt"), stamp(1795298650)), op("symlink", "symlink", "nodes/n1/l"), op("hard link", "link", "nodes/n1/l"),
	op("truncate", "truncate", "nodes/n1/hatest2.txt"), op("setxattr", "setxattr", "nodes/n1/hatest2.txt"),
	with(op("write 1 MiB - 1", "write", "nodes/n1/big"), size(maxFile-1)), not("write 1 MiB + 1", short), op("unlink big", "unlink", "nodes/n1/big"), not("unlink big2", short),
	op("unlink hatest2.txt", "unlink", "nodes/n1/hatest2.txt"), op("unlink missing", "unlink", "nodes/n1/missing"),
	op("mkdir nodes/n1/d", "mkdir", "nodes/n1/d"), op("mkdir again", "mkdir", "nodes/n1/d"), op("file in it", "write", "nodes/n1/d/f"),
	op("rmdir non-empty", "rmdir", "nodes/n1/d"), op("unlink of a directory", "unlink", "nodes/n1/d"), emptied(op("rmdir", "rmdir", "nodes/n1/d"), "nodes/n1/d/f"),
	op("write .dotfile in /etc/pve", "write", ".dotfile"), op("unlink it", "unlink", ".dotfile"), op("write /etc/pve/.members", "write", ".members"),
	op("create nodes/n1/qemu-server/101.conf (101 lives on n2)", "write", n1vm+"101.conf"), op("create nodes/n1/qemu-server/101.conf with O_EXCL", "create", n1vm+"101.conf"),
	op("create nodes/n1/lxc/101.conf (101 is a qemu on n2)", "write", "nodes/n1/lxc/101.conf"), op("create nodes/n1/qemu-server/200.conf (200 is a CT on n2)", "write", n1vm+"200.conf"),
	op("create nodes/n1/qemu-server/101.conf.tmp.1 (other name)", "write", n1vm+"101.conf.tmp.1"),
	mv("rename 101.conf.tmp.1 -> n1/qemu-server/101.conf (101 on n2)", n1vm+"101.conf.tmp.1", n1vm+"101.conf"), op("unlink the tmp", "unlink", n1vm+"101.conf.tmp.1"),
	mv("rename n3/102.conf -> n1/qemu-server/101.conf (101 exists on n2)", n3vm+"102.conf", n1vm+"101.conf"),
	not("rename n3/102.conf -> n1/qemu-server/100.conf (100 exists there: overwrite)", "0.0 ms: it was skipped; done later in the notes, with 180 and 181"),
	mv("rename n3/102.conf -> nodes/n9/qemu-server/102.conf (no such node dir)", n3vm+"102.conf", "nodes/n9/qemu-server/102.conf"),
	mv("rename n3/qemu-server/102.conf -> n1/lxc/102.conf (type change)", n3vm+"102.conf", "nodes/n1/lxc/102.conf"), mv("rename back", "nodes/n1/lxc/102.conf", n3vm+"102.conf"),
	mv("rename of a missing source n3/777.conf", n3vm+"777.conf", n1vm+"777.conf"), mv("rename n3/102.conf -> n1 (RUNNING VM, no check by pmxcfs)", n3vm+"102.conf", n1vm+"102.conf"),
	mv("again (source is gone now)", n3vm+"102.conf", n1vm+"102.conf"), mv("rename it back", n1vm+"102.conf", n3vm+"102.conf"), mv("rename to itself", n3vm+"102.conf", n3vm+"102.conf"),
	op("mkdir nodes/n9", "mkdir", "nodes/n9"), op("mkdir nodes/n9/qemu-server", "mkdir", "nodes/n9/qemu-server"), op("write nodes/n9/qemu-server/190.conf", "write", "nodes/n9/qemu-server/190.conf"),
	mv("rename n9/190 -> n1/190", "nodes/n9/qemu-server/190.conf", n1vm+"190.conf"), op("unlink 190", "unlink", n1vm+"190.conf"), op("rmdir", "rmdir", "nodes/n9/qemu-server"),
	op("rmdir n9", "rmdir", "nodes/n9"), op("write nodes/n1/qemu-server/notanid.conf", "write", n1vm+"notanid.conf"), op("unlink", "unlink", n1vm+"notanid.conf"),
	op("write n1/qemu-server/099.conf", "write", n1vm+"099.conf"), op("two-path symlink form: write /etc/pve/qemu-server/191.conf", "write", "qemu-server/191.conf"),
	op("unlink", "unlink", "qemu-server/191.conf"), op("write a file larger than a VM config, content is not checked (garbage)", "write", n1vm+"garbage"),
	op("unlink", "unlink", n1vm+"garbage"), op("write priv/hatest", "write", "priv/hatest"), with(op("chmod 0640 in priv", "chmod", "priv/hatest"), mode(0o640)),
	with(op("chmod 0600 in priv", "chmod", "priv/hatest"), mode(0o600)), op("unlink", "unlink", "priv/hatest"), op("mkdir priv/hadir", "mkdir", "priv/hadir"),
	op("rmdir", "rmdir", "priv/hadir"), mv("rename priv file to a public place", "priv/key", "nodes/n1/key"),
	op("cluster lock: mkdir priv/lock/hatest", "mkdir", "priv/lock/hatest"), op("again", "mkdir", "priv/lock/hatest"),
	with(op("utime now (renew)", "utime", "priv/lock/hatest"), stamp(1795298651)), op("utime (0,0) (unlock request)", "utime", "priv/lock/hatest"), op("rmdir", "rmdir", "priv/lock/hatest"),
	not("as www-data: read nodes/n1/qemu-server/100.conf", users), not("as www-data: read priv/token.cfg", users), not("as www-data: list priv", users),
	not("as www-data: write n1/qemu-server/100.conf", users), not("as www-data: create nodes/n1/x", users), not("as www-data: unlink", users),
	not("as nobody: list /etc/pve", users), not("as nobody: read nodes/n1/qemu-server/100.conf", users), not("as nobody: read .members", users), not("as nobody: mkdir", users),
	mv("rename n3/180.conf -> n1/181.conf (181 exists at exactly that path)", n3vm+"180.conf", n1vm+"181.conf"),
	mv("rename tmp -> new vmid conf same node", n1vm+"182.conf.tmp.1", n1vm+"182.conf"), mv("rename tmp -> existing vmid conf same node", n1vm+"182.conf.tmp.2", n1vm+"182.conf"),
	with(op("write beyond 1 MiB", "write", "nodes/n1/big"), size(maxFile+1)), op("write .conf with mode 0600 requested", "write", n1vm+"183.conf"),
	not("flock LOCK_EX", handle), not("mmap/inotify: n/a", "nothing was done"),
}

var stepsWithoutQuorum = []fsStep{
	op("access(W_OK) nodes/n1/qemu-server/100.conf", "access", n1vm+"100.conf"), op("read 100.conf", "read", n1vm+"100.conf"), op("open O_WRONLY existing", "open", n1vm+"100.conf"),
	op("open O_RDWR existing", "open", n1vm+"100.conf"), op("open O_WRONLY|O_TRUNC existing", "truncate", n1vm+"100.conf"), op("create new file", "create", "nodes/n1/new"),
	op("create vm config", "create", n1vm+"190.conf"), mv("rename n3/102.conf -> n1", n3vm+"102.conf", n1vm+"102.conf"), op("unlink 100.conf", "unlink", n1vm+"100.conf"),
	op("mkdir nodes/n1/d", "mkdir", "nodes/n1/d"), op("rmdir priv/acme", "rmdir", "priv/acme"), op("mkdir priv/lock/hatest", "mkdir", "priv/lock/hatest"),
	with(op("utime", "utime", n1vm+"100.conf"), stamp(1795298650)), with(op("chmod", "chmod", n1vm+"100.conf"), mode(0o640)), op("truncate", "truncate", n1vm+"100.conf"),
	op("write .dotfile", "write", ".dotfile"), mv("rename missing source", n3vm+"777.conf", n1vm+"777.conf"), mv("rename to a missing node dir", n3vm+"102.conf", "nodes/n9/qemu-server/102.conf"),
	op("write .debug", "write", ".debug"), op("create vm config for a vmid on another node", "create", n1vm+"101.conf"), not("as www-data: write 100.conf", users),
}

var noteLine = regexp.MustCompile(`^(\S.*?)\s+(OK|E[A-Z]+)(\([0-9]+\).*)? [0-9.]+ms$`)

// TestNotesOfPmxcfs: every operation in the notes, and every permission, comes out as noted.
func TestNotesOfPmxcfs(t *testing.T) {
	dir := filepath.Join(recordedDir(t), "notes")
	lab := recordedLab(t, nil)
	lab.must(lab.edit(200, func(b []byte) []byte { return b }))
	lab.move("lxc/200.conf", "n1", "n2")
	for _, p := range []string{n3vm + "180.conf", n1vm + "181.conf", n1vm + "182.conf.tmp.1", n1vm + "182.conf.tmp.2", "nodes/n1/hatest2.txt", "priv/key", "priv/authkey.key"} {
		lab.must(lab.WriteFile(p, []byte("x")))
	}
	if _, err := lab.sock("n1").do(fsRequest{Op: "mkdir", Path: "priv/acme"}); err != nil {
		t.Fatal(err)
	}
	replayed := lab.replayNotes(filepath.Join(dir, "etcpve-ops-with-quorum.txt"), stepsWithQuorum)
	lab.NetworkChanged(func(a, b string) bool { return a != "n1" && b != "n1" })
	lab.eventually("n1 is alone", func() bool { return lab.settled("n1") && !lab.Quorate("n1") })
	replayed += lab.replayNotes(filepath.Join(dir, "etcpve-ops-without-quorum.txt"), stepsWithoutQuorum)
	t.Logf("%d operations as noted", replayed)
}

func (l *testLab) replayNotes(file string, steps []fsStep) (replayed int) {
	l.t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		l.t.Fatal(err)
	}
	for text := range strings.Lines(string(data)) {
		text = strings.TrimRight(text, "\n")
		if strings.HasPrefix(text, "stat /etc/pve") {
			l.compareMode(text)
			replayed++
			continue
		}
		m := noteLine.FindStringSubmatch(text)
		if m == nil {
			continue // what an operation printed
		}
		if len(steps) == 0 || steps[0].note != m[1] {
			l.t.Fatalf("%s: the next step is not %q", filepath.Base(file), m[1])
		}
		step := steps[0]
		steps = steps[1:]
		if step.q == nil {
			continue
		}
		if step.first != nil {
			if _, err := l.sock("n1").do(*step.first); err != nil {
				l.t.Fatal(step.note, err)
			}
		}
		want := errno(m[2])
		if want == "OK" {
			want = success
		}
		a, err := l.sock("n1").do(*step.q)
		if a.Errno != want || err != nil && want == success {
			l.t.Errorf("%s: %s: %q %v, noted %q", filepath.Base(file), step.note, a.Errno, err, want)
		}
		replayed++
	}
	if len(steps) > 0 {
		l.t.Errorf("%s: %q is not in the notes", filepath.Base(file), steps[0].note)
	}
	return replayed
}

// compareMode compares one line of permissions without quorum, "stat PATH drwx… 555 uid=…".
func (l *testLab) compareMode(text string) {
	l.t.Helper()
	f := strings.Fields(text)
	p := strings.TrimPrefix(strings.TrimPrefix(f[1], "/etc/pve"), "/")
	a, err := l.sock("n1").do(fsRequest{Op: "stat", Path: p})
	got := "-"
	for m := a.Mode; m > 0; m /= 8 {
		got = string(rune('0'+m%8)) + strings.TrimPrefix(got, "-")
	}
	if err != nil || got != f[3] || a.Dir != strings.HasPrefix(f[2], "d") {
		l.t.Errorf("%s: mode %s, directory %v, %v", text, got, a.Dir, err)
	}
}

// TestRenameKnowsNoFlags: RENAME_NOREPLACE is EINVAL on pmxcfs, with and without a target (FACTS: measured), so it
// cannot guard against the silent overwriting.
func TestRenameKnowsNoFlags(t *testing.T) {
	lab := newGuestLab(t, 1, nil)
	s := lab.sock("n1")
	for _, to := range []string{n1vm + "100.conf", n1vm + "101.conf", "nodes/n1/free"} {
		if a, _ := s.do(fsRequest{Op: "rename", Path: "storage.cfg", To: to, NoReplace: true}); a.Errno != eINVAL {
			t.Errorf("to %s: %q, want EINVAL", to, a.Errno)
		}
	}
	if _, err := s.read("storage.cfg"); err != nil {
		t.Error("a refused rename moved the file:", err)
	}
	lab.guest(GuestSpec{VMID: 101, Kind: "qemu", Name: "b", Node: "n1", Storage: "shared"})
	if err := s.rename(n1vm+"101.conf", n1vm+"100.conf"); err != nil {
		t.Error("the plain rename onto another guest's config:", err)
	}
	if lab.GuestNode(101) != "" || strings.Contains(string(lab.mirrored.entries[n1vm+"100.conf"].data), "web1") {
		t.Error("100 was not overwritten, or 101 is still there")
	}
}
