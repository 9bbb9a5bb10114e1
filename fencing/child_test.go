package fencing_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/fencing/fencingtest"
	"bascule/ha"
	"bascule/ha/waittest"
)

func order(address string, timeout, deadline time.Duration) fencing.Order {
	return fencing.Order{Action: ha.DeviceOff, Spec: probeSpec(address), Timeout: timeout, Deadline: fencing.BootNow().Add(deadline)}
}

func TestAChildSendsAndReports(t *testing.T) {
	for answer, want := range map[string]error{"ok": nil, "no, busy": fencing.ErrRefused} {
		s := newStation(t)
		got := make(chan error, 1)
		go func() {
			got <- childOf().Switch(context.Background(), order(s.address(), 40*time.Second, 2*time.Minute))
		}()
		v := s.accept()
		fmt.Fprintln(v, "go")
		if line, err := v.lines.ReadString('\n'); line != "off\n" {
			t.Fatalf("sent %q, %v", line, err)
		}
		fmt.Fprintln(v, answer)
		if err := <-got; !errors.Is(err, want) || (err == nil) != (want == nil) || want != nil && !strings.Contains(err.Error(), answer) {
			t.Errorf("answer %q: %v, want %v", answer, err, want)
		}
	}
}

func TestSecretsAreNeitherInArgumentsNorInEnvironment(t *testing.T) {
	s := newStation(t)
	got := make(chan error, 1)
	o := order(s.address(), 40*time.Second, 2*time.Minute)
	go func() { got <- childOf().Switch(context.Background(), o) }()
	v := s.accept()
	args, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", v.pid))
	if err != nil {
		t.Fatal(err)
	}
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", v.pid))
	if err != nil {
		t.Fatal(err)
	}
	if want := "fence-device\x00" + strconv.FormatInt(int64(o.Deadline), 10) + "\x00"; string(args) != want {
		t.Errorf("arguments %q, want %q", args, want)
	}
	if !bytes.Contains(env, []byte(roleMark)) || bytes.Contains(env, []byte("hunter2")) || bytes.Contains(env, []byte(s.address())) {
		t.Errorf("environment: %q", env)
	}
	v.Close()
	if err := <-got; err == nil {
		t.Error("accepted without an answer")
	}
}

