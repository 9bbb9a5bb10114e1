package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// asker asks the operator. Without a terminal, or with --yes, every question has its default.
type asker struct {
	out    *screen
	in     *bufio.Reader
	file   *os.File // nil: nobody is asked
	asked  int
	silent bool // --yes
}

func (h *hactl) asker(yes bool) *asker {
	a := &asker{out: h.errs, in: bufio.NewReader(h.in), silent: yes}
	if f, ok := h.in.(*os.File); ok && isTerminal(f) && !yes {
		a.file = f
	}
	return a
}

// somebody says whether there is anybody to ask.
func (a *asker) somebody() bool { return a.file != nil }

// ask asks one question; an empty answer is the default.
func (a *asker) ask(ctx context.Context, question, def string) (string, error) {
	if !a.somebody() {
		return def, nil
	}
	a.asked++
	shown := def
	if shown == "" {
		shown = "none"
	}
	fmt.Fprintf(a.out, "%s [%s]: ", a.out.bold(question), shown)
	line, err := a.line(ctx)
	if line == "" {
		line = def
	}
	return line, err
}

// secret asks for a password without showing it.
func (a *asker) secret(ctx context.Context, question string) (string, error) {
	if !a.somebody() {
		return "", nil
	}
	a.asked++
	fd := int(a.file.Fd())
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return "", err
	}
	hidden := *before
	hidden.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &hidden); err != nil {
		return "", err
	}
	defer func() {
		_ = unix.IoctlSetTermios(fd, unix.TCSETS, before)
		fmt.Fprintln(a.out)
	}()
	fmt.Fprintf(a.out, "%s: ", a.out.bold(question))
	return a.line(ctx)
}

// agree wants a yes.
func (a *asker) agree(ctx context.Context, question string) error {
	if a.silent {
		return nil
	}
	if !a.somebody() {
		return usagef("this asks before it changes anything and the input is no terminal: add --yes if you mean it, or --dry-run")
	}
	answer, err := a.ask(ctx, question, "no")
	if err != nil {
		return err
	}
	if strings.HasPrefix(strings.ToLower(answer), "y") {
		return nil
	}
	return &exitError{exitDegraded, "not confirmed: nothing was done"}
}

// line reads one line; an interrupt ends the wait.
func (a *asker) line(ctx context.Context) (string, error) {
	type result struct {
		line string
		err  error
	}
	got := make(chan result, 1)
	go func() {
		line, err := a.in.ReadString('\n')
		got <- result{line, err}
	}()
	select {
	case r := <-got:
		if r.err != nil && (r.err != io.EOF || r.line == "") {
			return "", &exitError{exitDegraded, "the input ended: nothing was done"}
		}
		return strings.TrimSpace(r.line), nil
	case <-ctx.Done():
		return "", &exitError{exitInterrupted, "interrupted: nothing was done"}
	}
}
