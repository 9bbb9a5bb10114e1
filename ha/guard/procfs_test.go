package guard

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/waittest"

	gocmp "github.com/google/go-cmp/cmp"
)

// fakeProc is one process of a fake /proc.
type fakeProc struct {
	pid, ppid, sid int
	threads        int // 0 means 1
	state          string
	flags          int
	comm           string
	argv           []string
	cgroup         string
}

type fakeTree struct {
	t    *testing.T
	root string
}

func newFakeTree(t *testing.T) (*fakeTree, *ProcFS) {
	f := &fakeTree{t: t, root: t.TempDir()}
	return f, &ProcFS{Root: f.root, Proc: filepath.Join(f.root, "proc"), slow: slowReads{limit: waittest.Hang}}
}

func (f *fakeTree) write(path, data string) {
	f.t.Helper()
	path = filepath.Join(f.root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fakeTree) add(procs ...fakeProc) {
	for _, p := range procs {
		dir := "proc/" + strconv.Itoa(p.pid) + "/"
		f.write(dir+"stat", fmt.Sprintf("%d (%s) %s %d %d %d 0 -1 %d 0 0 0 0 0 0 0 0 20 0 %d 0 %d 0 0\n",
			p.pid, cmp.Or(p.comm, "x) y"), cmp.Or(p.state, "S"), cmp.Or(p.ppid, 1), p.pid, cmp.Or(p.sid, 1), p.flags, cmp.Or(p.threads, 1), 1000+p.pid))
		line := strings.Join(p.argv, "\x00")
		if line != "" {
			line += "\x00"
		}
		f.write(dir+"cmdline", line)
		f.write(dir+"cgroup", p.cgroup)
	}
}

func (f *fakeTree) remove(pid int) {
	if err := os.RemoveAll(filepath.Join(f.root, "proc", strconv.Itoa(pid))); err != nil {
		f.t.Fatal(err)
	}
}

// found returns "pid what vmid" of what Find finds, by pid.
func found(t *testing.T, p *ProcFS, ids ...ha.VMID) []string {
	t.Helper()
	procs, err := p.Find(refs(ids...))
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(procs, func(a, b Proc) int { return cmp.Compare(a.PID, b.PID) })
	out := []string{}
	for _, q := range procs {
		if q.StartTime != uint64(1000+q.PID) {
			t.Errorf("PID %d: start time %d", q.PID, q.StartTime)
		}
		out = append(out, fmt.Sprintf("%d %s %d", q.PID, q.What, q.VMID))
	}
	return out
}

func wantFound(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := gocmp.Diff(append([]string{}, want...), got); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
}

func worker(id string) []string {
	return []string{"task UPID:node1:000001A3:0008207C:6B021298:qmstart:" + id + ":bascule@pve!node1:"}
}

func kvm(id string) []string {
	return []string{"/usr/bin/kvm", "-id", id, "-name", "web1,debug-threads=on"}
}

func TestFindWorkers(t *testing.T) {
	f, p := newFakeTree(t)
	f.add(
		fakeProc{pid: 20, argv: worker("101")},
		fakeProc{pid: 21, argv: worker("1010")}, fakeProc{pid: 22, argv: worker("0101")}, fakeProc{pid: 23, argv: worker("")},
		fakeProc{pid: 24, argv: []string{"task UPID:node1:101:"}}, fakeProc{pid: 25, argv: []string{"grep", "task UPID:n:1:2:3:qmstart:101:u:"}},
		fakeProc{pid: 26, argv: []string{"pvedaemon worker"}},
		fakeProc{pid: 27, argv: worker("101"), state: "Z"}, fakeProc{pid: 28, argv: worker("101"), flags: kernelThread},
	)
	wantFound(t, found(t, p, 101), "20 worker 101")
	wantFound(t, found(t, p, 102))
	wantFound(t, found(t, p, 101, 1010), "20 worker 101", "21 worker 1010")
}

// A command from another node's migration waits for pmxcfs before it has a worker.
func TestFindCommands(t *testing.T) {
	f, p := newFakeTree(t)
	f.add(
		fakeProc{pid: 20, comm: "pct", argv: []string{"/usr/bin/perl", "-T", "/usr/sbin/pct", "start", "101"}},
		fakeProc{pid: 21, comm: "qm", argv: []string{"/usr/bin/perl", "/usr/sbin/qm", "start", "102", "--skiplock", "--migratedfrom", "node1"}},
		fakeProc{pid: 22, argv: []string{"/usr/sbin/qm", "disk", "move", "101", "scsi0", "ceph"}},
		fakeProc{pid: 23, argv: []string{"/usr/bin/perl", "/usr/sbin/qm", "clone", "999", "101"}},
		fakeProc{pid: 30, argv: []string{"/usr/bin/perl", "/usr/sbin/pct", "enter", "101"}}, // an operator's, who looks
		fakeProc{pid: 31, argv: []string{"/usr/bin/perl", "/usr/sbin/qm", "status", "101"}},
		fakeProc{pid: 32, argv: []string{"/usr/bin/perl", "/usr/sbin/qm", "start"}}, fakeProc{pid: 33, argv: []string{"vi", "/usr/sbin/qm", "start", "101"}},
		fakeProc{pid: 34, argv: []string{"/usr/bin/perl", "/usr/local/bin/watch", "/usr/sbin/qm", "start", "101"}},
	)
	wantFound(t, found(t, p, 101, 102), "20 worker 101", "21 worker 102", "22 worker 101", "23 worker 101")
	wantFound(t, found(t, p, 103))
}

func TestFindVMs(t *testing.T) {
	f, p := newFakeTree(t)
	f.write("run/qemu-server/101.pid", "34\n")
	f.write("run/qemu-server/102.pid", "35\n") // recycled: another process has this number now
	f.add(
		fakeProc{pid: 30, argv: kvm("101")}, fakeProc{pid: 31, argv: kvm("102"), cgroup: "0::/qemu.slice/102.scope\n"},
		fakeProc{pid: 32, argv: []string{"/usr/bin/qemu-system-x86_64", "-id", "101"}},
		fakeProc{pid: 33, argv: []string{"/usr/bin/watcher", "-id", "101"}},
		fakeProc{pid: 34, argv: []string{"/opt/renamed", "-id", "101"}},
		fakeProc{pid: 35, argv: []string{"sshd", "-id", "1"}},
		fakeProc{pid: 36, argv: []string{"vhost-helper"}, cgroup: "1:name=systemd:/qemu.slice/101.scope\n0::/\n"},
		fakeProc{pid: 37, argv: []string{"swtpm", "socket", "--pid", "file=/var/run/qemu-server/101.swtpm.pid"}},
		fakeProc{pid: 38, argv: []string{"/usr/libexec/virtiofsd", "--socket-path=/run/qemu-server/virtiofsd/vm1011-fs0"}},
		fakeProc{pid: 39, argv: []string{"/usr/bin/kvm", "-name", "101", "-id"}},
	)
	wantFound(t, found(t, p, 101), "30 guest 101", "32 guest 101", "34 guest 101", "36 guest 101", "37 other 101")
	wantFound(t, found(t, p, 102, 1011), "31 guest 102", "38 other 1011")
	procs, err := p.Find(refs(102))
	if err != nil || procs[0].Cgroup != "/qemu.slice/102.scope" {
		t.Fatalf("cgroup: %+v, %v", procs, err)
	}
}

func TestFindContainers(t *testing.T) {
	f, p := newFakeTree(t)
	f.add(
		fakeProc{pid: 40, argv: []string{"[lxc monitor] /var/lib/lxc 201"}},
		fakeProc{pid: 41, ppid: 40, argv: []string{"/sbin/init"}},                               // by descent
		fakeProc{pid: 42, ppid: 41, argv: []string{"cron"}},                                     // further down
		fakeProc{pid: 43, argv: []string{"nginx"}, cgroup: "0::/lxc/201/ns/system.slice/web\n"}, // v2
		fakeProc{pid: 44, argv: []string{"nginx"}, cgroup: "5:memory:/lxc/202/ns\n1:name=systemd:/lxc/202\n"},
		fakeProc{pid: 45, argv: []string{"x"}, cgroup: "0::/lxc.monitor/202\n"},
		fakeProc{pid: 46, argv: []string{"/usr/bin/lxc-start", "-F", "-n", "203"}},
		fakeProc{pid: 47, argv: []string{"y"}, cgroup: "0::/lxc/2011\n"},
		fakeProc{pid: 48, argv: []string{"nested"}, cgroup: "0::/lxc/204/ns/lxc/201\n"}, // a container's own affair
		fakeProc{pid: 49, argv: kvm("201"), cgroup: "0::/lxc/204/ns\n"},                 // and VMs in it look like ours
	)
	wantFound(t, found(t, p, 201), "40 monitor 201", "41 guest 201", "42 guest 201", "43 guest 201", "49 guest 201")
	wantFound(t, found(t, p, 202, 203), "44 guest 202", "45 monitor 202", "46 monitor 203")
}

func TestFindWhatWorkersStarted(t *testing.T) {
	f, p := newFakeTree(t)
	f.add(
		fakeProc{pid: 50, sid: 50, argv: worker("101")},
		fakeProc{pid: 51, ppid: 50, sid: 50, argv: []string{"qemu-img", "convert"}},
		fakeProc{pid: 52, sid: 50, argv: []string{"rbd", "map"}}, // its parent is gone, the session stays
		fakeProc{pid: 53, ppid: 51, sid: 53, argv: []string{"daemon"}},
	)
	all := []string{"50 worker 101", "51 other 101", "52 other 101", "53 other 101"}
	wantFound(t, found(t, p, 101), all...)
	p.remember(Proc{PID: 50, StartTime: 1050, What: WhatWorker, VMID: 101}) // as Kill does
	f.remove(50)
	f.add(fakeProc{pid: 51, ppid: 1, sid: 50, argv: []string{"qemu-img", "convert"}})
	wantFound(t, found(t, p, 101), all[1:]...)
	wantFound(t, found(t, p, 102))
	f.remove(51)
	f.remove(52)
	wantFound(t, found(t, p, 101))
	f.add(fakeProc{pid: 54, sid: 50, argv: []string{"bash"}}) // a session of the same number, later
	wantFound(t, found(t, p, 101))
}

func TestFindDyingProcesses(t *testing.T) {
	f, p := newFakeTree(t)
	f.add(
		fakeProc{pid: 60, comm: "kvm", state: "D", argv: kvm("101")},
		fakeProc{pid: 61, comm: "kvm", state: "Z", threads: 2, argv: nil}, // its main thread has ended, another sits in the kernel
	)
	f.write("proc/61/task/62/cmdline", strings.Join(kvm("102"), "\x00"))
	wantFound(t, found(t, p, 101, 102), "60 guest 101", "61 guest 102")
	f.add(fakeProc{pid: 60, comm: "kvm", state: "Z", threads: 3})
	f.write("proc/61/task/62/cmdline", "")
	wantFound(t, found(t, p, 101, 102), "60 guest 101", "61 guest 102") // known from before
	f.add(fakeProc{pid: 60, comm: "kvm", state: "Z"})
	f.remove(61)
	wantFound(t, found(t, p, 101, 102))

	f.add(fakeProc{pid: 63, comm: "kvm", threads: 2}, fakeProc{pid: 64, comm: "bash"})
	if got, err := p.Find(refs(101)); err == nil || !strings.Contains(err.Error(), "PID 63 (kvm)") || strings.Contains(err.Error(), "64") || len(got) != 0 {
		t.Fatalf("a process that may be a guest's: %v, %v", got, err)
	}
	if _, err := (&ProcFS{Proc: "/nowhere"}).Find(refs(101)); err == nil {
		t.Fatal("no /proc and no error")
	}
}

// TestFindDoesNotHang: a command line that never comes costs one wait, not the pass, and the next pass none.
func TestFindDoesNotHang(t *testing.T) {
	f, p := newFakeTree(t)
	f.add(fakeProc{pid: 70, argv: kvm("101")}, fakeProc{pid: 71, comm: "kvm"}, fakeProc{pid: 72, comm: "bash"}, fakeProc{pid: 73, argv: worker("101")})
	var paths []string
	for _, pid := range []string{"71", "72"} {
		path := filepath.Join(f.root, "proc", pid, "cmdline")
		if err := errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	t.Cleanup(func() { // lets the readers go, also one that has yet to come
		waittest.Until(t, waittest.Hang, "the readers are gone", func() bool {
			for _, path := range paths {
				w, err := os.OpenFile(path, os.O_RDWR, 0)
				if err != nil {
					t.Fatal(err)
				}
				_ = w.Close()
			}
			p.slow.mu.Lock()
			defer p.slow.mu.Unlock()
			return len(p.slow.stuck) == 0
		})
	})
	p.slow.limit = 0
	var got []Proc
	var err error
	find := func() bool {
		got, err = p.Find(refs(101))
		return len(got) == 2 && err != nil && strings.Contains(err.Error(), "PID 71 (kvm)") && !strings.Contains(err.Error(), "72")
	}
	// Where the machine stalls, an ordinary read takes long, too, and is taken for one that hangs until it has ended.
	waittest.Until(t, waittest.Hang, "the others are found and the one that hangs is named", find, &got, &err)
	p.slow.limit = time.Hour
	if !find() {
		t.Errorf("the next time: %v, %v", got, err)
	}
}

func TestFilter(t *testing.T) {
	f, p := newFakeTree(t)
	asked := []int{}
	p.Filter = func(pid int) bool { asked = append(asked, pid); return pid != 81 }
	f.add(fakeProc{pid: 80, argv: kvm("101")}, fakeProc{pid: 81, argv: kvm("101")}, fakeProc{pid: 82, argv: []string{"bash"}})
	wantFound(t, found(t, p, 101), "80 guest 101")
	if slices.Contains(asked, 82) {
		t.Error("the filter was asked about a process that is no guest's")
	}
}

func TestKillCgroup(t *testing.T) {
	f, p := newFakeTree(t)
	f.write("sys/fs/cgroup/lxc/201/cgroup.kill", "")
	q := Proc{PID: 1 << 22, StartTime: 1, VMID: 201, Cgroup: "/lxc/201"} // beyond the largest PID: only the cgroup is there
	kill := func(want string) {
		t.Helper()
		if err := p.Kill(q); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(f.root, "sys/fs/cgroup/lxc/201/cgroup.kill")); err != nil || string(got) != want {
			t.Fatalf("cgroup.kill holds %q, want %q (%v)", got, want, err)
		}
	}
	p.Filter = func(int) bool { return true }
	kill("")
	p.Filter = nil
	kill("1")
	q.Cgroup = "/lxc/202" // a kernel without cgroup.kill
	kill("1")
	for _, pid := range []int{0, 1, os.Getpid()} {
		if p.Kill(Proc{PID: pid}) == nil {
			t.Errorf("PID %d: no refusal", pid)
		}
	}
}