// TestAStoppedChildDiesAtTheDeadline: the child and the leader are both stopped, so that nobody but the kernel can
// end the child. When the leader goes on, it finds the command ended and cannot send it.
func TestAStoppedChildDiesAtTheDeadline(t *testing.T) {
	s := newStation(t)
	for _, length := range untilDeadline {
		deadline := fencing.BootNow().Add(length)
		l := startLeader(t, task{Address: s.address(), Command: off(deadline, length/2)})
		v := s.comes(length)
		if v == nil {
			l.reading() // too late to send anything: the machine is slow
			continue
		}
		l.signal(syscall.SIGSTOP)
		if err := syscall.Kill(v.pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		waittest.Until(t, waittest.Hang, "the child is stopped, or ended already", func() bool { return fencingtest.ProcessState(v.pid) != 'S' && fencingtest.ProcessState(v.pid) != 'R' })
		fmt.Fprintln(v, "go") // it would send now
		at := v.gone()
		t.Logf("the child ended %v after the deadline", at.Sub(deadline))
		if at.Before(deadline) {
			t.Error("that is too early")
		}
		waittest.Until(t, waittest.Hang, "the child is dead", func() bool { st := fencingtest.ProcessState(v.pid); return st == 'Z' || st == 0 })
		if st := fencingtest.ProcessState(l.cmd.Process.Pid); st != 'T' {
			t.Errorf("the leader is in state %c, should be stopped", st)
		}
		l.signal(syscall.SIGCONT)
		// The executor's own time may be over, too, when it goes on.
		if r := l.reading(); !strings.Contains(r.Problem, "killed") && !strings.Contains(r.Problem, "no answer in time") || !strings.Contains(r.Problem, fencing.ErrTimeout.Error()) {
			t.Errorf("%+v", r)
		}
		s.nobody()
		return
	}
	t.Fatal("no child comes in time")
}

// untilDeadline are the lengths of a command's time that are tried: a machine that stalls may need longer than the first to start a process.
var untilDeadline = []time.Duration{2 * time.Second, 8 * time.Second, 40 * time.Second}

// TestALeaderStoppedBeforeTheStartSendsNothing: stopped after its own look at the clock, continued after the deadline.
func TestALeaderStoppedBeforeTheStartSendsNothing(t *testing.T) {
	s := newStation(t)
	for _, length := range untilDeadline {
		deadline := fencing.BootNow().Add(length)
		l := startLeader(t, task{Address: s.address(), Command: off(deadline, 100*time.Millisecond), StopMe: true})
		var st byte
		waittest.Until(t, 2*waittest.Hang, "the leader is stopped, or has ended", func() bool {
			st = fencingtest.ProcessState(l.cmd.Process.Pid)
			return st == 'T' || st == 'Z'
		})
		if st == 'Z' { // it looked at the clock too late: the machine is slow
			l.reading()
			continue
		}
		waittest.Until(t, 2*waittest.Hang, "the deadline has passed", func() bool { return deadline.Before(fencing.BootNow()) })
		l.signal(syscall.SIGCONT)
		// The executor's own time may be over, too, when it goes on.
		if r := l.reading(); !strings.Contains(r.Problem, fencing.ErrTooLate.Error()) && !strings.Contains(r.Problem, fencing.ErrTimeout.Error()) {
			t.Errorf("%+v", r)
		}
		s.nobody()
		return
	}
	t.Fatal("the leader does not look at the clock in time")
}

func TestAChildDiesWithItsLeader(t *testing.T) {
	s := newStation(t)
	l := startLeader(t, task{Address: s.address(), Command: off(fencing.BootNow().Add(10*time.Minute), 5*time.Minute)})
	v := s.accept()
	l.signal(syscall.SIGKILL)
	v.SetDeadline(time.Now().Add(waittest.Hang)) // long before the child itself would give up
	v.gone()
}

// TestAChildThatIsLateByItself: started directly, as by a leader that was stopped between its look at the clock and the fork.
func TestAChildThatIsLateByItself(t *testing.T) {
	s := newStation(t)
	in, _ := json.Marshal(order(s.address(), time.Second, -time.Millisecond))
	out, err := runRaw(t, strconv.FormatInt(int64(fencing.BootNow().Add(-time.Millisecond)), 10), in)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("after the deadline: %v, %s; want killed", err, out)
	}
	o := order(s.address(), time.Minute, 30*time.Second)
	in, _ = json.Marshal(o)
	out, err = runRaw(t, strconv.FormatInt(int64(o.Deadline), 10), in)
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(out, "too-late") {
		t.Errorf("no time left: %v, %s; want a refusal", err, out)
	}
	s.nobody()
}

func TestAChildTakesNoOddOrders(t *testing.T) {
	s := newStation(t)
	o := order(s.address(), time.Second, time.Minute)
	good, _ := json.Marshal(o)
	arg := strconv.FormatInt(int64(o.Deadline), 10)
	later := o
	later.Deadline++
	cycle := o
	cycle.Action = "cycle"
	read := o
	read.Action = ha.DeviceRead
	strange := o
	strange.Spec.Method = "other"
	for name, c := range map[string]struct {
		args []string
		in   any
	}{
		"no deadline":      {nil, o},
		"zero deadline":    {[]string{"0"}, o},
		"no number":        {[]string{"soon"}, o},
		"two deadlines":    {[]string{arg}, later},
		"a cycle":          {[]string{arg}, cycle},
		"a read":           {[]string{arg}, read},
		"unknown method":   {[]string{arg}, strange},
		"no order":         {[]string{arg}, nil},
		"more than it was": {[]string{arg}, map[string]any{"action": "off", "force": true}},
	} {
		in, _ := json.Marshal(c.in)
		cmd := exec.Command("/proc/self/exe", c.args...)
		cmd.Env, cmd.Stdin = append(os.Environ(), roleMark+"="+roleChild), bytes.NewReader(in)
		out, err := cmd.Output()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 || strings.Contains(string(out), `"accepted":true`) {
			t.Errorf("%s: %v, %s; want a refusal", name, err, out)
		}
	}
	s.nobody()
	if !bytes.Contains(good, []byte("hunter2")) {
		t.Error("the order does not carry its settings over the pipe")
	}
}

