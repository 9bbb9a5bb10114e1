package fenceagent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bascule/fencing"
)

// gate is the first process of the agent's PID namespace: a shell that starts the agent ($0) when the starter says so over
// descriptor 3, and ends with its exit status. If the starter dies before, it reads the end of file and starts nothing. It
// stays beside the agent, so that the kernel's rules for a first process (it ignores most signals) do not hold for the agent,
// and so that its own end, which is the namespace's, follows the agent's at once.
const gate = `read -r go <&3 || exit 125; exec 3<&-; "$0"; exit $?`

// environment is all that an agent finds in its environment.
var environment = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C", "HOME=/root"}

// ending is how an agent ended and what it said.
type ending struct {
	exited         bool // by itself; else it was killed
	code           int
	stdout, stderr string
	overlong       bool // it said more on stdout than is kept
}

// start runs an agent to its end, at most as long as ctx allows.
//
// Agents fork helpers (ipmitool, ssh), some into sessions of their own, which a kill of the process group does not reach. So the agent
// gets a PID namespace: when its first process ends, the kernel kills everything in it and Wait returns after the last of them. That first
// process gets SIGKILL when this process dies (Pdeathsig), even if this one was stopped or killed by its deadline and nothing of
// ours runs any more.
func start(ctx context.Context, path string, in []byte) (ending, error) {
	stdin, err := inMemory(in)
	if err != nil {
		return ending{}, err
	}
	defer stdin.Close()
	wait, open, err := os.Pipe()
	if err != nil {
		return ending{}, fmt.Errorf("%w: %w", fencing.ErrHelper, err)
	}
	defer open.Close()
	stdout, stderr := fencing.Tail{Max: maxOutput}, fencing.Tail{Max: maxOutput}
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", gate, path)
	cmd.Env, cmd.Dir = environment, "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
	cmd.ExtraFiles = []*os.File{wait}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL, Setsid: true}
	cmd.WaitDelay = 200 * time.Millisecond
	// The death signal belongs to the thread that forks, not to the process: keep it until the agent is gone.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err = cmd.Start()
	wait.Close()
	if err != nil {
		return ending{}, notStarted(ctx, err)
	}
	_, werr := open.Write([]byte("\n")) // from here on the agent runs: the death signal is in force
	err = cmd.Wait()
	end := ending{exited: cmd.ProcessState.Exited(), code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String(), overlong: stdout.Cut}
	if errors.Is(err, exec.ErrWaitDelay) || end.exited && werr != nil {
		return ending{}, fmt.Errorf("%w: the agent did not start or end in order: %w", fencing.ErrHelper, errors.Join(err, werr))
	}
	return end, nil
}

func notStarted(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: the time was up before the agent could start", fencing.ErrTimeout)
	case errors.Is(err, syscall.EPERM):
		return fmt.Errorf("%w: no PID namespace may be made for the agent, and without one its children could outlive it: basculed must run as root with CAP_SYS_ADMIN and RestrictNamespaces=pid: add the drop-in systemd/fencing/fence-agent.conf (see the fence-agent page of the documentation)", fencing.ErrHelper)
	}
	return fmt.Errorf("%w: the agent cannot be started: %w", fencing.ErrHelper, err)
}

// inMemory is a file without a name that holds all of in: the agent can never read only a part of its options, and take what
// is missing (the action: reboot) from its defaults, because its starter died.
func inMemory(in []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("options", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("%w: memfd_create: %w", fencing.ErrHelper, err)
	}
	f := os.NewFile(uintptr(fd), "options")
	if _, err := f.WriteAt(in, 0); err != nil {
		f.Close()
		return nil, fmt.Errorf("%w: the agent's options cannot be written: %w", fencing.ErrHelper, err)
	}
	return f, nil
}
