//go:build fencingreal

package watchdogreal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"bascule/ha/guard"
)

// bench is what all hosts share: a short directory that they see too, and the built programs in it.
type bench struct {
	dir  string // with basculed, fwd and this test's binary
	node string // node.sh
	env  []string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	tools := os.Getenv("BASCULE_LAB_TOOLS")
	if tools == "" {
		tools = filepath.Join(root, "../shared/lab-tools")
	}
	node := filepath.Join(tools, "node.sh")
	for _, need := range []string{node, filepath.Join(tools, "fuse-watchdog/main.go"), "/dev/fuse"} {
		if _, err := os.Stat(need); err != nil {
			t.Skipf("%v: set BASCULE_LAB_TOOLS to the lab's tools", err)
		}
	}
	for _, tool := range []string{"ip", "unshare", "nsenter", "bash"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	dir, err := os.MkdirTemp("/tmp", "wd") // short, for sockets
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{dir: dir, node: node, env: append(os.Environ(), "LAB_DIR="+dir, "PFX="+prefix(), outerVar+"="+pidNamespace(t))}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	b.build(t, root, "./cmd/basculed", "basculed")
	b.build(t, filepath.Join(tools, "fuse-watchdog"), ".", "fwd")
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "reset"), self, 0o700); err != nil {
		t.Fatal(err)
	}
	b.run(t, "net")
	t.Cleanup(func() { b.run(t, "netdel") })
	return b
}

// prefix names this run's hosts and network namespaces.
func prefix() string { return fmt.Sprintf("w%dx", os.Getpid()%10000) }

func pidNamespace(t *testing.T) string {
	t.Helper()
	ns, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		t.Fatal(err)
	}
	return ns
}

func (b *bench) build(t *testing.T, dir, pkg, name string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-o", filepath.Join(b.dir, name), pkg)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod")
	if name == "basculed" {
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v: %s", name, err, out)
	}
}

func (b *bench) cmd(args ...string) *exec.Cmd {
	cmd := exec.Command(b.node, args...)
	cmd.Env, cmd.Dir = b.env, b.dir
	return cmd
}

func (b *bench) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := b.cmd(args...).CombinedOutput()
	if err != nil {
		t.Errorf("node.sh %v: %v: %s", args, err, out)
	}
	return string(out)
}

// host is one machine with a watchdog, a guard and a guest.
type host struct {
	t      *testing.T
	b      *bench
	n      string
	dir    string
	died   chan time.Time // when its processes were gone
	guard  *guard.Client
	frozen string // the guest's freezer cgroup, seen from outside
}

// setup runs in the host: the watchdog, the guard, a guest in a cgroup of its own. fwd's command is the reset.
const setup = `
d=$1 cg=/sys/fs/cgroup/freezer/$2
mkdir -p $d/dog $d/run $cg || exit 3
setsid $d/../fwd $d/dog $d/../reset </dev/null >$d/fwd.log 2>&1 &
for i in $(seq 200); do [ -e $d/dog/watchdog ] && break; sleep 0.05; done
[ -e $d/dog/watchdog ] || { echo "no watchdog"; cat $d/fwd.log; exit 4; }
touch /dev/watchdog && mount --bind $d/dog/watchdog /dev/watchdog || exit 5
setsid bash -c 'echo $$ >'$cg'/cgroup.procs; exec -a /usr/bin/kvm bash -c "while :; do sleep 1000; done" kvm -id 101' </dev/null >/dev/null 2>&1 &
echo $! >$d/guest.pid
setsid $d/../basculed guard --config $d/basculed.yaml </dev/null >$d/guard.log 2>&1 &
echo $! >$d/guard.pid
for i in $(seq 200); do [ -S $d/run/guard.sock ] && exit 0; sleep 0.05; done
cat $d/guard.log; exit 6`

const configuration = `cluster: lab
members:
  - {name: node1, address: 127.0.0.1}
  - {name: node2, address: 127.0.0.2}
  - {name: node3, address: 127.0.0.3}
node: node1
run_dir: %s/run
timing: {kill_time: 1s}
guard:
  watchdog: {driver: device, device: /dev/watchdog, timeout: 9s}
`

