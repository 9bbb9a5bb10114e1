package fenceagent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/fencing/fenceagent"
	"bascule/fencing/fencingtest"
	"bascule/ha"
	"bascule/ha/waittest"
)

// forks is an agent that starts helpers in the ways that escape a process group: one in the background, one in a session of its
// own, one that is nobody's child, all deaf to polite signals. Each notes its process id as it is outside of the namespace. Then it
// does what the file says.
const forks = `#!/bin/sh
cd "${0%/*}" || exit 1
cat >/dev/null
cat >helper <<'EOF'
trap '' HUP TERM INT
read -r pid rest </proc/self/stat
echo "$pid" >>pids
sleep 300
EOF
sh helper &
setsid sh helper &
(setsid sh helper &)
read -r pid rest </proc/self/stat
echo "$pid" >>pids
while [ "$(wc -l <pids)" -lt 4 ]; do sleep 0.01; done
. ./then
`

func newForks(t *testing.T, then string) *fake {
	f := newFake(t)
	f.write("fence_fake", forks, 0o755)
	f.write("then", then, 0o600)
	f.write("pids", "", 0o600)
	t.Cleanup(func() { // of a test that found them alive
		for _, word := range strings.Fields(f.read("pids")) {
			if pid, err := strconv.Atoi(word); err == nil && t.Failed() && strings.Contains(cmdline(pid), "helper") {
				syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	})
	return f
}

// pids waits for the four processes to be there.
func (f *fake) pids() []int {
	f.t.Helper()
	var pids []int
	waittest.Until(f.t, waittest.Hang, "the agent and its three helpers run", func() bool {
		pids = f.running()
		return len(pids) == 4
	})
	return pids
}

// running are those of the four that have begun.
func (f *fake) running() (pids []int) {
	f.t.Helper()
	for _, word := range strings.Fields(f.read("pids")) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			f.t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

func gone(pids []int) bool {
	return !slices.ContainsFunc(pids, func(pid int) bool { return fencingtest.ProcessState(pid) != 0 })
}

// ended demands that these processes are no more, now.
func ended(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		if st := fencingtest.ProcessState(pid); st != 0 {
			t.Errorf("process %d lives on in state %c", pid, st)
		}
	}
}

func TestHelpersEndWithTheAgent(t *testing.T) {
	f := newForks(t, `echo "Status: OFF"; exit 2`)
	r, err := open(t, f.settings()).Read(timeLimit(t, 40*time.Second))
	if err != nil || r.Power != ha.PowerOff {
		t.Errorf("%+v, %v; want off", r, err)
	}
	ended(t, f.pids())
}

func TestHelpersEndWithTheContext(t *testing.T) {
	for _, how := range []string{"sleep 300", "kill -STOP $$; sleep 300"} {
		f := newForks(t, how)
		ctx, cancel := context.WithCancel(context.Background())
		got := make(chan error, 1)
		d := open(t, f.settings())
		go func() { got <- d.Off(ctx) }()
		pids := f.pids()
		cancel()
		select {
		case err := <-got:
			if !errors.Is(err, fencing.ErrTimeout) {
				t.Errorf("%s: %v, want a time-out", how, err)
			}
		case <-time.After(waittest.Hang):
			t.Fatalf("%s: it goes on after its context", how)
		}
		ended(t, pids)
	}
}

// startReader starts a process that reads a device without a time limit.
func startReader(t *testing.T, settings map[string]string) *exec.Cmd {
	t.Helper()
	in, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env, cmd.Stdin = append(os.Environ(), roleRead+"=1"), bytes.NewReader(in)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// TestHelpersDieWithTheDaemon: the process that started the agent is killed, and has no chance to clean up.
func TestHelpersDieWithTheDaemon(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		f := newForks(t, "sleep 300")
		daemon := startReader(t, f.settings())
		pids := f.pids()
		if stopped {
			daemon.Process.Signal(syscall.SIGSTOP)
			waittest.Until(t, waittest.Hang, "the daemon is stopped", func() bool { return fencingtest.ProcessState(daemon.Process.Pid) == 'T' })
		}
		daemon.Process.Kill()
		daemon.Wait()
		waittest.Until(t, waittest.Hang, "the kernel has ended them", func() bool { return gone(pids) })
	}
}

// TestHelpersDieAtTheDeadline: the child that sends a leader's switch-off and everything below it are stopped; the kernel
// ends them when the leadership ends.
func TestHelpersDieAtTheDeadline(t *testing.T) {
	length := 6 * time.Second
	waittest.BestOf(t, func() string { // a machine that stalls may not have started the agent by then
		length *= 2
		return dieAtTheDeadline(t, length/2)
	})
}

// dieAtTheDeadline says what a machine that stalls may have spoilt.
func dieAtTheDeadline(t *testing.T, length time.Duration) string {
	f := newForks(t, "sleep 300")
	o := fencing.Order{Action: ha.DeviceOff, Timeout: length * 5 / 6, Deadline: fencing.BootNow().Add(length),
		Spec: fencing.Spec{Name: "bmc2", Node: "node2", Method: "fence-agent", Settings: f.settings()}}
	got := make(chan error, 1)
	go func() { got <- fencingtest.Child().Switch(context.Background(), o) }()
	var pids []int
	waittest.Until(t, 2*waittest.Hang, "the agent and its three helpers run, or it is too late", func() bool {
		pids = f.running()
		return len(pids) == 4 || o.Deadline.Before(fencing.BootNow())
	})
	if len(pids) < 4 {
		return fmt.Sprintf("nothing runs: %v", <-got)
	}
	at := slices.IndexFunc(pids, func(pid int) bool { return strings.Contains(cmdline(parent(t, pid)), "exec 3<&-") })
	if at < 0 {
		return fmt.Sprintf("none of %v is a child of the gate", pids)
	}
	init := parent(t, pids[at])
	sender := parent(t, init)
	if sender == os.Getpid() || !strings.Contains(cmdline(sender), "fence-device") {
		return fmt.Sprintf("the agent's starter is process %d: %q", sender, cmdline(sender))
	}
	for _, pid := range append([]int{sender, init}, pids...) {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			return fmt.Sprintf("process %d: %v", pid, err)
		}
	}
	waittest.Until(t, 2*waittest.Hang, "the sender is dead", func() bool { st := fencingtest.ProcessState(sender); return st == 0 || st == 'Z' })
	late := fencing.BootNow().Sub(o.Deadline)
	t.Logf("it died %v after the deadline", late)
	waittest.Until(t, waittest.Hang, "the kernel has ended them", func() bool { return gone(append(pids, init)) })
	if err := <-got; !errors.Is(err, fencing.ErrTimeout) {
		t.Errorf("%v, want a time-out", err)
	}
	if late < 0 {
		return "it ended before it was stopped"
	}
	return ""
}

// TestAnUntoldAgentDoesNotStart: the starter died before it gave the word.
func TestAnUntoldAgentDoesNotStart(t *testing.T) {
	f := newFake(t)
	wait, say, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	say.Close()
	cmd := exec.Command("/bin/sh", "-c", fenceagent.GateScript, f.path("fence_fake"))
	cmd.Stdin, cmd.ExtraFiles = strings.NewReader("action=off\nplug=7\n"), []*os.File{wait}
	err = cmd.Run()
	wait.Close()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 125 || f.read("started") != "" {
		t.Errorf("%v, started %q; want exit status 125 and no agent", err, f.read("started"))
	}
}

func parent(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	p, err := strconv.Atoi(fields[1])
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func cmdline(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.ReplaceAll(string(b), "\x00", " ")
}

// TestSecretsAreInNoProcess looks at the whole machine while an agent runs.
func TestSecretsAreInNoProcess(t *testing.T) {
	f := newForks(t, "sleep 300")
	ctx, cancel := context.WithCancel(context.Background())
	got := make(chan error, 1)
	d := open(t, f.settings())
	go func() { got <- d.Off(ctx) }()
	pids := f.pids()
	procs, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range procs {
		for _, name := range []string{"cmdline", "environ"} {
			if b, err := os.ReadFile("/proc/" + p.Name() + "/" + name); err == nil && strings.Contains(string(b), strings.Trim(password, ` "`)) {
				t.Errorf("/proc/%s/%s holds the password: %q", p.Name(), name, b)
			}
		}
	}
	for _, pid := range pids {
		if env, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)); !strings.Contains(string(env), "LANG=C\x00") {
			t.Errorf("process %d: environment %q", pid, env)
		}
	}
	cancel()
	if err := <-got; err == nil || strings.Contains(err.Error(), "7c1e") {
		t.Errorf("%v", err)
	}
}
