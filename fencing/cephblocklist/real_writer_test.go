//go:build fencingreal

package cephblocklist

import (
	"bufio"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// monotonic is the clock that the writer's lines carry, in seconds.
func monotonic() float64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err)
	}
	return float64(ts.Nano()) / 1e9
}

// writerScript holds an image open as a VM does and writes all over it, one write at a time; it prints when each was acknowledged.
const writerScript = `
import rados, rbd, sys, time
c = rados.Rados(rados_id="admin", conffile=sys.argv[1]); c.connect()
io = c.open_ioctx("vms")
i = 0
try:
    with rbd.Image(io, sys.argv[2]) as image:
        n = image.size() >> 22
        while True:
            i += 1
            image.write(b"%4096d" % i, (i % n) << 22)
            print("ack", time.clock_gettime(time.CLOCK_MONOTONIC), flush=True)
except Exception as e:
    print("fail", time.clock_gettime(time.CLOCK_MONOTONIC), type(e).__name__, flush=True)
    import os; os._exit(0)
`

// lastScript says which of the writer's writes is the latest one on the image, as another node reads it.
const lastScript = `
import rados, rbd, sys
c = rados.Rados(rados_id="admin", conffile=sys.argv[1]); c.connect()
with rbd.Image(c.open_ioctx("vms"), sys.argv[2], read_only=True) as image:
    print(max(int(image.read(at, 4096).strip(b"\0") or b"0") for at in range(0, image.size(), 1 << 22)))
`

// written is the number of the last write that reached the image, whether the writer heard of it or not.
func (l *lab) written(image string) string {
	l.t.Helper()
	return strings.TrimSpace(l.run("/usr/bin/python3", "-I", "-c", lastScript, l.file("ceph.conf"), image))
}

// writer is a process in node2 that writes.
type writer struct {
	cmd   *exec.Cmd
	lines chan string
	last  float64 // when the last write was acknowledged
	acks  int
}

func (l *lab) writer(image string) *writer {
	l.t.Helper()
	argv := l.inNode("/usr/bin/python3", "-I", "-c", writerScript, l.file("ceph.conf"), image)
	w := &writer{cmd: exec.Command(argv[0], argv[1:]...), lines: make(chan string, 1<<16)}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.daemons = append(l.daemons, w.cmd)
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			w.lines <- s.Text()
		}
		close(w.lines)
	}()
	if kind, _, _ := w.next(l.t, 10*time.Second); kind != "ack" {
		l.t.Fatalf("the writer does not write: %s", kind)
	}
	return w
}

// next waits for a line: ack or fail, its time and the rest.
func (w *writer) next(t *testing.T, limit time.Duration) (kind string, at float64, rest string) {
	t.Helper()
	select {
	case line, ok := <-w.lines:
		f := strings.Fields(line)
		if !ok || len(f) < 2 {
			t.Fatalf("the writer said %q", line)
		}
		at, err := strconv.ParseFloat(f[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		if f[0] == "ack" {
			w.last, w.acks = at, w.acks+1
		}
		return f[0], at, strings.Join(f[2:], " ")
	case <-time.After(limit):
		return "silence", 0, ""
	}
}

// failure reads on until the writer fails and returns when and how.
func (w *writer) failure(t *testing.T, limit time.Duration) (at float64, how string) {
	t.Helper()
	for end := time.Now().Add(limit); time.Now().Before(end); {
		switch kind, at, how := w.next(t, time.Until(end)); kind {
		case "fail":
			return at, how
		case "silence":
			t.Fatalf("the writer did not fail within %v, last write %.3f", limit, w.last)
		}
	}
	t.Fatalf("the writer goes on writing after %v", limit)
	return 0, ""
}
