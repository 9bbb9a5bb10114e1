package pvesim

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bascule/ha/waittest"
)

// sock is a client of a node's pmxcfs.sock.
func (l *testLab) sock(node string) *fsClient {
	return newFSClient(filepath.Join(l.nodes[node].dir, "pmxcfs.sock"))
}

type members struct {
	Nodename string
	Cluster  struct{ Quorate, Nodes int }
	Nodelist map[string]struct {
		ID, Online int
		IP         string
	}
}

func (l *testLab) members(node string) members {
	l.t.Helper()
	data, err := l.sock(node).read(".members")
	if err != nil {
		l.t.Fatal(err)
	}
	var m members
	if err := json.Unmarshal(data, &m); err != nil {
		l.t.Fatalf(".members: %v in %s", err, data)
	}
	return m
}

func TestDeathBlocksWritesNotReads(t *testing.T) {
	reform := time.Second
	waittest.BestOf(t, func() string { // a machine that stalls looks when it is over
		reform *= 2
		return deathBlocksWritesNotReads(t, reform/2)
	})
}

func deathBlocksWritesNotReads(t *testing.T, reform time.Duration) string {
	lab := newTestLab(t, "n", 3, func(o *Options) { o.Corosync = Corosync{Reform: reform, Join: testReform} })
	lab.guest(GuestSpec{VMID: 102, Kind: "qemu", Name: "web", Node: "n3", Storage: "shared"})
	lab.on()
	died := time.Now()
	lab.PowerOff("n3")
	m := lab.members("n1")
	_, rerr := lab.sock("n1").read("nodes/n3/qemu-server/102.conf")
	missing := lab.sock("n1").rename("nodes/n3/qemu-server/777.conf", "nodes/n1/qemu-server/777.conf")
	if d := time.Since(died); d > reform*3/4 {
		return fmt.Sprintf("reading took %v", d)
	}
	if m.Nodelist["n3"].Online != 1 || m.Cluster.Quorate != 1 {
		t.Errorf("within the re-formation .members must show the old ring: %+v", m)
	}
	if rerr != nil {
		t.Error("read while blocked:", rerr)
	}
	if missing != eNOENT {
		t.Errorf("rename of a missing file while blocked: %v, want ENOENT at once", missing)
	}
	if err := lab.sock("n1").rename("nodes/n3/qemu-server/102.conf", "nodes/n1/qemu-server/102.conf"); err != nil {
		t.Error("take-over on the majority:", err)
	}
	if d := time.Since(died); d < reform {
		t.Errorf("the rename came back %v after the death, it should have waited %v", d, reform)
	}
	if m := lab.members("n2"); m.Nodelist["n3"].Online != 0 || m.Cluster.Quorate != 1 {
		t.Errorf("after the re-formation: %+v", m)
	}
	if _, err := lab.sock("n2").read("nodes/n1/qemu-server/102.conf"); err != nil {
		t.Error("the other member does not see the rename:", err)
	}
	if _, err := os.Stat(filepath.Join(lab.opt.Dir, "pmxcfs/nodes/n1/qemu-server/102.conf")); err != nil {
		t.Error("mirror:", err)
	}
	return ""
}

func TestCutMinority(t *testing.T) {
	lab := newTestLab(t, "n", 3, nil)
	lab.guest(GuestSpec{VMID: 100, Kind: "qemu", Name: "web", Node: "n1", Storage: "shared"})
	lab.on()
	lab.NetworkChanged(func(a, b string) bool { return a != "n1" && b != "n1" })
	early := make(chan error, 1)
	go func() { early <- lab.sock("n1").write("nodes/n1/x", []byte("1")) }()
	if err := lab.sock("n2").rename("nodes/n1/qemu-server/100.conf", "nodes/n2/qemu-server/100.conf"); err != nil {
		t.Fatal("majority:", err)
	}
	if err := <-early; err != ePERM {
		t.Errorf("write in flight on the minority: %v, want EPERM", err)
	}
	one := lab.sock("n1")
	if err := one.write("nodes/n1/x", nil); err != eACCES {
		t.Errorf("later write: %v, want EACCES", err)
	}
	for name, got := range map[string]error{"rename of a missing source": one.rename("nodes/n3/x", "nodes/n1/y"),
		"rename to a missing node": one.rename("nodes/n1/qemu-server/100.conf", "nodes/n9/qemu-server/100.conf")} {
		if got != eNOENT {
			t.Errorf("%s without quorum: %v, want ENOENT", name, got)
		}
	}
	if err := one.write(".members", nil); err != eIO {
		t.Errorf("write .members: %v, want EIO", err)
	}
	if _, err := one.read("local/qemu-server/100.conf"); err != nil {
		t.Error("the minority must go on seeing its old tree:", err)
	}
	lab.modeOfLocal("n1", 0o555)
	lab.modeOfLocal("n2", 0o755)
	lab.NetworkChanged(func(a, b string) bool { return true })
	lab.eventually("n1 takes the majority's tree", func() bool {
		_, err := one.read("qemu-server/100.conf")
		return err == eNOENT
	})
	if err := one.write("nodes/n1/x", nil); err != nil {
		t.Error("after healing:", err)
	}
}

