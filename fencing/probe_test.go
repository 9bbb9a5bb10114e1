package fencing_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/ha"
	"bascule/ha/waittest"
)

// Roles that this test binary plays when it is re-executed, chosen by roleMark in the environment.
const (
	roleMark   = "BASCULE_TEST_FENCE_ROLE"
	roleChild  = "child"
	roleLeader = "leader" // carries out the one command given on its standard input, prints the reading
)

func TestMain(m *testing.M) {
	switch os.Getenv(roleMark) {
	case roleChild:
		os.Exit(fencing.RunChild(os.Args[1:], os.Stdin, os.Stdout, fencing.Methods{probeMethod}))
	case roleLeader:
		if err := lead(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func childOf(env ...string) fencing.Child {
	return fencing.Child{Path: "/proc/self/exe", Args: []string{"fence-device"}, Env: append(env, roleMark+"="+roleChild), Stderr: os.Stderr}
}

// probeMethod's device is a test's listener. Off: connects, says "ready PID", waits for a line "go", says "off" and
// waits for its answer: "ok", or a refusal.
var probeMethod = fencing.Method{
	Name:  "probe",
	Keys:  []fencing.Key{{Name: "address", Required: true, Doc: "x"}, {Name: "code", Secret: true, Doc: "x"}},
	Power: func(s map[string]string) (fencing.PowerDevice, error) { return probe{s["address"]}, nil },
}

type probe struct{ address string }

func (probe) Read(context.Context) (fencing.Reading, error) {
	return fencing.Reading{Power: ha.PowerOn}, nil
}

func (probe) On(context.Context) error { panic("the probe has no on") }

func (p probe) Off(ctx context.Context) error {
	c, err := fencing.Dialer(time.Minute).DialContext(ctx, "tcp", p.address)
	if err != nil {
		return err
	}
	defer c.Close()
	if end, ok := ctx.Deadline(); ok {
		c.SetDeadline(end)
	}
	r := bufio.NewReader(c)
	fmt.Fprintf(c, "ready %d\n", os.Getpid())
	if _, err := r.ReadString('\n'); err != nil {
		return err
	}
	fmt.Fprintf(c, "off\n")
	line, err := r.ReadString('\n')
	if err == nil && line != "ok\n" {
		err = fmt.Errorf("%w: %s", fencing.ErrRefused, strings.TrimSpace(line))
	}
	return err
}

// task is what a leader process is told.
type task struct {
	Command ha.DeviceCommand
	Address string
	StopMe  bool // stop yourself after the last look at the clock, before the child is started
}

func lead(in io.Reader, out io.Writer) error {
	var tk task
	if err := json.NewDecoder(in).Decode(&tk); err != nil {
		return err
	}
	send := func(ctx context.Context, o fencing.Order) error {
		if tk.StopMe {
			syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		}
		return childOf().Switch(ctx, o)
	}
	e, err := fencing.NewExecutor([]fencing.Spec{probeSpec(tk.Address)}, fencing.Methods{probeMethod}, send, fencing.BootNow)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(e.Do(context.Background(), tk.Command))
}

func probeSpec(address string) fencing.Spec {
	return fencing.Spec{Name: "bmc2", Node: "node2", Method: "probe", Settings: map[string]string{"address": address, "code": "hunter2"}}
}

// station is the test's end of the probe.
type station struct {
	*testing.T
	l *net.TCPListener
}

func newStation(t *testing.T) *station {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &station{t, l}
}

func (s *station) address() string { return s.l.Addr().String() }

// visitor is one child that is ready to send.
type visitor struct {
	*testing.T
	net.Conn
	lines *bufio.Reader
	pid   int
}

func (s *station) accept() *visitor {
	s.Helper()
	v := s.comes(2 * waittest.Hang)
	if v == nil {
		s.Fatal("no child came")
	}
	return v
}

// comes is accept for a child that may be too late to come; then it is nil.
func (s *station) comes(limit time.Duration) *visitor {
	s.Helper()
	s.l.SetDeadline(time.Now().Add(limit))
	c, err := s.l.Accept()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(2 * waittest.Hang))
	v := &visitor{T: s.T, Conn: c, lines: bufio.NewReader(c)}
	if _, err := fmt.Fscanf(v.lines, "ready %d\n", &v.pid); err != nil {
		s.Fatalf("the child says: %v", err)
	}
	return v
}

// nobody demands that no child came.
func (s *station) nobody() {
	s.Helper()
	s.l.SetDeadline(time.Now().Add(time.Millisecond))
	if c, err := s.l.Accept(); err == nil {
		c.Close()
		s.Errorf("a child came to send")
	}
}

// gone waits for the child's end of the connection to go away and demands that it sent nothing. It returns when that was.
func (v *visitor) gone() ha.Instant {
	v.Helper()
	line, err := v.lines.ReadString('\n')
	now := fencing.BootNow()
	if line != "" || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		v.Errorf("the child sent %q, %v; want its end", line, err)
	}
	return now
}
