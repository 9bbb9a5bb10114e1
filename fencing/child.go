package fencing

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// childStart is what a child may take to start and to hand back its answer, on top of the device's time-out.
const childStart = time.Second

// maxAnswer bounds what is kept of a child's output, in bytes.
const maxAnswer = 64 << 10

// Child sends orders from a process of its own, which the kernel kills at the order's deadline.
type Child struct {
	// Path is the program; "/proc/self/exe" is this very binary, even after an upgrade has replaced its file.
	Path string
	// Args are its arguments from argv[0] on; the deadline is added as the last one.
	Args []string
	// Env is added to this process's environment. Never a secret.
	Env []string
	// Stderr gets what the child complains of (a crash); nil throws it away.
	Stderr *os.File
}

// answer is what a child says on its standard output.
type answer struct {
	Accepted bool   `json:"accepted"`
	Kind     string `json:"kind,omitempty"` // what went wrong if not
	Text     string `json:"text,omitempty"`
	Perhaps  bool   `json:"perhaps,omitempty"` // it may have been carried out all the same
}

// Switch starts the child, hands it the order over a pipe and waits for its answer, at most the order's time-out and a
// second. When ctx ends first, the child is killed. The child also dies with this process.
func (c Child) Switch(ctx context.Context, o Order) error {
	if err := o.check(BootNow()); err != nil { // the child looks again; this is for the clearer sentence
		return err
	}
	in, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("%w: the order cannot be written: %w", ErrHelper, err)
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout+childStart)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.Path)
	cmd.Args = append(append([]string{}, c.Args...), strconv.FormatInt(int64(o.Deadline), 10))
	if len(c.Env) > 0 {
		cmd.Env = append(os.Environ(), c.Env...)
	}
	out := Head{Max: maxAnswer}
	cmd.Stdin, cmd.Stdout = bytes.NewReader(in), &out
	if c.Stderr != nil {
		cmd.Stderr = c.Stderr
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 200 * time.Millisecond
	// The death signal belongs to the thread that forks, not to the process: keep it until the child is gone.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	end := cmd.Run()
	if cmd.Process == nil && end != nil { // nothing was sent
		return fmt.Errorf("%w: it could not be started: %w", ErrHelper, end)
	}
	return verdict(ctx, end, out.Bytes(), o)
}

// verdict turns the end of a child into the order's result. Only a child that said so and ended well has succeeded.
func verdict(ctx context.Context, end error, out []byte, o Order) error {
	var a answer
	if err := json.Unmarshal(out, &a); err == nil && a.Accepted && (end == nil || errors.Is(end, exec.ErrWaitDelay)) { // only its pipe was closed late
		return nil
	} else if err == nil && a.Kind != "" {
		err := error(told{kindByName(a.Kind), a.Text})
		if a.Perhaps {
			err = Perhaps(err)
		}
		return err
	}
	return Perhaps(silence(ctx, end, o))
}

// silence is what is known of a child that ended without an answer.
func silence(ctx context.Context, end error, o Order) error {
	var exit *exec.ExitError
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("%w: cancelled before the device answered", ErrTimeout)
	case ctx.Err() != nil:
		return fmt.Errorf("%w: the helper process was ended after %v", ErrTimeout, o.Timeout+childStart)
	case errors.As(end, &exit) && exit.Sys().(syscall.WaitStatus).Signaled() && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL:
		return fmt.Errorf("%w: the helper process was killed, as it is when the leadership ends", ErrTimeout)
	case end != nil:
		return fmt.Errorf("%w: %w", ErrHelper, end)
	}
	return fmt.Errorf("%w: it ended without an answer", ErrHelper)
}
