package scsipr

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"bascule/fencing"
)

// tool is what changes reservations of multipath maps. Only through it does multipathd learn the key, which it has to
// register on a path that comes back before it lets guests' writes onto it.
const tool = "mpathpersist"

// maxOutput bounds what is kept of the tool's output, in bytes.
const maxOutput = 4 << 10

// multipath is a map of device-mapper multipath: reads go through whichever path the kernel chooses, changes through the tool.
type multipath struct {
	plain
	name string
}

func (t multipath) execute(ctx context.Context, cdb, out []byte, in int) (reply, error) {
	o, ok := decodeOrder(cdb, out)
	if !ok {
		return t.plain.execute(ctx, cdb, out, in)
	}
	code, text, err := runTool(ctx, toolArgs(o, t.name))
	if err != nil {
		return reply{}, err
	}
	return toolReply(code, text)
}

// toolArgs says an order in the tool's words.
func toolArgs(o order, file string) []string {
	names := map[byte]string{
		outRegister: "--register", outRegisterOver: "--register-ignore", outReserve: "--reserve",
		outPreempt: "--preempt", outPreemptAbort: "--preempt-abort",
	}
	args := []string{"--out", names[o.action]}
	if o.action != outRegisterOver {
		args = append(args, "--param-rk="+o.key.String())
	}
	if o.action != outReserve {
		args = append(args, "--param-sark="+o.arg.String())
	}
	if o.reserving() {
		args = append(args, fmt.Sprintf("--prout-type=%d", writeExclusiveRO))
	}
	if o.aptpl {
		args = append(args, "--param-aptpl")
	}
	return append(args, file)
}

// Exit codes of the tool (mpath_persist.h).
const (
	toolGood      = 0
	toolIllegal   = 5
	toolAttention = 6
	toolInvalid   = 7
	toolAborted   = 8
	toolConflict  = 11
)

// toolReply turns an exit code into the answer of a disk, as far as it is one.
func toolReply(code int, text string) (reply, error) {
	check := func(key, asc byte) reply {
		return reply{status: statusCheck, sense: []byte{0x72, key, asc, 0}}
	}
	switch code {
	case toolGood:
		return reply{}, nil
	case toolConflict:
		return reply{status: statusConflict}, nil
	case toolIllegal, toolInvalid: // it does not say which of the two
		return check(senseIllegal, 0x24), nil
	case toolAttention:
		return check(senseAttention, 0), nil
	case toolAborted:
		return check(senseAborted, 0), nil
	}
	return reply{}, fmt.Errorf("%w: %s ended with %d: %s (is multipathd running, and reservation_key in multipath.conf?)",
		fencing.ErrHelper, tool, code, fencing.Printable(text, 200))
}

// runTool runs the tool in a group of its own and ends the group with ctx. A tool that the kernel does not let die is left to it.
func runTool(ctx context.Context, args []string) (code int, text string, err error) {
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		// The death signal belongs to the thread that forks, not to the process: keep it until the child is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		cmd := exec.CommandContext(ctx, tool, args...)
		out := fencing.Head{Max: maxOutput}
		cmd.Stdout, cmd.Stderr = &out, &out
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
		cmd.WaitDelay = 100 * time.Millisecond
		err := cmd.Run()
		done <- result{string(out.Bytes()), err}
	}()
	var r result
	select {
	case r = <-done:
	case <-ctx.Done():
		select {
		case r = <-done:
		case <-time.After(300 * time.Millisecond):
			return 0, "", fmt.Errorf("%w: %s hangs in the kernel", fencing.ErrTimeout, tool)
		}
	}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return 0, "", fmt.Errorf("%w: %s was ended", fencing.ErrTimeout, tool)
	case r.err == nil:
		return 0, r.text, nil
	case errors.As(r.err, &exit) && exit.Exited():
		return exit.ExitCode(), strings.TrimSpace(r.text), nil
	case errors.Is(r.err, exec.ErrNotFound):
		return 0, "", fmt.Errorf("%w: there is no %s on this node: install multipath-tools", fencing.ErrHelper, tool)
	}
	return 0, "", fmt.Errorf("%w: %s: %w", fencing.ErrHelper, tool, r.err)
}
