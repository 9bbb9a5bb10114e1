package guard

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/node"
	"bascule/ha/waittest"
)

// runGuard runs a real guard on a real socket, with fakes behind it.
func runGuard(t *testing.T, cfg Config) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, cfg) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	var err error
	waittest.Until(t, waittest.Hang, "the guard answers", func() bool { // the socket appears complete, by a rename
		var c *Client
		if c, _, err = Dial(t.Context(), cfg.Socket); err == nil {
			_ = c.Close()
		}
		return err == nil
	}, &err)
	return stop
}

func socketConfig(t *testing.T) (Config, *fakeDog, *fakeProcs) {
	dir, err := os.MkdirTemp("", "guard") // t.TempDir is too long a path for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	start := Boottime()
	j := &journal{now: func() ha.Instant { return Boottime() - start }}
	dog, procs := &fakeDog{j: j, driver: "fake"}, &fakeProcs{j: j}
	log := &textLog{}
	return Config{
		Socket: filepath.Join(dir, "guard.sock"), StateFile: filepath.Join(dir, "guard.json"), Timing: testTiming(t),
		Watchdog: dog, Processes: procs, Log: log.logger(),
	}, dog, procs
}

// sure asks again while no answer comes: on a machine that stalls the client's patience ends before the guard has answered. All requests
// bear it.
func sure(t *testing.T, ask func() (Status, error)) (st Status, err error) {
	t.Helper()
	waittest.Until(t, waittest.Hang, "the guard answers", func() bool {
		st, err = ask()
		return err == nil || errors.Is(err, ErrRefused) && !strings.Contains(err.Error(), "the guard is busy") && !strings.Contains(err.Error(), "no answer in")
	}, &err)
	return st, err
}

func permitFor(d time.Duration, ids ...ha.VMID) node.GuardPermit {
	return node.GuardPermit{Deadline: Boottime().Add(d), Guests: refs(ids...), Incarnation: "boot1"}
}

func TestSocketProtocol(t *testing.T) {
	cfg, dog, procs := socketConfig(t)
	procs.appear(Proc{PID: 11, What: WhatGuest, VMID: 101})
	cfg.Slots, cfg.Ender = []Slot{&fakeSlot{j: dog.j, now: Boottime}}, fakeEnder{j: dog.j}
	runGuard(t, cfg)
	if fi, err := os.Stat(cfg.Socket); err != nil || fi.Mode().Perm() != 0o600 {
		t.Fatalf("socket: %v %v", fi, err)
	}
	c := NewClient(cfg.Socket)
	defer c.Close()
	ctx := t.Context()
	waitFor(t, c, "the first look", func(st Status) bool { return st.Slots != nil && st.Slots.Seen })
	if st, err := sure(t, func() (Status, error) { return c.Obey(ctx, false) }); err != nil || st.Slots == nil || st.Slots.Held || !st.Slots.Seen {
		t.Fatalf("released: %+v, %v", st, err)
	}
	if st, err := sure(t, func() (Status, error) { return c.Obey(ctx, true) }); err != nil || !st.Slots.Held {
		t.Fatalf("obeys: %+v, %v", st, err)
	}
	if st, err := sure(t, func() (Status, error) { return c.Permit(ctx, permitFor(time.Hour, 101)) }); err != nil || st.Phase != node.GuardPermitted || st.PID != os.Getpid() {
		t.Fatalf("permit: %+v, %v", st, err)
	}
	if st, err := sure(t, func() (Status, error) { return c.Arm(ctx) }); err != nil || !st.Armed || st.Driver != "fake" {
		t.Fatalf("arm: %+v, %v", st, err)
	}
	if st, err := sure(t, func() (Status, error) { return c.Permit(ctx, permitFor(-time.Second, 101)) }); !errors.Is(err, ErrRefused) || st.Phase != node.GuardPermitted {
		t.Fatalf("an expired permit: %+v, %v", st, err)
	}
	if _, err := sure(t, func() (Status, error) {
		return c.Permit(ctx, node.GuardPermit{Deadline: Boottime().Add(time.Hour), Incarnation: "boot0"})
	}); !errors.Is(err, ErrRefused) {
		t.Fatalf("another boot's permit: %v", err)
	}
	if st, err := sure(t, func() (Status, error) { return c.Disarm(ctx) }); err != nil || st.Phase != node.GuardDisarmed || st.Armed {
		t.Fatalf("disarm: %+v, %v", st, err)
	}
	if _, armed := dog.fires(); armed {
		t.Fatal("the watchdog is armed after disarming")
	}
	var st Status
	var err error
	waittest.Until(t, waittest.Hang, "a short permit after disarming arrives in time", func() bool {
		st, err = c.Permit(ctx, permitFor(1200*time.Millisecond, 101))
		return err == nil
	}, &st, &err)
	waitForPhase(t, c, node.GuardClean)
	if len(procs.j.of("kill")) != 1 {
		t.Fatalf("killed %q", procs.j.of("kill"))
	}
}

