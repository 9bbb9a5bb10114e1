//go:build fencingreal

package sbd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bascule/ha/guard"
	"bascule/ha/waittest"
)

// labDog is a watchdog of the lab (ha/guard, driver lab) that ends nobody: it only keeps when it was fed last.
type labDog struct {
	mu   sync.Mutex
	fed  time.Time
	more chan struct{} // holds one when it was fed since it was last taken out
}

func newLabDog(t *testing.T, path string) *labDog {
	t.Helper()
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	d := &labDog{more: make(chan struct{}, 1)}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go d.read(c)
		}
	}()
	return d
}

func (d *labDog) read(c net.Conn) {
	defer c.Close()
	b := make([]byte, 64)
	for {
		if _, err := c.Read(b); err != nil {
			return
		}
		d.mu.Lock()
		d.fed = time.Now()
		d.mu.Unlock()
		select {
		case d.more <- struct{}{}:
		default:
		}
	}
}

// unfed waits until it is not fed for so long, and returns when it was fed last.
func (d *labDog) unfed(t *testing.T, quiet, limit time.Duration) time.Time {
	t.Helper()
	for end := time.After(limit); ; {
		select {
		case <-d.more:
		case <-time.After(quiet):
			d.mu.Lock()
			defer d.mu.Unlock()
			return d.fed
		case <-end:
			t.Fatalf("it is still fed after %v", limit)
		}
	}
}

// keepsFed demands that it is fed again and again, with no gap as long as gap, for so long.
func (d *labDog) keepsFed(t *testing.T, gap, length time.Duration) {
	t.Helper()
	for began := time.Now(); time.Since(began) < length; {
		select {
		case <-d.more:
		case <-time.After(gap):
			t.Fatalf("it was not fed for %v", gap)
		}
	}
}

// guarded is a real guard process of one node, in a directory of its own whose proc/sysrq-trigger is a pipe to the test.
type guarded struct {
	t      *testing.T
	dir    string
	bin    string
	cmd    *exec.Cmd
	dog    *labDog
	client *guard.Client
	key    *os.File
}

const guardConfig = `cluster: lab
members:
  - {name: node1, address: 127.0.0.1}
  - {name: node2, address: 127.0.0.2}
node: node1
run_dir: %[1]s/run
guard:
  watchdog: {driver: lab, device: %[1]s/dog}
fencing:
  devices:
    - name: sbd-node1
      node: node1
      method: sbd
      settings: {disks: "%[2]s", slot: n1, msgwait: 20s}
`

// buildGuard builds basculed as halab does: its ender and its identity are those of a directory, never the machine's.
func buildGuard(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "basculed")
	cmd := exec.Command("go", "build", "-tags", "lab", "-o", bin, "bascule/cmd/basculed")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	return bin
}

func newGuarded(t *testing.T, bin string, devs []string) *guarded {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "sg") // short, for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	g := &guarded{t: t, dir: dir, bin: bin, dog: newLabDog(t, filepath.Join(dir, "dog"))}
	for name, text := range map[string]string{"boot_id": "11111111-0000-4000-8000-000000000001\n", "system_uuid": "22222222-0000-4000-8000-000000000001\n",
		"basculed.yaml": fmt.Sprintf(guardConfig, dir, strings.Join(devs, ","))} {
		f := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(f), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g.key = trigger(t, filepath.Join(dir, "root/proc"))
	t.Cleanup(func() {
		g.kill()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Logf("%s", log)
		}
	})
	g.start()
	return g
}

// trigger makes the kernel's sysrq-trigger in a directory and returns what is written to it.
func trigger(t *testing.T, dir string) *os.File {
	t.Helper()
	path := filepath.Join(dir, "sysrq-trigger")
	if err := errors.Join(os.MkdirAll(dir, 0o700), syscall.Mkfifo(path, 0o600)); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0) // both ends: it is there before anybody writes, and never ends
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func (g *guarded) start() {
	g.t.Helper()
	log, err := os.OpenFile(filepath.Join(g.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		g.t.Fatal(err)
	}
	defer log.Close()
	g.cmd = exec.Command(g.bin, "guard", "--config", filepath.Join(g.dir, "basculed.yaml"))
	g.cmd.Env = append(os.Environ(), "BASCULE_LAB_NODE_DIR="+g.dir)
	g.cmd.Stdout, g.cmd.Stderr = log, log
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := g.cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.client = guard.NewClient(filepath.Join(g.dir, "run/guard.sock"))
}

// kill ends the guard as a crash does.
func (g *guarded) kill() {
	if g.cmd != nil {
		g.client.Close()
		g.cmd.Process.Kill()
		g.cmd.Wait()
		g.cmd = nil
	}
}

func (g *guarded) await(what string, within time.Duration, ok func(guard.Status) bool) time.Duration {
	g.t.Helper()
	var st guard.Status
	var err error
	return waittest.Until(g.t, within, what, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		st, err = g.client.Status(ctx)
		return err == nil && ok(st)
	}, &st, &err)
}

// obeys brings the guard to where an agent brings it: the slot in sight, armed, and the word given.
func (g *guarded) obeys() {
	g.t.Helper()
	took := g.await("its slot in sight", 20*time.Second, func(st guard.Status) bool { return st.Slots != nil && st.Slots.Seen })
	g.t.Logf("the slot was in sight after %v", took.Round(time.Millisecond))
	if st, err := g.client.Arm(g.t.Context()); err != nil || !st.Armed {
		g.t.Fatalf("%+v, %v", st, err)
	}
	if st, err := g.client.Obey(g.t.Context(), true); err != nil || !st.Slots.Held {
		g.t.Fatalf("%+v, %v", st, err)
	}
}

// ended returns when the kernel was asked, and by which key.
func (g *guarded) ended(within time.Duration) (string, time.Time) {
	g.t.Helper()
	g.key.SetReadDeadline(time.Now().Add(within))
	b := make([]byte, 8)
	n, err := g.key.Read(b)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		g.t.Fatal(err)
	}
	return string(b[:n]), time.Now()
}

// sendReal sends a message with the real tool, which stays for msgwait, and does not wait for it.
func sendReal(t *testing.T, devs []string, what string) (sent time.Time) {
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "sbd", dashD(devs, "message", "n1", what)...)
	sent = time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); cmd.Wait() })
	return sent
}
