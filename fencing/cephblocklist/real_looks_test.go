//go:build fencingreal

package cephblocklist

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/storage"
)

// looksUntil looks, each time as a daemon that has just started, until the look is as wanted. Each look ends in time.
func (l *lab) looksUntil(place ha.StoragePlace, what string, ok func(ha.StorageLook) bool) ha.StorageLook {
	l.t.Helper()
	began := time.Now()
	for end := began.Add(90 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		at := time.Now()
		got := lookAt(l.t, storage.New(storage.Config{Node: "node1", Etc: l.dir}), place)
		took := time.Since(at)
		if took > 35*time.Second { // a look's 5 s, and what a busy machine needs
			l.t.Errorf("a look took %v", took)
		}
		if ok(got) {
			l.t.Logf("%s: %.1f s later, a look of %.2f s: hung %v, problem %q, notes %q", what, time.Since(began).Seconds(), took.Seconds(), got.Hung, got.Problem, got.Notes)
			return got
		}
		if time.Now().After(end) {
			l.t.Fatalf("not within 90 s: %s; the last look: %+v", what, got)
		}
	}
}

func works(l ha.StorageLook) bool { return l.Problem == "" && !l.Hung && !l.Skipped }

func says(l ha.StorageLook, part string) bool {
	return slices.ContainsFunc(l.Notes, func(n string) bool { return strings.Contains(n, part) })
}

// TestRealCephFillsUp: OSDs that are nearly full, and full: told, and no loss, for what is there can be read.
func TestRealCephFillsUp(t *testing.T) {
	l := newLab(t)
	_, place := l.looker()
	l.images("vms/vm-101-disk-0")
	l.run("/usr/bin/python3", "-I", "-c", `
import rados, rbd, sys
c = rados.Rados(rados_id="admin", conffile=sys.argv[1]); c.connect()
with rbd.Image(c.open_ioctx("vms"), "vm-101-disk-0") as image:
    for i in range(24):
        image.write(b"x" * (1 << 20), i << 22)
`, l.file("ceph.conf"))
	l.looksUntil(place, "room", func(got ha.StorageLook) bool { return works(got) && len(got.Notes) == 0 })
	l.ceph("osd", "set-nearfull-ratio", "0.01")
	l.looksUntil(place, "nearly full", func(got ha.StorageLook) bool {
		return works(got) && says(got, "an OSD is nearly full") && !says(got, "FULL")
	})
	l.ceph("osd", "set-backfillfull-ratio", "0.011")
	l.ceph("osd", "set-full-ratio", "0.012")
	l.looksUntil(place, "full", func(got ha.StorageLook) bool {
		return works(got) && says(got, "an OSD is FULL, nothing can be written")
	})
	l.ceph("osd", "set-full-ratio", "0.95")
	l.ceph("osd", "set-backfillfull-ratio", "0.9")
	l.ceph("osd", "set-nearfull-ratio", "0.85")
	l.looksUntil(place, "room again", func(got ha.StorageLook) bool { return works(got) && len(got.Notes) == 0 })
}

// TestRealCephLosesAnOSD: looks may hang until the cluster has noticed, then all is well: the other copy answers.
func TestRealCephLosesAnOSD(t *testing.T) {
	l := newLab(t)
	_, place := l.looker()
	l.looksUntil(place, "all OSDs there", works)
	_ = l.osds[0].Process.Kill()
	began := time.Now()
	hung := 0
	l.eventually(90*time.Second, "the cluster has noticed", func() bool {
		if lookAt(t, storage.New(storage.Config{Node: "node1", Etc: l.dir}), place).Hung {
			hung++
		}
		return strings.Contains(l.ceph("osd", "tree", "down", "--format", "json"), `"name":"osd.0"`)
	})
	t.Logf("noticed after %.1f s; %d looks hung until then", time.Since(began).Seconds(), hung)
	l.looksUntil(place, "an OSD less", works)
}

// addMonitor starts another monitor beside the first one.
func (l *lab) addMonitor(name string, n int) *exec.Cmd {
	l.t.Helper()
	conf, data := l.file("ceph.conf"), l.file("mon"+name)
	l.ceph("mon", "getmap", "-o", l.file("monmap-"+name))
	l.run("ceph-mon", "-c", conf, "--mkfs", "-i", name, "--monmap", l.file("monmap-"+name), "--keyring", l.file("admin.keyring"), "--mon-data", data)
	return l.daemon(l.monitor(name, n)...)
}

func (l *lab) monitor(name string, n int) []string {
	return []string{"ceph-mon", "-c", l.file("ceph.conf"), "-i", name, "-f", "--mon-data", l.file("mon" + name),
		"--public-addrv", fmt.Sprintf("[v2:%s:%d,v1:%s:%d]", l.ours, 3300+n, l.ours, 6789+n)}
}

// TestRealCephLosesMonitors: one of three, which is told; then a second one, after which nobody answers; then it is back.
func TestRealCephLosesMonitors(t *testing.T) {
	l := newLab(t)
	_, place := l.looker()
	b := l.addMonitor("b", 1)
	l.eventually(60*time.Second, "two monitors", func() bool { return l.quorum() == 2 })
	c := l.addMonitor("c", 2)
	l.eventually(60*time.Second, "three monitors", func() bool { return l.quorum() == 3 })
	l.looksUntil(place, "three monitors", func(got ha.StorageLook) bool { return works(got) && !says(got, "monitors") })

	_ = c.Process.Kill()
	l.looksUntil(place, "one of three is lost", func(got ha.StorageLook) bool { return works(got) && says(got, "Ceph: 2 of 3 monitors answer (a, b)") })
	_ = b.Process.Signal(syscall.SIGSTOP)
	l.looksUntil(place, "two of three are lost", func(got ha.StorageLook) bool { return got.Hung })
	_ = b.Process.Signal(syscall.SIGCONT)
	l.looksUntil(place, "the second is back", func(got ha.StorageLook) bool { return works(got) && says(got, "2 of 3 monitors") })
	l.daemon(l.monitor("c", 2)...)
	l.looksUntil(place, "all are back", func(got ha.StorageLook) bool { return works(got) && !says(got, "monitors") })
}

// quorum is how many monitors take part.
func (l *lab) quorum() int {
	out := l.ceph("quorum_status", "--format", "json")
	_, rest, _ := strings.Cut(out, `"quorum":[`)
	list, _, _ := strings.Cut(rest, "]")
	return len(strings.FieldsFunc(list, func(r rune) bool { return r == ',' }))
}