// waitFor asks until the guard's status is so.
func waitFor(t *testing.T, c *Client, what string, ok func(Status) bool) {
	t.Helper()
	var st Status
	var err error
	waittest.Until(t, waittest.Hang, what, func() bool {
		st, err = c.Status(t.Context())
		return err == nil && ok(st)
	}, &st, &err)
}

func waitForPhase(t *testing.T, c *Client, phase node.GuardPhase) {
	t.Helper()
	waitFor(t, c, "phase "+string(phase), func(st Status) bool { return st.Phase == phase })
}

func TestSocketSurvivesNonsense(t *testing.T) {
	cfg, _, _ := socketConfig(t)
	runGuard(t, cfg)
	for _, line := range []string{"nonsense", `{"op":"reboot"}`, `{"op":"permit"}`, `{"op":"permit","permit":{"deadline":"soon"}}`, ""} {
		var got string
		waittest.Until(t, waittest.Hang, "an answer to "+line, func() bool { // one that cannot be written in time is given up
			conn, err := net.Dial("unix", cfg.Socket)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintln(conn, line)
			got, err = bufio.NewReader(conn).ReadString('\n')
			return err == nil
		})
		if !strings.Contains(got, `"ok":false`) || !strings.Contains(got, `"error":"`) {
			t.Errorf("%q: answer %q", line, got)
		}
	}
	const tooMany = 5
	silent, turnedAway := []net.Conn{}, make(chan error, maxConns+tooMany)
	for range maxConns + tooMany { // clients that never read nor write take the places, the guard goes on
		conn, err := net.Dial("unix", cfg.Socket)
		if err != nil {
			t.Fatal(err)
		}
		silent = append(silent, conn)
		go func() {
			_, err := conn.Read(make([]byte, 1))
			turnedAway <- err
		}()
	}
	for range tooMany { // not the last ones: clients from above may still hold places when the first of these come
		select {
		case err := <-turnedAway:
			if !errors.Is(err, io.EOF) {
				t.Errorf("a client too many: %v, want it turned away", err)
			}
		case <-time.After(waittest.Hang):
			t.Fatalf("fewer than %d of %d clients are turned away", tooMany, len(silent))
		}
	}
	for _, conn := range silent {
		_ = conn.Close()
	}
	c := NewClient(cfg.Socket)
	defer c.Close()
	waitForPhase(t, c, node.GuardIdle)
}

func TestOneGuardOnly(t *testing.T) {
	cfg, _, _ := socketConfig(t)
	runGuard(t, cfg)
	if err := Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "another guard") {
		t.Fatalf("a second guard: %v", err)
	}
}

func TestClientFollowsARestart(t *testing.T) {
	cfg, _, _ := socketConfig(t)
	stop := runGuard(t, cfg)
	c := NewClient(cfg.Socket)
	defer c.Close()
	if _, err := sure(t, func() (Status, error) { return c.Permit(t.Context(), permitFor(time.Hour, 101)) }); err != nil {
		t.Fatal(err)
	}
	stop()
	if _, err := c.Status(t.Context()); err == nil || errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "bascule-guard.service") {
		t.Fatalf("without a guard: %v", err)
	}
	runGuard(t, cfg)
	if st, err := sure(t, func() (Status, error) { return c.Status(t.Context()) }); err != nil || st.Phase != node.GuardPermitted || st.Incarnation != "boot1" {
		t.Fatalf("after the restart: %+v, %v", st, err)
	}
}

// TestPermitsKeepTheirOrder: of many permits in flight with the same deadline the last called is in force at the end.
func TestPermitsKeepTheirOrder(t *testing.T) {
	cfg, _, _ := socketConfig(t)
	runGuard(t, cfg)
	c := NewClient(cfg.Socket)
	defer c.Close()
	deadline := Boottime().Add(time.Hour)
	var wg sync.WaitGroup
	var mu sync.Mutex
	newest, newestID := ha.Instant(0), ha.VMID(0)
	for id := ha.VMID(101); id < 141; id++ {
		wg.Go(func() {
			sent := c.stamp()
			mu.Lock()
			if sent > newest {
				newest, newestID = sent, id
			}
			mu.Unlock()
			p := node.GuardPermit{Deadline: deadline, Guests: refs(id), Sent: sent}
			if _, err := c.call(t.Context(), time.Minute, request{Op: opPermit, Permit: &p}); err != nil && !errors.Is(err, ErrRefused) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	st, err := sure(t, func() (Status, error) { return c.Status(t.Context()) })
	if err != nil || len(st.Guests) != 1 || st.Guests[0].ID != newestID {
		t.Fatalf("in force is %v (%v), the newest permit names %d", st.Guests, err, newestID)
	}
}

func TestClientGivesUp(t *testing.T) {
	cfg, _, _ := socketConfig(t)
	ln, err := net.Listen("unix", cfg.Socket) // accepts nobody: a stopped guard
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c := NewClient(cfg.Socket)
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := c.Status(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a guard that does not answer: %v", err)
	}
}
