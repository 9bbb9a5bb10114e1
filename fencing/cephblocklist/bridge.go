package cephblocklist

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"bascule/fencing"
)

//go:embed bridge.py
var script string

// Bounds of what the bridge may say, in bytes. The map of a cluster with a thousand OSDs is 2 MB.
const (
	maxAnswer = 32 << 20
	maxStderr = 4 << 10
)

// interpreter runs the script: the system's Python, whose modules the ceph command uses. -I keeps environment and the caller's
// directories out of it. Tests put a program of theirs here.
var interpreter = []string{"/usr/bin/python3", "-I", "-c"}

// bridge is a running bridge.py. It belongs to the goroutine that started it, until close.
type bridge struct {
	ctx    context.Context
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr *fencing.Tail
	scrub  *strings.Replacer
	began  time.Time
}

// startBridge starts the process. It dies with ctx, with close and with the thread that started it, whichever comes first, with all
// its children.
func startBridge(ctx context.Context, secrets []string) (*bridge, error) {
	argv := append(append([]string{}, interpreter...), script)
	b := &bridge{ctx: ctx, cmd: exec.CommandContext(ctx, argv[0], argv[1:]...), stderr: &fencing.Tail{Max: maxStderr}, began: time.Now()}
	var pairs []string
	for _, s := range secrets {
		pairs = append(pairs, s, "(secret)")
	}
	b.scrub = strings.NewReplacer(pairs...)
	b.cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"} // no CEPH_ARGS of somebody else
	b.cmd.Stderr = b.stderr
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	b.cmd.Cancel = func() error { return syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL) }
	b.cmd.WaitDelay = 200 * time.Millisecond
	in, err := b.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", fencing.ErrHelper, err)
	}
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", fencing.ErrHelper, err)
	}
	b.in, b.out = in, bufio.NewReaderSize(out, 64<<10)
	runtime.LockOSThread() // the death signal belongs to the thread that forks
	if err := b.cmd.Start(); err != nil {
		runtime.UnlockOSThread()
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("%w: %s is missing on this member: install ceph-common", fencing.ErrSettings, argv[0])
		}
		return nil, fmt.Errorf("%w: %w", fencing.ErrHelper, err)
	}
	return b, nil
}

// close ends the process and waits until it is gone.
func (b *bridge) close() {
	_ = syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL)
	_ = b.cmd.Wait()
	runtime.UnlockOSThread()
}

// wireError is what the script says of a call that failed.
type wireError struct {
	Missing string `json:"missing"` // a Python module
	Errno   int    `json:"errno"`
	Text    string `json:"text"`
}

// ask sends a request and decodes the answer into got. A *callError is Ceph's refusal.
func (b *bridge) ask(request map[string]any, got any) error {
	line, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("%w: %w", fencing.ErrHelper, err)
	}
	_, _ = b.in.Write(append(line, '\n')) // one that has ended may have said why before it read anything
	answer, err := b.line()
	if err != nil {
		return err
	}
	var failed struct {
		Error *wireError `json:"error"`
	}
	if err := json.Unmarshal(answer, &failed); err != nil {
		return fmt.Errorf("%w: %s", fencing.ErrRubbish, b.clean(string(answer)))
	}
	switch e := failed.Error; {
	case e == nil:
	case e.Missing != "":
		return fmt.Errorf("%w: %s: install ceph-common on this member", fencing.ErrSettings, b.clean(e.Missing))
	default:
		return &callError{syscall.Errno(e.Errno), b.clean(e.Text)}
	}
	if err := json.Unmarshal(answer, got); err != nil {
		return fmt.Errorf("%w: %s", fencing.ErrRubbish, b.clean(string(answer)))
	}
	return nil
}

// line reads one answer.
func (b *bridge) line() ([]byte, error) {
	var whole []byte
	for {
		part, err := b.out.ReadSlice('\n')
		whole = append(whole, part...)
		switch {
		case err == nil:
			return whole, nil
		case len(whole) > maxAnswer:
			return nil, fmt.Errorf("%w: an answer of more than %d MB", fencing.ErrRubbish, maxAnswer>>20)
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, b.silent()
		}
	}
}

// silent is the error of a bridge that says no more.
func (b *bridge) silent() error {
	if b.ctx.Err() != nil {
		return fmt.Errorf("%w (%v)", fencing.ErrTimeout, time.Since(b.began).Round(100*time.Millisecond))
	}
	_ = syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL) // if it only closed its output
	_ = b.cmd.Wait()                                      // its last words are complete then
	return fmt.Errorf("%w: %s", fencing.ErrHelper, b.clean("it ended: "+b.stderr.String()))
}

// clean makes a text of Ceph fit to be shown.
func (b *bridge) clean(text string) string {
	return fencing.Printable(b.scrub.Replace(strings.TrimSpace(text)), 250)
}

// left is the time until the call's end.
func (b *bridge) left() time.Duration {
	if end, ok := b.ctx.Deadline(); ok {
		return time.Until(end)
	}
	return 30 * time.Second
}
