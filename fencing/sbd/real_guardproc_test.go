//go:build fencingreal

package sbd

import (
	"context"
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
)

// labDog is a watchdog of the lab (ha/guard, driver lab) that ends nobody: it only keeps when it was fed last.
type labDog struct {
	mu  sync.Mutex
	fed time.Time
	n   int
}

func newLabDog(t *testing.T, path string) *labDog {
	t.Helper()
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	d := &labDog{}
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
		d.fed, d.n = time.Now(), d.n+1
		d.mu.Unlock()
	}
}

func (d *labDog) last() (time.Time, int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fed, d.n
}

// guarded is a real guard process of one node, in a directory of its own whose proc/sysrq-trigger is a file.
type guarded struct {
	t      *testing.T
	dir    string
	bin    string
	cmd    *exec.Cmd
	dog    *labDog
	client *guard.Client
	key    string
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
	g := &guarded{t: t, dir: dir, bin: bin, key: filepath.Join(dir, "root/proc/sysrq-trigger"), dog: newLabDog(t, filepath.Join(dir, "dog"))}
	for name, text := range map[string]string{"boot_id": "11111111-0000-4000-8000-000000000001\n", "system_uuid": "22222222-0000-4000-8000-000000000001\n",
		"root/proc/sysrq-trigger": "", "basculed.yaml": fmt.Sprintf(guardConfig, dir, strings.Join(devs, ","))} {
		f := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(f), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
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
	began := time.Now()
	for time.Since(began) < within {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		st, err := g.client.Status(ctx)
		cancel()
		if err == nil && ok(st) {
			return time.Since(began)
		}
		time.Sleep(5 * time.Millisecond)
	}
	g.t.Fatalf("%s: not in %v", what, within)
	return 0
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
	for began := time.Now(); time.Since(began) < within; time.Sleep(2 * time.Millisecond) {
		if b, err := os.ReadFile(g.key); err == nil && len(b) > 0 {
			return string(b), time.Now()
		}
	}
	return "", time.Time{}
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
