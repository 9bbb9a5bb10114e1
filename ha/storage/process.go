package storage

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// killGrace is how long a killed process has to be gone before it counts as stuck.
const killGrace = 200 * time.Millisecond

// maxOutput bounds what is kept of a process's output, in bytes.
const maxOutput = 4 << 20

// process is one that was started and has not ended.
type process struct{ since time.Time }

// result is how a process ended.
type result struct {
	out, err   []byte
	end        error     // of its own; nil: exit status 0
	late       bool      // killed at the deadline
	stuckSince time.Time // it cannot be killed, or one before it could not and is still there
	notStarted error
}

// run runs a program until ctx ends, at most one for each key. It is started in a goroutine that belongs to it: the signal of its parent's
// death is bound to the thread that forks, and a process in the kernel's hands may never be waited for.
func (l *Looker) run(ctx context.Context, key string, argv []string, stdin []byte) result {
	l.mu.Lock()
	if p := l.open[key]; p != nil {
		l.mu.Unlock()
		return result{stuckSince: p.since}
	}
	own := &process{since: time.Now()}
	l.open[key] = own
	l.mu.Unlock()

	started, ended := make(chan int, 1), make(chan result, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		r := execute(ctx, argv, stdin, started)
		l.mu.Lock()
		delete(l.open, key)
		l.mu.Unlock()
		ended <- r
	}()
	select {
	case r := <-ended:
		return r
	case <-ctx.Done():
	}
	select {
	case pid := <-started:
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	default:
	}
	select {
	case r := <-ended:
		r.late = r.end != nil // it may have ended well in the last moment
		return r
	case <-time.After(killGrace):
		return result{stuckSince: own.since}
	}
}

// execute runs a program to its end, and reports its PID once.
func execute(ctx context.Context, argv []string, stdin []byte, started chan<- int) result {
	var out, complaint head
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"} // no CEPH_ARGS of somebody else
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &complaint
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = killGrace
	if err := cmd.Start(); err != nil {
		return result{notStarted: err}
	}
	started <- cmd.Process.Pid
	if ctx.Err() != nil { // nobody may have been there to kill it
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	end := cmd.Wait()
	if errors.Is(end, exec.ErrWaitDelay) { // only its output was closed late
		end = nil
	}
	return result{out: out.Bytes(), err: complaint.Bytes(), end: end}
}

// head keeps the beginning of what is written to it.
type head struct{ bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	if room := maxOutput - h.Len(); room > 0 {
		h.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
