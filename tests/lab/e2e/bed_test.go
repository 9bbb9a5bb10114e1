//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bascule/tests/lab"
	"bascule/tests/lab/bench"
	"bascule/tests/lab/pvesim"
)

const (
	testLimit = 15 * time.Minute // of one test, its lab's start and end included
	patience  = 4 * time.Minute  // what only guards against hanging
	logLines  = 25               // of each log, in a failed test's report
)

// TestMain lets this test program be the world, the simulated Proxmox's workers and guests, and the commands that hactl runs on a node.
func TestMain(m *testing.M) {
	pvesim.RunChild()
	standin()
	if len(os.Args) > 3 && os.Args[1] == "world" {
		if err := lab.Run(os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// bed is one test's lab. Its methods end the test when something does not come true.
type bed struct {
	*lab.Lab
	t        *testing.T
	ctx      context.Context
	produced map[string]bool // kinds of findings that faults have brought about
}

// calm is a lab for a machine that may be slow, or have other work: with this timing a stall of many seconds fences nobody.
func calm(o lab.Options) lab.Options {
	o.Timing = "patient"
	return o
}

// up starts a healthy lab and sees to its end. A failed test shows the ends of the logs and keeps the directory.
func up(t *testing.T, o lab.Options) *bed {
	t.Helper()
	return upFor(t, testLimit, o)
}

// upFor is up for a test that may take as long as this.
func upFor(t *testing.T, limit time.Duration, o lab.Options) *bed {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	// Not t.TempDir: unix sockets allow only short names, and a failed test's directory must stay.
	dir, err := os.MkdirTemp("", "e2e-")
	if err != nil {
		t.Fatal(err)
	}
	o.Dir, o.Bin = dir, bin()
	l, err := lab.Up(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{Lab: l, t: t, ctx: ctx}
	t.Cleanup(b.end)
	b.healthy(patience)
	return b
}

// bin is the directory of the nodes' software: $BASCULE_LAB_BIN, or where `make lab` puts it.
func bin() string {
	if dir := os.Getenv("BASCULE_LAB_BIN"); dir != "" {
		return dir
	}
	return filepath.Join("..", "..", "..", "bin", "lab")
}

// end ends the lab. No test may end with a guest that ever ran twice.
func (b *bed) end() {
	doubles, err := b.DoubleRuns()
	for _, d := range doubles {
		b.t.Errorf("DOUBLE RUN: %s", d)
	}
	if err != nil {
		b.t.Error(err)
	}
	if b.t.Failed() {
		b.t.Logf("the lab's events:\n%s\nBascule's events:\n%s\n%s\nthe lab's directory is kept: %s", b.hardware(), b.story(), b.Logs(logLines), b.Dir)
	}
	if err := b.Down(context.WithoutCancel(b.ctx), b.t.Failed()); err != nil {
		b.t.Error(err)
	}
}

// hardware is the lab's own event log as text.
func (b *bed) hardware() string {
	var out []string
	events, _, err := b.Events(0)
	for _, e := range events {
		out = append(out, e.String())
	}
	return strings.Join(append(out, errorText(err)...), "\n")
}

// story is Bascule's stored events as text.
func (b *bed) story() string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.ctx), 20*time.Second)
	defer cancel()
	events, err := bench.AnyEvents(ctx, b.Lab, "")
	var out []string
	for _, e := range events {
		out = append(out, fmt.Sprintf("%s term %d by %s: %s: %s -> %s (%s)", e.At.Local().Format("15:04:05.000"), e.Term, e.By, e.Subject, e.From, e.To, e.Reason))
	}
	return strings.Join(append(out, errorText(err)...), "\n")
}

func errorText(err error) []string {
	if err == nil {
		return nil
	}
	return []string{err.Error()}
}

// must ends the test on an error.
func (b *bed) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// within waits for a condition and returns how long it took. That it takes longer than usual on a machine at rest is said and is no
// failure: what is safe, and in which order, is what the tests judge.
func (b *bed) within(usual time.Duration, what string, condition func(context.Context) error) time.Duration {
	b.t.Helper()
	begin := time.Now()
	ctx, cancel := context.WithTimeout(b.ctx, max(usual, patience))
	defer cancel()
	if err := lab.Await(ctx, what, condition); err != nil {
		b.t.Fatalf("not after %s: %v", time.Since(begin).Round(time.Second), err)
	}
	took := time.Since(begin).Round(10 * time.Millisecond)
	if took > usual {
		b.t.Logf("it took %s until %s, longer than the %s of a machine at rest", took, what, usual)
	}
	return took
}

// throughout looks at a condition for so long; it must hold all the time.
func (b *bed) throughout(span time.Duration, what string, condition func(context.Context) error) {
	b.t.Helper()
	begin := time.Now()
	ctx, cancel := context.WithTimeout(b.ctx, span)
	defer cancel()
	err := lab.Await(ctx, "it is broken", func(ctx context.Context) error {
		if err := condition(ctx); err != nil && ctx.Err() == nil {
			b.t.Fatalf("%s was broken after %s: %v", what, time.Since(begin).Round(time.Millisecond), err)
		}
		return errHolds
	})
	if b.ctx.Err() != nil {
		b.t.Fatal(err)
	}
}

var errHolds = errors.New("it holds")

// healthy waits until every node is online and every guest runs where Bascule says; it returns how long it took.
func (b *bed) healthy(limit time.Duration) time.Duration {
	b.t.Helper()
	return b.within(limit, "the lab is healthy", b.Healthy)
}
