//go:build fencingreal

package scsipr

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/fencing/fencingtest"
	"bascule/ha"
	"bascule/ha/waittest"
)

// tgt is Debian's iSCSI target in user space, on a loopback port of its own.
type tgt struct {
	t       *testing.T
	address string
	control string
	cmd     *exec.Cmd
	ended   chan struct{} // closed when the process has ended
	disks   []string
}

const tgtIQN = "iqn.2026-01.internal.test:tgt"

func newTGT(t *testing.T, luns int) *tgt {
	for _, tool := range []string{"tgtd", "tgtadm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs Debian's package tgt")
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &tgt{t: t, address: l.Addr().String(), control: fmt.Sprint(20000 + os.Getpid()%10000)}
	l.Close()
	for i := range luns {
		file := filepath.Join(t.TempDir(), fmt.Sprintf("disk%d", i))
		if err := os.WriteFile(file, make([]byte, 8<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		g.disks = append(g.disks, file)
	}
	t.Cleanup(g.kill)
	g.start()
	return g
}

// start runs the target; it ignores SIGTERM, so it is killed.
func (g *tgt) start() {
	g.t.Helper()
	started := make(chan error)
	g.ended = make(chan struct{})
	g.cmd = exec.Command("tgtd", "-f", "--iscsi", "portal="+g.address, "--control-port", g.control)
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	go func() {
		runtime.LockOSThread() // the death signal belongs to the thread; it stays until the test ends
		started <- g.cmd.Start()
		g.cmd.Wait()
		close(g.ended)
	}()
	if err := <-started; err != nil {
		g.t.Fatal(err)
	}
	var err error
	waittest.Until(g.t, waittest.Hang, "tgtd takes a target", func() bool {
		err = g.try("--op", "new", "--mode", "target", "--tid", "1", "-T", tgtIQN)
		return err == nil
	}, &err)
	for i, file := range g.disks {
		g.adm("--op", "new", "--mode", "logicalunit", "--tid", "1", "--lun", fmt.Sprint(i+1), "-b", file)
	}
	g.adm("--op", "bind", "--mode", "target", "--tid", "1", "-I", "ALL")
}

func (g *tgt) try(args ...string) error {
	out, err := exec.Command("tgtadm", append([]string{"--control-port", g.control, "--lld", "iscsi"}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("tgtadm %v: %w: %s", args, err, out)
	}
	return nil
}

func (g *tgt) adm(args ...string) {
	g.t.Helper()
	if err := g.try(args...); err != nil {
		g.t.Fatal(err)
	}
}

func (g *tgt) kill() {
	if g.cmd.Process != nil {
		syscall.Kill(-g.cmd.Process.Pid, syscall.SIGKILL)
		<-g.ended
	}
}

func (g *tgt) url(lun int) string { return fmt.Sprintf("iscsi://%s/%s/%d", g.address, tgtIQN, lun) }

func (g *tgt) urls() string {
	var all []string
	for i := range g.disks {
		all = append(all, g.url(i+1))
	}
	return strings.Join(all, ", ")
}

// guest is what a node's guests write through: a session that stays, registered with the node's key.
type guest struct {
	t  *testing.T
	tr transport
}

func newGuest(n *node, url string) guest {
	n.t.Helper()
	p, err := parsePath(url)
	if err != nil {
		n.t.Fatal(err)
	}
	tr, err := connect(within(n.t, 5*time.Second), p, port{name: string(n.name) + "-kernel"})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(tr.close)
	g := guest{n.t, tr}
	r := round{ctx: within(n.t, 5*time.Second), t: tr, own: n.key()}
	if err := r.register(outRegisterOver, 0, n.key()); err != nil {
		n.t.Fatal(err)
	}
	return g
}

// raw sends one WRITE (10) and says how it ended, first time.
func (g guest) raw() reply {
	g.t.Helper()
	r, err := g.tr.execute(within(g.t, 5*time.Second), []byte{0x2a, 0, 0, 0, 0, 8, 0, 0, 8, 0}, make([]byte, 4096), 0)
	if err != nil {
		g.t.Fatal(err)
	}
	return r
}

// writes is a write with unit attentions waited out; it returns the status and the attentions.
func (g guest) writes() (status byte, attentions []sense) {
	g.t.Helper()
	for {
		r := g.raw()
		s, _ := decodeSense(r.sense)
		if r.status != statusCheck || s.key != senseAttention {
			return r.status, attentions
		}
		attentions = append(attentions, s)
	}
}

// The whole of it against tgt: two nodes, two LUNs, a victim that writes until it is fenced.
func TestRealTGT(t *testing.T) {
	g := newTGT(t, 2)
	a := newNode(t, "node1", g.urls()).set("aptpl", "if-supported")
	b := newNode(t, "node2", g.urls()).set("aptpl", "if-supported")
	strict := newNode(t, "node9", g.urls())
	fails(t, strict.register(), fencing.ErrRefused, "aptpl: if-supported") // tgt knows no APTPL
	a.mustRegister()
	b.mustRegister()
	var guests []guest
	for i := range g.disks {
		guests = append(guests, newGuest(b, g.url(i+1)))
	}
	for i, x := range guests {
		if status, _ := x.writes(); status != statusGood {
			t.Fatalf("LUN %d: the victim cannot write before: %#x", i+1, status)
		}
	}
	bystander := newGuest(a, g.url(1))
	a.wants(b, ha.AccessOpen)
	others(t, g, 1, a.key(), b.key())

	began := time.Now()
	out := a.fence(b)
	accepted := time.Since(began)
	a.wants(b, ha.AccessRevoked)
	proven := time.Since(began)
	t.Logf("2 LUNs: revoke accepted after %v, read back after %v", accepted.Round(100*time.Microsecond), proven.Round(100*time.Microsecond))
	for _, o := range out {
		t.Log(o)
		if o.Aborted || !strings.Contains(o.String(), "does not know PREEMPT AND ABORT") {
			t.Errorf("tgt has no PREEMPT AND ABORT: %+v", o)
		}
	}
	for i, x := range guests {
		status, attentions := x.writes()
		t.Logf("LUN %d: the victim's write meets %v, then status %#02x", i+1, attentions, status)
		if status != statusConflict || len(attentions) == 0 || attentions[0] != (sense{senseAttention, 0x2a, 0x03}) {
			t.Errorf("LUN %d: status %#02x after %v, want 6/2a03, then RESERVATION CONFLICT", i+1, status, attentions)
		}
	}
	if status, _ := bystander.writes(); status != statusGood {
		t.Errorf("the node that fenced cannot write: %#02x", status)
	}
	if keys := others(t, g, 1, a.key()); bytes.Contains([]byte(keys), []byte(b.key().String())) {
		t.Errorf("libiscsi still sees the victim's key: %s", keys)
	}
	fails(t, b.register(), ErrFenced, "reboot")
	a.wants(b, ha.AccessRevoked)
	b.reboot(boot2)
	b.mustRegister()
	a.wants(b, ha.AccessOpen)
}

// A target without APTPL forgets with its power who was fenced: it must be read as open, and nobody acts on what was.
func TestRealTGTLosesPower(t *testing.T) {
	g := newTGT(t, 1)
	a := newNode(t, "node1", g.urls()).set("aptpl", "if-supported")
	b := newNode(t, "node2", g.urls()).set("aptpl", "if-supported")
	a.mustRegister()
	b.mustRegister()
	a.fence(b)
	a.wants(b, ha.AccessRevoked)
	g.kill()
	_, err := a.device().Read(within(t, time.Second), b.clients())
	fails(t, err, fencing.ErrUnreachable, g.address)
	g.start()
	a.wants(b, ha.AccessOpen)
	a.refuses(b.clients(), fencing.ErrRefused, "lost its reservations")
	fails(t, a.register(), ErrFenced, "lost its reservations")
}

// A target that stops answering in the middle: the calls end with their time, and it works again afterwards.
func TestRealTGTHangs(t *testing.T) {
	g := newTGT(t, 1)
	a := newNode(t, "node1", g.urls()).set("aptpl", "if-supported")
	b := newNode(t, "node2", g.urls()).set("aptpl", "if-supported")
	a.mustRegister()
	b.mustRegister()
	if err := syscall.Kill(g.cmd.Process.Pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	fails(t, a.device().Revoke(within(t, 300*time.Millisecond), b.clients()), fencing.ErrTimeout, "")
	_, err := a.device().Read(within(t, 300*time.Millisecond), b.clients())
	fails(t, err, fencing.ErrTimeout, "")
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
	syscall.Kill(g.cmd.Process.Pid, syscall.SIGCONT)
	a.wants(b, ha.AccessOpen)
	a.fence(b)
	a.wants(b, ha.AccessRevoked)
}

// How long one fencing takes, from the order to the proof, again and again; through the child process as in the daemon.
func TestRealTGTTimes(t *testing.T) {
	g := newTGT(t, 1)
	a := newNode(t, "node1", g.urls()).set("aptpl", "if-supported")
	a.mustRegister()
	spec := fencing.Spec{Name: "san", Node: "victim", Method: "scsi-pr", Settings: a.settings}
	e, err := fencing.NewExecutor([]fencing.Spec{spec}, fencing.Methods{Method}, fencingtest.Child().Switch, fencing.BootNow)
	if err != nil {
		t.Fatal(err)
	}
	var all []time.Duration
	for i := range 20 {
		b := newNode(t, ha.NodeName(fmt.Sprintf("victim%d", i)), g.urls()).set("aptpl", "if-supported")
		b.mustRegister()
		began := time.Now()
		cmd := ha.DeviceCommand{Device: "san", Node: "victim", Action: ha.DeviceRevoke, Clients: b.clients(), Timeout: 5 * time.Second, Deadline: fencing.BootNow().Add(20 * time.Second)}
		if r := e.Do(context.Background(), cmd); r.Problem != "" {
			t.Fatal(r.Problem)
		}
		cmd.Action, cmd.Deadline = ha.DeviceRead, 0
		if r := e.Do(context.Background(), cmd); r.Problem != "" || r.Storages[0].Access != ha.AccessRevoked {
			t.Fatalf("%+v", r)
		}
		all = append(all, time.Since(began))
	}
	t.Logf("order to proof, 20 times: median %v, longest %v", median(all), longest(all))
}

func median(d []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(d))[len(d)/2].Round(100 * time.Microsecond)
}

func longest(d []time.Duration) time.Duration { return slices.Max(d).Round(100 * time.Microsecond) }
