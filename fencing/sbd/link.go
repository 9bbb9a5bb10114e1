package sbd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"bascule/fencing"
)

// endTime is how long the end of a servant is waited for. One that hangs in the kernel takes longer, and is left to it.
const endTime = 100 * time.Millisecond

// maxAnswer bounds a servant's line, in bytes.
const maxAnswer = 16 << 10

// servants starts servants: this very binary, even after an upgrade has replaced its file, under the name that makes it one.
type servants struct{ name string }

// link is a servant at work. One request at a time.
type link struct {
	path  string
	cmd   *exec.Cmd
	in    *os.File // its input
	out   *os.File // its output
	lines *bufio.Reader
	ended chan struct{} // closed when the kernel has let it go
}

// start starts a servant for a disk.
func (s servants) start(path, stay string) (*link, error) {
	if stay == once { // of those that stay, whoever has one has only one
		if err := checkHung(path); err != nil {
			return nil, err
		}
	}
	inR, inW, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", fencing.ErrHelper, err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		inR.Close()
		inW.Close()
		return nil, fmt.Errorf("%w: %w", fencing.ErrHelper, err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{s.name, path, stay}
	cmd.Env = []string{"GOTRACEBACK=none", "GOMAXPROCS=2"}
	cmd.Dir = "/"
	cmd.Stdin, cmd.Stdout = inR, outW
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	l := &link{path: path, cmd: cmd, in: inW, out: outR, lines: bufio.NewReaderSize(outR, maxAnswer), ended: make(chan struct{})}
	started := make(chan error, 1)
	go l.keep(started)
	err = <-started
	inR.Close()
	outW.Close()
	if err != nil {
		inW.Close()
		outR.Close()
		return nil, fmt.Errorf("%w: %w", fencing.ErrHelper, err)
	}
	return l, nil
}

// keep holds the thread that started the servant until it is gone: the death signal belongs to the thread, not to the process.
func (l *link) keep(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(l.ended)
	err := l.cmd.Start()
	started <- err
	if err == nil {
		_ = l.cmd.Wait() // how it ended says nothing: only its answers do
	}
}

// ask sends a request and waits for the answer until ctx ends; after an error that is no answer the link is of no more use.
func (l *link) ask(ctx context.Context, r request) (Sight, error) {
	stop := context.AfterFunc(ctx, func() {
		l.in.SetDeadline(time.Unix(1, 0))
		l.out.SetDeadline(time.Unix(1, 0))
	})
	defer stop()
	b, err := json.Marshal(r)
	if err != nil {
		return Sight{}, fmt.Errorf("%w: %w", fencing.ErrHelper, err)
	}
	if _, err := l.in.Write(append(b, '\n')); err != nil {
		return Sight{}, l.broken(ctx, err)
	}
	line, err := l.lines.ReadSlice('\n')
	if err != nil {
		return Sight{}, l.broken(ctx, err)
	}
	return decodeAnswer(line)
}

// decodeAnswer reads a servant's line.
func decodeAnswer(line []byte) (Sight, error) {
	var a answer
	if err := json.Unmarshal(line, &a); err != nil {
		return Sight{}, fmt.Errorf("%w: its servant's answer cannot be read: %w", fencing.ErrHelper, err)
	}
	switch kind := errorKinds[a.Kind]; {
	case a.NoSlot:
		return a.Sight, errNoSlot
	case a.Kind == "":
		return a.Sight, nil
	case kind == nil:
		return Sight{}, fmt.Errorf("%w: %s", fencing.ErrHelper, fencing.Printable(a.Text, 200))
	default:
		return a.Sight, fmt.Errorf("%w: %s", kind, fencing.Printable(strings.TrimPrefix(a.Text, kind.Error()+": "), 200))
	}
}

func (l *link) broken(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: it hangs, or is slow", fencing.ErrTimeout)
	}
	return fmt.Errorf("%w: its servant ended: %w", fencing.ErrHelper, err)
}

// end ends the servant, at once if it does not hang.
func (l *link) end() {
	l.in.Close() // the end of its input ends it
	l.out.Close()
	if l.gone(endTime / 2) {
		return
	}
	_ = l.cmd.Process.Kill() // it fails when it has just ended
	l.gone(endTime / 2)
}

func (l *link) gone(within time.Duration) bool {
	t := time.NewTimer(within)
	defer t.Stop()
	select {
	case <-l.ended:
		return true
	case <-t.C:
		return false
	}
}
