package lab

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestSocketsAreAttributedByMark gives a socket to a process with a node's mark, then to one without.
func TestSocketsAreAttributedByMark(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	o := newOwners(dir)
	for _, c := range []struct{ mark, want string }{
		{filepath.Join(dir, "node5"), "node5"},
		{filepath.Join(dir, "node6"), "node6"}, // known processes do not hide a new one
		{filepath.Join(dir+"-other", "node5"), ""},
		{"", ""},
	} {
		conn, err := net.Dial("tcp4", l.Addr().String())
		must(t, err)
		file, err := conn.(*net.TCPConn).File()
		must(t, err)
		info, err := file.Stat()
		must(t, err)
		child := exec.Command("sleep", "60")
		child.Env = append(withoutMark(os.Environ()), MarkVariable+"="+c.mark)
		child.ExtraFiles = []*os.File{file}
		must(t, child.Start())
		_, _ = file.Close(), conn.Close()
		if got := o.ofSocket(info.Sys().(*syscall.Stat_t).Ino); got != c.want {
			t.Errorf("mark %q: the socket belongs to %q, want %q", c.mark, got, c.want)
		}
		must(t, child.Process.Kill())
		_ = child.Wait() // killed
	}
}

// TestALookIsShared lets many ask while a look is under way: one more look serves them all, and nobody gets one that began before the
// question.
func TestALookIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLook()
		var looks atomic.Uint64
		slow := func() map[uint64]string {
			n := looks.Add(1)
			time.Sleep(time.Second)
			return map[uint64]string{n: "node1"}
		}
		var wg sync.WaitGroup
		wg.Go(func() { l.share(slow) })
		synctest.Wait() // it looks
		for range 100 {
			wg.Go(func() {
				if got := l.share(slow); got[2] != "node1" {
					t.Errorf("asked during the first look, answered %v, want the second one's", got)
				}
			})
		}
		wg.Wait()
		if n := looks.Load(); n != 2 {
			t.Errorf("%d looks, want 2", n)
		}
	})
}

func TestGuestsAreRecognizedByTheirTitles(t *testing.T) {
	for _, c := range []struct {
		argv []string
		want int
	}{
		{[]string{"/usr/bin/kvm", "-id", "101", "-name", "web1,debug-threads=on"}, 101},
		{[]string{"[lxc monitor] /var/lib/lxc 201"}, 201},
		{[]string{"task UPID:node1:000001A3:0008207C:6B021298:qmstart:101:bascule@pve!node1:"}, 0},
		{[]string{"/usr/bin/kvm", "-id"}, 0},
		{[]string{"/usr/bin/vi", "-id", "101"}, 0},
		{nil, 0},
	} {
		if got := guestOf(c.argv); got != c.want {
			t.Errorf("%v: guest %d, want %d", c.argv, got, c.want)
		}
	}
}