func (b *bench) host(t *testing.T, n int) *host {
	t.Helper()
	h := &host{t: t, b: b, n: strconv.Itoa(n), dir: filepath.Join(b.dir, "h"+strconv.Itoa(n)), died: make(chan time.Time, 1)}
	h.frozen = h.freezer()
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.dir, "basculed.yaml"), fmt.Appendf(nil, configuration, h.dir), 0o600); err != nil {
		t.Fatal(err)
	}
	b.run(t, "up", h.n)
	t.Cleanup(h.down)
	witness := b.cmd("exec", h.n, "sleep", "100000")
	if err := witness.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process inside
		_ = witness.Wait()
		h.died <- time.Now()
	}()
	b.run(t, "exec", h.n, "bash", "-c", setup, "-", h.dir, filepath.Base(h.frozen))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, st, err := guard.Dial(ctx, filepath.Join(h.dir, "run/guard.sock"))
	if err != nil {
		t.Fatalf("%v\n%s", err, h.log())
	}
	if st.Timing.SelfFence() != 11500*time.Millisecond {
		t.Fatalf("W is %v", st.Timing.SelfFence())
	}
	h.guard = c
	t.Cleanup(func() { _ = c.Close() })
	return h
}

// freezer mounts the freezer hierarchy: a frozen process cannot be killed, and must be thawed from outside when its host is gone.
func (h *host) freezer() string {
	h.t.Helper()
	at := filepath.Join(h.b.dir, "fz"+h.n)
	if err := os.MkdirAll(at, 0o700); err != nil {
		h.t.Fatal(err)
	}
	if err := syscall.Mount("freezer", at, "cgroup", 0, "freezer"); err != nil {
		h.t.Skipf("no cgroup v1 freezer, so no process that cannot be killed: %v", err)
	}
	return filepath.Join(at, "bascule-"+prefix()+h.n)
}

func (h *host) freeze(state string) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.frozen, "freezer.state"), []byte(state), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		h.t.Error(err)
	}
}

func (h *host) down() {
	h.freeze("THAWED")
	if h.t.Failed() {
		h.t.Log(h.log())
	}
	h.b.run(h.t, "rm", h.n)
	for range 100 { // until the killed guest is gone from it
		if err := os.Remove(h.frozen); err == nil || errors.Is(err, os.ErrNotExist) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err := syscall.Unmount(filepath.Dir(h.frozen), 0); err != nil {
		h.t.Error(err)
	}
}

func (h *host) log() string {
	var s strings.Builder
	for _, name := range []string{"fwd.log", "guard.log"} {
		b, _ := os.ReadFile(filepath.Join(h.dir, name)) // what there is
		fmt.Fprintf(&s, "--- %s\n%s", name, b)
	}
	return s.String()
}

// lives fails if the host ends within d.
func (h *host) lives(d time.Duration) {
	h.t.Helper()
	select {
	case at := <-h.died:
		h.t.Fatalf("the host ended at %v", at)
	case <-time.After(d):
	}
}

// ends returns when the host ended.
func (h *host) ends(limit time.Duration) time.Time {
	h.t.Helper()
	select {
	case at := <-h.died:
		return at
	case <-time.After(limit):
		h.t.Fatalf("the host lives after %v", limit)
	}
	return time.Time{}
}

// guests counts the guest's processes, from outside.
func (h *host) guests() (n int) {
	h.t.Helper()
	pids, err := os.ReadFile(filepath.Join(h.frozen, "cgroup.procs"))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, pid := range strings.Fields(string(pids)) {
		if line, err := os.ReadFile("/proc/" + pid + "/cmdline"); err == nil && strings.HasPrefix(string(line), "/usr/bin/kvm\x00") {
			n++
		}
	}
	return n
}

// signal sends a signal to a process that the set-up started, inside the host.
func (h *host) signal(name, sig string) {
	h.t.Helper()
	pid, err := os.ReadFile(filepath.Join(h.dir, name+".pid"))
	if err != nil {
		h.t.Fatal(err)
	}
	h.b.run(h.t, "exec", h.n, "kill", "-"+sig, strings.TrimSpace(string(pid)))
}
