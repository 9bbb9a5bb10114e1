package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"bascule/ha/api"
)

// version is set by the linker at release builds.
var version = "dev"

// Exit codes.
const (
	exitOK          = 0
	exitDegraded    = 1
	exitNoAnswer    = 2
	exitUsage       = 64
	exitInterrupted = 130
)

// run is main with everything that it touches given, so that tests can call it.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	h := &hactl{in: stdin, out: newScreen(stdout), errs: newScreen(stderr)}
	root := newRoot(h)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return h.exit(ctx, root.ExecuteContext(ctx))
}

// exitError ends hactl with a code, after its text (if any) on stderr.
type exitError struct {
	code int
	text string
}

func (e *exitError) Error() string { return e.text }

func usagef(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Sprintf(format, args...)}
}

// exit tells an error and turns it into the exit code.
func (h *hactl) exit(ctx context.Context, err error) int {
	if err == nil {
		return exitOK
	}
	var refused *api.Error
	var ended *exitError
	switch {
	case errors.As(err, &ended):
		if ended.text != "" {
			h.errs.complain(ended.text, "")
		}
		return ended.code
	case errors.As(err, &refused):
		h.errs.complain(refused.Message, refused.Do)
		return exitDegraded
	case ctx.Err() != nil:
		return exitInterrupted
	case errors.Is(err, api.ErrNoAnswer):
		h.errs.complain(err.Error(), "")
		return exitNoAnswer
	}
	h.errs.complain(err.Error(), "")
	return exitDegraded
}
