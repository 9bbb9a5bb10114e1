//go:build fencingreal

package cephblocklist

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/ha"
)

// readBack reads until the access is revoked, as the ladder does.
func readBack(t *testing.T, d *device, clients []string, limit time.Duration) (reads int) {
	t.Helper()
	var got []ha.StorageReading
	var err error
	for end := time.Now().Add(limit); time.Now().Before(end); {
		ctx, cancel := context.WithTimeout(context.Background(), min(3*time.Second, time.Until(end)))
		got, err = d.Read(ctx, clients)
		cancel()
		reads++
		if err == nil && got[0].Access == ha.AccessRevoked && got[1].Access == ha.AccessRevoked {
			return reads
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("not revoked within %v: %v %v", limit, got, err)
	return reads
}

// TestRealWriterIsCutOff: twenty times, a VM's writer at node2 writes, is cut off and proven so, and after Restore the next one writes. In
// every other round the map has just changed; then the monitors wait up to a second before they change it again.
func TestRealWriterIsCutOff(t *testing.T) {
	l := newLab(t)
	const rounds = 20
	var images []string
	for i := range rounds + 1 { // each writer has its own: the lock of one whose owner is blocked is taken over slowly
		images = append(images, fmt.Sprintf("vms/disk%d", i))
	}
	l.images(images...)
	d := l.open()
	fence, fail := map[bool][]float64{}, map[bool][]float64{}
	for round := range rounds {
		quiet := round%2 == 0
		if quiet {
			time.Sleep(700 * time.Millisecond)
		}
		w := l.writer(fmt.Sprintf("disk%d", round))
		began := monotonic()
		if err := d.Revoke(soon(t), l.clients()); err != nil {
			t.Fatal(err)
		}
		accepted := monotonic()
		reads := readBack(t, d, l.clients(), 10*time.Second)
		proven := monotonic()
		at, how := w.failure(t, 10*time.Second)
		if how != "ConnectionShutdown" || w.last >= proven {
			t.Errorf("round %d: %d writes, the last acknowledged %.3f s after the proof, failed with %s", round, w.acks, w.last-proven, how)
		}
		fence[quiet], fail[quiet] = append(fence[quiet], proven-began), append(fail[quiet], at-began)
		t.Logf("round %2d: accepted %.3f, read back %.3f (%d reads), last of %d writes %.3f, failed %.3f", round, accepted-began, proven-began, reads, w.acks, w.last-began, at-began)
		if err := d.Restore(soon(t), l.clients()); err != nil {
			t.Fatal(err)
		}
	}
	l.writer(fmt.Sprintf("disk%d", rounds)) // the access is back
	for _, quiet := range []bool{true, false} {
		t.Logf("quiet %t: Revoke to read-back: %s; to the writer's failure: %s", quiet, spread(fence[quiet]), spread(fail[quiet]))
		if m := median(fence[quiet]); m > 1.5 {
			t.Errorf("quiet %t: a proof takes %.3f s, the goal is 1.5 s", quiet, m)
		}
	}
}

func median(x []float64) float64 {
	x = slices.Clone(x)
	slices.Sort(x)
	return x[len(x)/2]
}

func spread(x []float64) string {
	return fmt.Sprintf("min %.2f, median %.2f, max %.2f s of %d", slices.Min(x), median(x), slices.Max(x), len(x))
}

// TestRealOSDThatIsStopped: an OSD that does not answer, and so may not know the blocklist, keeps the proof back; when it goes on, nothing of what
// waits for it comes through after the proof.
func TestRealOSDThatIsStopped(t *testing.T) {
	l := newLab(t)
	l.images("vms/disk")
	w := l.writer("disk")
	if err := l.osds[0].Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	d := l.open()
	if err := d.Revoke(soon(t), l.clients()); err != nil {
		t.Fatal(err)
	}
	got, err := d.Read(timeLimit(t, 1500*time.Millisecond), l.clients())
	if got[0].Access != ha.AccessUnknown || !errors.Is(err, fencing.ErrTimeout) || !strings.Contains(err.Error(), "placement groups") {
		t.Errorf("while it is stopped: %v %v", got, err)
	}
	t.Logf("%v", err)
	if err := l.osds[0].Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	readBack(t, d, l.clients(), 20*time.Second)
	proven := monotonic()
	if _, how := w.failure(t, 20*time.Second); how != "ConnectionShutdown" || w.last >= proven {
		t.Errorf("%s, last write %.3f s after the proof", how, w.last-proven)
	}
}

// TestRealNodeWithOSDs: node2 runs an OSD and is cut off. Nothing is proven while its OSD counts as up; mark_down ends that at once. Its groups
// then wait until the OSD's leases to answer reads have run out: 16 s from the last one, or what
// osd_pool_default_read_lease_ratio makes of it.
func TestRealNodeWithOSDs(t *testing.T) { nodeWithOSDs(t) }
func TestRealNodeWithOSDsShortLease(t *testing.T) {
	nodeWithOSDs(t, "osd pool default read lease ratio = 0.1")
}

func nodeWithOSDs(t *testing.T, options ...string) {
	l := newLab(t, options...)
	l.images("vms/disk")
	l.account("marker", rightsDown, osdRights())
	w := l.writer("disk")
	l.run("ip", "-n", l.ns, "link", "set", "eth0", "down")
	d := l.open()
	if err := d.Revoke(soon(t), l.clients()); err != nil {
		t.Fatal(err)
	}
	got, err := d.Read(timeLimit(t, 1500*time.Millisecond), l.clients())
	if got[0].Access != ha.AccessUnknown || !errors.Is(err, fencing.ErrTimeout) || !strings.Contains(err.Error(), "mark_down") {
		t.Errorf("its OSD is silent and counts as up: %v %v", got, err)
	}
	d = l.open("mark_down", "true", "host", "node2", "client", "marker", "keyring", l.file("marker.keyring"))
	began := monotonic()
	if err := d.Revoke(soon(t), l.clients()); err != nil {
		t.Fatal(err)
	}
	accepted := monotonic()
	reads := readBack(t, d, l.clients(), 25*time.Second)
	proven := monotonic()
	t.Logf("%v: accepted %.2f, proof %.2f s after Revoke with mark_down began (%d reads)", options, accepted-began, proven-began, reads)
	// Not by what the writer hears: with its network the answer to a write from before the cut may come back, after the proof.
	before := l.written("disk")
	l.run("ip", "-n", l.ns, "link", "set", "eth0", "up")
	_, how := w.failure(t, 30*time.Second)
	t.Logf("last acknowledgement %.3f s after the proof, of a write from before", w.last-proven)
	if after := l.written("disk"); how != "ConnectionShutdown" || after != before || before == "0" {
		t.Errorf("%s; write %s was on the disk after the proof, %s when the writer had failed", how, before, after)
	}
}

// TestRealRights: the documented rights are enough and what is missing is said while the node lives; a reading changes nothing; names of
// objects are spread as Ceph spreads them; the child process's way works; the key shows nowhere.
func TestRealRights(t *testing.T) {
	l := newLab(t)
	l.images("vms/disk")
	l.run("rbd", "-c", l.file("ceph.conf"), "namespace", "create", "vms/blue")
	l.run("rbd", "-c", l.file("ceph.conf"), "create", "vms/blue/disk", "--size", "8M")
	l.run("rbd", "-c", l.file("ceph.conf"), "snap", "create", "vms/disk@base")
	l.run("rbd", "-c", l.file("ceph.conf"), "clone", "vms/disk@base", "data/clone", "--rbd-default-clone-format", "2")
	l.account("marker", rightsDown, osdRights())
	l.account("reader", "allow r", osdRights())
	l.account("blind", rights, "")
	l.account("half", rights, poolRights("vms"))
	for _, c := range []struct {
		account string
		more    []string
		err     error
		text    string
	}{
		{"bascule", nil, nil, ""},
		{"marker", []string{"mark_down", "true", "host", "node2"}, nil, ""},
		{"bascule", []string{"mark_down", "true", "host", "node2"}, fencing.ErrRights, "mark OSDs down"},
		{"marker", []string{"mark_down", "true", "host", "node1"}, fencing.ErrWrongMachine, "osd.1"},
		{"marker", []string{"mark_down", "true", "host", "nodeX"}, fencing.ErrSettings, "no host"},
		{"reader", nil, fencing.ErrRights, "change the blocklist"},
		{"blind", nil, fencing.ErrRights, "placement groups of pool vms"},
		{"half", nil, fencing.ErrRights, "placement groups of pool data"},
		{"bascule", []string{"pools", "vms,nopool"}, fencing.ErrSettings, "nopool"},
		{"bascule", []string{"monitors", l.ours + ":1"}, fencing.ErrUnreachable, "no monitor"},
	} {
		before := l.epoch()
		d := l.open(append([]string{"client", c.account, "keyring", l.file(c.account + ".keyring")}, c.more...)...)
		got, err := d.Read(timeLimit(t, 3*time.Second), l.clients())
		if c.err == nil && (err != nil || got[0].Access != ha.AccessOpen) || c.err != nil && (!errors.Is(err, c.err) || !strings.Contains(err.Error(), c.text)) {
			t.Errorf("%s %v: %v %v; want %v %q", c.account, c.more, got, err, c.err, c.text)
		}
		if after := l.epoch(); after != before {
			t.Errorf("%s %v: a reading took the map from epoch %d to %d", c.account, c.more, before, after)
		}
	}
	for _, account := range []string{"reader", "blind", "half"} { // the command that hactl doctor shows mends each
		own := l.settings("client", account, "keyring", l.file(account+".keyring"))
		grant, err := Grant(own, nil)
		if err != nil {
			t.Fatal(err)
		}
		l.run("/bin/sh", "-c", strings.Replace(grant, "ceph ", "ceph -c "+l.file("ceph.conf")+" ", 1))
		if got, err := l.open("client", account, "keyring", l.file(account+".keyring")).Read(timeLimit(t, 10*time.Second), l.clients()); err != nil || got[0].Access != ha.AccessOpen {
			t.Errorf("%s after %s: %v %v", account, grant, got, err)
		}
	}
	wrong := l.secret()[:24] + "AAAAAAAA" + l.secret()[32:] // behind type, time and length
	l.write("wrong.keyring", "[client.bascule]\n\tkey = "+wrong+"\n")
	if _, err := l.open("keyring", l.file("wrong.keyring")).Read(soon(t), l.clients()); !errors.Is(err, fencing.ErrAuth) || strings.Contains(err.Error(), wrong) {
		t.Errorf("a wrong key: %v", err)
	}
	l.hashing()
	l.throughTheChild()
}

func (l *lab) epoch() int64 {
	var m osdMap
	if err := json.Unmarshal([]byte(l.ceph("osd", "dump", "--format", "json")), &m); err != nil {
		l.t.Fatal(err)
	}
	return m.Epoch
}

func (l *lab) secret() string {
	b, err := os.ReadFile(l.file("bascule.keyring"))
	if err != nil {
		l.t.Fatal(err)
	}
	keys, ok := keysIn(b, "bascule")
	if !ok {
		l.t.Fatal("no key")
	}
	return keys[0]
}

// hashing compares our placement with the cluster's own.
func (l *lab) hashing() {
	for i, name := range []string{"", "a", "rbd", "bascule.0", "bascule.42", "twelve-bytes", "thirteen-byte", "a-name-of-more-than-24-byt"}[1:] {
		pool, pgs := "data", 24
		if i%2 == 0 {
			pool, pgs = "vms", 32
		}
		var at struct {
			RawPG string `json:"raw_pgid"`
			PG    string `json:"pgid"`
		}
		text := l.ceph("osd", "map", pool, name, "--format", "json")
		if err := json.Unmarshal([]byte(text), &at); err != nil {
			l.t.Fatal(err)
		}
		_, raw, _ := strings.Cut(at.RawPG, ".")
		_, pg, _ := strings.Cut(at.PG, ".")
		if got := fmt.Sprintf("%x", group(name, pgs)); got != pg || fmt.Sprintf("%x", hash(name)) != raw {
			l.t.Errorf("%s/%s: hash %x, group %s; Ceph says %s", pool, name, hash(name), got, text)
		}
	}
}

// throughTheChild revokes as the daemon does, and looks at all processes meanwhile.
func (l *lab) throughTheChild() {
	t := l.t
	spec := fencing.Spec{Name: "ceph", Node: "node2", Method: Method.Name, Settings: l.settings()}
	e, err := fencing.NewExecutor([]fencing.Spec{spec}, fencing.Methods{Method}, child(realMark+"=1").Switch, fencing.BootNow)
	if err != nil {
		t.Fatal(err)
	}
	done, bridges := make(chan struct{}), make(chan int)
	go watchProcesses(l.secret(), done, bridges, t)
	cmd := ha.DeviceCommand{Device: "ceph", Node: "node2", Incarnation: "boot", Action: ha.DeviceRevoke, Clients: l.clients(),
		Deadline: fencing.BootNow().Add(20 * time.Second), Timeout: 3 * time.Second}
	if r := e.Do(context.Background(), cmd); r.Problem != "" {
		t.Error(r.Problem)
	}
	cmd.Action, cmd.Deadline = ha.DeviceRead, 0
	r := e.Do(context.Background(), cmd)
	if r.Problem != "" || len(r.Storages) != 2 || r.Storages[0].Access != ha.AccessRevoked {
		t.Errorf("%+v", r)
	}
	close(done)
	if n := <-bridges; n == 0 {
		t.Error("no bridge was seen")
	}
	t.Logf("blocklist: %s", strings.TrimSpace(l.ceph("osd", "blocklist", "ls")))
}

// watchProcesses looks for a secret in every process's command line and environment.
func watchProcesses(secret string, done chan struct{}, bridges chan int, t *testing.T) {
	seen := 0
	for {
		select {
		case <-done:
			bridges <- seen
			return
		default:
		}
		files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, f := range files {
			line, _ := os.ReadFile(f)
			env, _ := os.ReadFile(filepath.Join(filepath.Dir(f), "environ"))
			if strings.Contains(string(line), "librados") {
				seen++
			}
			if strings.Contains(string(line)+string(env), secret) {
				t.Errorf("the key shows in %s", f)
			}
		}
	}
}
