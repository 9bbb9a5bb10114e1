//go:build fencingreal

package cephblocklist

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/storage"
)

// openScript opens an image for writing and writes one block, as the VM that is started elsewhere does; it waits for the lock.
const openScript = `
import rados, rbd, sys
c = rados.Rados(rados_id="admin", conffile=sys.argv[1]); c.connect()
with rbd.Image(c.open_ioctx("vms"), sys.argv[2]) as image:
    image.write(b"next", 0)
`

// looker looks at the lab's cluster as a node of Proxmox does, with an account that has what Proxmox's storage.cfg asks for.
func (l *lab) looker() (*storage.Looker, ha.StoragePlace) {
	l.t.Helper()
	l.account("pve", "profile rbd", "profile rbd pool=vms")
	key, err := os.ReadFile(l.file("pve.keyring"))
	if err == nil {
		err = os.MkdirAll(l.file("priv/ceph"), 0o700)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	l.write(filepath.Join("priv", "ceph", "ceph-vm.keyring"), string(key))
	return storage.New(storage.Config{Node: "node1", Etc: l.dir}), ha.StoragePlace{Name: "ceph-vm", Type: "rbd", Pool: "vms", User: "pve"}
}

func lookAt(t *testing.T, l *storage.Looker, p ha.StoragePlace) ha.StorageLook {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return l.Look(ctx, p)
}

// TestRealLeftoversOfADeadNode: a node dies with an image open. What it left is cleared by its own address only, the next owner writes sooner, and
// the old one never again. Without clearing, the next owner waits for the end of the watch, 30 s.
func TestRealLeftoversOfADeadNode(t *testing.T) {
	l := newLab(t)
	looker, place := l.looker()
	for _, cleared := range []bool{true, false} {
		image := map[bool]string{true: "vm-101-disk-0", false: "vm-102-disk-0"}[cleared]
		l.images("vms/" + image)
		w := l.writer(image)
		if err := w.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		began := monotonic()
		if cleared {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			if did, err := looker.Clear(ctx, place, []string{image}, []string{"ip:" + l.ours, "ip:10.231.255.254"}); err != nil || len(did) != 0 {
				t.Fatalf("of another machine: %q, %v", did, err)
			}
			did, err := looker.Clear(ctx, place, []string{image}, l.clients())
			if err != nil || len(did) == 0 || !strings.Contains(did[0], "lock of") {
				t.Fatalf("%q, %v", did, err)
			}
			t.Logf("cleared in %.2f s: %q", monotonic()-began, did)
			if did, err = looker.Clear(ctx, place, []string{image}, l.clients()); err != nil || len(did) != 0 {
				t.Errorf("a second time: %q, %v", did, err)
			}
		}
		if out, err := patiently(t, "/usr/bin/python3", "-I", "-c", openScript, l.file("ceph.conf"), image); err != nil {
			t.Fatalf("the next owner: %v %s", err, out)
		}
		took := monotonic() - began
		t.Logf("cleared %v: the next owner wrote after %.2f s", cleared, took)
		if cleared && took > 20 { // the lock of one whose owner is blocked is taken over slowly, but not as slowly as the watch ends
			t.Errorf("it took %.2f s although all was cleared", took)
		}
		if err := w.cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		if _, how := w.failure(t, 20*time.Second); cleared && how != "ConnectionShutdown" {
			t.Errorf("the old owner ended with %s", how)
		}
	}
}

// TestRealCephIsLookedAt: what a look says of the cluster while it works, is weak, and does not answer.
func TestRealCephIsLookedAt(t *testing.T) {
	l := newLab(t)
	looker, place := l.looker()
	if got := lookAt(t, looker, place); got.Problem != "" || got.Skipped {
		t.Fatalf("%+v", got)
	}
	wrong := place
	wrong.Pool = "nonsense"
	if got := lookAt(t, looker, wrong); got.Problem == "" || got.Hung {
		t.Errorf("a pool that is not there: %+v", got)
	}

	l.ceph("osd", "set", "noout")
	fresh, _ := l.looker()
	got := lookAt(t, fresh, place)
	if !slices.ContainsFunc(got.Notes, func(s string) bool { return strings.Contains(s, "noout") }) {
		t.Errorf("with noout: %+v", got)
	}
	t.Logf("with noout: %q", got.Notes)

	for _, o := range l.osds {
		_ = o.Process.Signal(syscall.SIGSTOP)
	}
	began := time.Now()
	if got := lookAt(t, looker, place); !got.Hung || time.Since(began) > 6*time.Second {
		t.Errorf("with all OSDs stopped: %+v after %v", got, time.Since(began))
	}
	for _, o := range l.osds {
		_ = o.Process.Signal(syscall.SIGCONT)
	}
	l.eventually(30*time.Second, "it is good again", func() bool { return lookAt(t, looker, place).Problem == "" })

	mon := l.daemons[0]
	_ = mon.Process.Signal(syscall.SIGSTOP)
	if got := lookAt(t, looker, place); !got.Hung {
		t.Errorf("with the monitor stopped: %+v", got)
	}
	_ = mon.Process.Signal(syscall.SIGCONT)
	l.eventually(30*time.Second, "it is good again", func() bool { return lookAt(t, looker, place).Problem == "" })
}

// patiently runs a program that may wait for the end of a watch.
func patiently(t *testing.T, argv ...string) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 45*time.Second)
	defer cancel()
	return exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
}