func TestOnlyAChildThatSaysSoHasSucceeded(t *testing.T) {
	for name, script := range map[string]string{
		"says nothing":          `exit 0`,
		"says rubbish":          `echo hello`,
		"says an empty answer":  `echo '{}'`,
		"accepts and fails":     `echo '{"accepted":true}'; exit 3`,
		"fails":                 `exit 3`,
		"is killed afterwards":  `echo '{"accepted":true}'; kill -9 $$`,
		"unknown kind of error": `echo '{"kind":"new","text":"x"}'`,
	} {
		c := fencing.Child{Path: "/bin/sh", Args: []string{"sh", "-c", script}}
		if err := c.Switch(context.Background(), order("", 40*time.Second, 2*time.Minute)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	c := fencing.Child{Path: "/bin/sh", Args: []string{"sh", "-c", `cat >/dev/null; echo '{"accepted":true}'`}}
	if err := c.Switch(context.Background(), order("", 40*time.Second, 2*time.Minute)); err != nil {
		t.Errorf("says so: %v", err)
	}
	c = fencing.Child{Path: "/nonexistent/basculed", Args: []string{"basculed"}}
	if err := c.Switch(context.Background(), order("", 40*time.Second, 2*time.Minute)); !errors.Is(err, fencing.ErrHelper) {
		t.Errorf("no program: %v", err)
	}
}

// TestDeadConnectionsSendNothingMore: what a process has written but its peer has not taken yet must not arrive after
// its end.
func TestDeadConnectionsSendNothingMore(t *testing.T) {
	s := newStation(t)
	c, err := fencing.Dialer(time.Minute).Dial("tcp", s.address())
	if err != nil {
		t.Fatal(err)
	}
	peer, err := s.l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	peer.(*net.TCPConn).SetReadBuffer(4 << 10)
	c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond)) // the peer reads nothing: buffers fill up
	wrote, err := c.Write(make([]byte, 64<<20))
	if err == nil {
		t.Fatal("64 MiB fit into the buffers of a connection")
	}
	c.Close()
	peer.SetReadDeadline(time.Now().Add(waittest.Hang))
	read, err := io.Copy(io.Discard, peer)
	if read >= int64(wrote) || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the peer got %d of %d bytes and %v; want fewer, and a reset", read, wrote, err)
	}
}

func off(deadline ha.Instant, timeout time.Duration) ha.DeviceCommand {
	return ha.DeviceCommand{Device: "bmc2", Node: "node2", Incarnation: "b", Action: ha.DeviceOff, Term: 4, Deadline: deadline, Timeout: timeout}
}

func runRaw(t *testing.T, arg string, in []byte) (string, error) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", arg)
	cmd.Env, cmd.Stdin = append(os.Environ(), roleMark+"="+roleChild), bytes.NewReader(in)
	out, err := cmd.Output()
	return string(out), err
}

// leader is a process of its own with an executor.
type leader struct {
	*testing.T
	cmd *exec.Cmd
	out bytes.Buffer
}

func startLeader(t *testing.T, tk task) *leader {
	t.Helper()
	in, err := json.Marshal(tk)
	if err != nil {
		t.Fatal(err)
	}
	l := &leader{T: t, cmd: exec.Command("/proc/self/exe")}
	l.cmd.Env = append(os.Environ(), roleMark+"="+roleLeader)
	l.cmd.Stdin, l.cmd.Stdout, l.cmd.Stderr = bytes.NewReader(in), &l.out, os.Stderr
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.cmd.Process.Kill()
		l.cmd.Wait()
	})
	return l
}

func (l *leader) signal(s syscall.Signal) {
	l.Helper()
	if err := l.cmd.Process.Signal(s); err != nil {
		l.Fatal(err)
	}
}

// reading waits for the leader's end and returns what it printed.
func (l *leader) reading() ha.DeviceReading {
	l.Helper()
	if err := l.cmd.Wait(); err != nil {
		l.Fatalf("leader: %v", err)
	}
	var r ha.DeviceReading
	if err := json.Unmarshal(l.out.Bytes(), &r); err != nil {
		l.Fatalf("leader said %q: %v", l.out.String(), err)
	}
	return r
}