func (l *testLab) modeOfLocal(node string, want uint32) {
	l.t.Helper()
	a, err := l.sock(node).do(fsRequest{Op: "stat", Path: "local"})
	if err != nil || a.Mode != want || !a.Dir {
		l.t.Errorf("stat local on %s: %+v %v, want mode %o", node, a, err, want)
	}
}

func TestWaitingWriteOfADyingNodeGetsNoAnswer(t *testing.T) {
	lab := newTestLab(t, "n", 3, func(o *Options) { o.Corosync.Reform = 10 * time.Second; o.Corosync.Join = testReform }).on()
	lab.cut("n3")
	got := make(chan error, 1)
	go func() { got <- lab.sock("n1").write("nodes/n1/x", nil) }()
	lab.eventually("the write waits", func() bool { return lab.waiting.Load() == 1 })
	lab.PowerOff("n1")
	err := <-got
	if _, answered := err.(errno); err == nil || answered {
		t.Errorf("got %v, want a broken connection", err)
	}
}

func TestSocketOperations(t *testing.T) {
	lab := newTestLab(t, "n", 1, nil)
	lab.guest(GuestSpec{VMID: 100, Kind: "lxc", Name: "ct", Node: "n1", Storage: "shared"})
	lab.on()
	s := lab.sock("n1")
	for _, step := range []struct {
		q    fsRequest
		want errno
	}{
		{fsRequest{Op: "mkdir", Path: "priv/lock/x"}, success},
		{fsRequest{Op: "mkdir", Path: "priv/lock/x"}, eEXIST},
		{fsRequest{Op: "rmdir", Path: "priv/lock/x"}, success},
		{fsRequest{Op: "write", Path: "lxc/101.conf", Data: "YQ=="}, success},
		{fsRequest{Op: "unlink", Path: "nodes/n1/lxc/101.conf"}, success},
		{fsRequest{Op: "unlink", Path: "nodes/n1/lxc"}, eISDIR},
		{fsRequest{Op: "read", Path: "lxc"}, eISDIR},
		{fsRequest{Op: "readdir", Path: "lxc/100.conf"}, eNOTDIR},
		{fsRequest{Op: "stat", Path: "nope"}, eNOENT},
	} {
		if a, err := s.do(step.q); a.Errno != step.want || (err == nil) != (step.want == success) {
			t.Errorf("%+v: %q %v, want %q", step.q, a.Errno, err, step.want)
		}
	}
	names, err := s.list("/")
	if err != nil || !strings.Contains(strings.Join(names, " "), ".vmlist local") {
		t.Errorf("root: %v %v", names, err)
	}
	for _, p := range []string{".vmlist", ".version"} {
		data, err := s.read(p)
		var v map[string]any
		if err != nil || json.Unmarshal(data, &v) != nil {
			t.Errorf("%s is no JSON: %s", p, data)
		}
	}
}

func TestReopenedLabKeepsItsTree(t *testing.T) {
	lab := newTestLab(t, "n", 1, nil)
	lab.guest(GuestSpec{VMID: 100, Kind: "qemu", Name: "web", Node: "n1", Storage: "shared", Pool: "ha", Description: "first\nsecond ä"})
	again, err := New(lab.opt)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.GuestNode(100) != "n1" {
		t.Error("the guest is gone")
	}
	cfg := parseConfig("qemu", again.mirrored.entries["nodes/n1/qemu-server/100.conf"].data)
	if cfg.description != "first\nsecond ä" {
		t.Errorf("description %q", cfg.description)
	}
	if err := again.WaitQuorate(contextDone(), "n1"); err == nil {
		t.Error("a node that is off became quorate")
	}
}

func contextDone() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
