package alert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// command runs a program with the message on its standard input, no shell between. It and all its children are
// killed when the time is over.
type command struct {
	argv    []string
	timeout time.Duration
}

const (
	keptOutput = 2 << 10         // bytes of a failed command's complaints that are quoted
	killWait   = 2 * time.Second // for the pipes of a killed command
)

func (c *command) name() string { return "command " + c.argv[0] }

func (c *command) deliver(ctx context.Context, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	said := &tail{}
	cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	cmd.Stdin = bytes.NewReader(append(body, '\n'))
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = killWait
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%s did not end within %v and was killed%s: make it faster or raise the timeout", c.argv[0], c.timeout, said)
	}
	return fmt.Errorf("%s: %w%s", c.argv[0], err, said)
}

// tail keeps the end of what is written to it.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if cut := len(t.b) - keptOutput; cut > 0 {
		t.b = t.b[cut:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	s := strings.TrimSpace(string(t.b))
	if s == "" {
		return ""
	}
	return fmt.Sprintf(" (it said: %q)", s)
}
