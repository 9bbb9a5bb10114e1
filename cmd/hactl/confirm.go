package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// confirm asks the operator on a terminal to type want; yes skips the question. Anything else, and the end of the
// input, is a no. Without a terminal there is nobody to ask: a usage error that names --yes.
func (h *hactl) confirm(ctx context.Context, yes bool, question, want string) error {
	if yes {
		return nil
	}
	if f, ok := h.in.(*os.File); !ok || !isTerminal(f) {
		return usagef("this asks for confirmation and the input is no terminal: add --yes (fence test: --asserted) if you mean it")
	}
	fmt.Fprint(h.errs, h.errs.bold(question))
	line, err := readLine(ctx, h.in)
	if err != nil {
		fmt.Fprintln(h.errs)
		return err
	}
	if strings.TrimSpace(line) != want {
		return &exitError{exitDegraded, "not confirmed: nothing was done"}
	}
	return nil
}

// readLine reads one line; an interrupt ends the wait (the read itself stays behind until the process ends).
func readLine(ctx context.Context, in io.Reader) (string, error) {
	type result struct {
		line string
		err  error
	}
	got := make(chan result, 1)
	go func() {
		line, err := bufio.NewReader(in).ReadString('\n')
		got <- result{line, err}
	}()
	select {
	case r := <-got:
		if r.err != nil && !errors.Is(r.err, io.EOF) {
			return "", fmt.Errorf("confirmation: %w", r.err)
		}
		return r.line, nil
	case <-ctx.Done():
		return "", &exitError{exitInterrupted, "interrupted: nothing was done"}
	}
}
