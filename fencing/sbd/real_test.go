//go:build fencingreal

package sbd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/fencing/fencingtest"
	"bascule/ha"
)

// These tests need root, loop devices and the sbd tool. They use loop devices on files of their own.

func needReal(t *testing.T, tools ...string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	for _, tool := range append(tools, "losetup") {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
	return string(out)
}

// loop makes an empty disk of 4 MiB in a directory.
func loop(t *testing.T, dir string, more ...string) string {
	t.Helper()
	f, err := os.CreateTemp(dir, "disk")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, 4<<20)); err != nil { // not sparse: nothing is allocated later
		t.Fatal(err)
	}
	dev := strings.TrimSpace(run(t, "losetup", append(more, "-f", "--show", f.Name())...))
	t.Cleanup(func() { run(t, "losetup", "-d", dev) })
	return dev
}

func loops(t *testing.T, n int) (devs []string) {
	for range n {
		devs = append(devs, loop(t, t.TempDir()))
	}
	return devs
}

func dashD(devs []string, args ...string) (out []string) {
	for _, d := range devs {
		out = append(out, "-d", d)
	}
	return append(out, args...)
}

// quick are times with which tests end soon.
var quick = Times{Watchdog: 2 * time.Second, Allocate: time.Second, Loop: time.Second, MsgWait: 4 * time.Second}

func opened(t *testing.T, devs []string, slot string) fencing.PoisonDevice {
	t.Helper()
	d, err := Method.Poison(map[string]string{"disks": strings.Join(devs, ","), "slot": slot, "msgwait": "20s"})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func reads(t *testing.T, d fencing.PoisonDevice, pills, disks int) {
	t.Helper()
	if p, n, err := d.Read(within(t, 10*time.Second)); p != pills || n != disks || err != nil {
		t.Fatalf("reads %d of %d, %v; want %d of %d", p, n, err, pills, disks)
	}
}

func TestRealDiskIsReadTheSame(t *testing.T) {
	needReal(t, "sbd")
	for _, sector := range []string{"512", "4096"} {
		dev := loop(t, t.TempDir(), "-b", sector)
		run(t, "sbd", "-d", dev, "-1", "7", "-2", "1", "-3", "2", "-4", "15", "create")
		run(t, "sbd", "-d", dev, "allocate", "n1")
		run(t, "sbd", "-d", dev, "allocate", "N2")
		s, err := servants{servantName}.once(within(t, 10*time.Second), dev, request{Op: opLook, Name: "n2"})
		want := Times{Watchdog: 7 * time.Second, Allocate: time.Second, Loop: 2 * time.Second, MsgWait: 15 * time.Second}
		if err != nil || s.Slot != 1 || s.Name != "N2" || s.Header.Times != want || fmt.Sprint(s.Header.SectorSize) != sector || s.Header.Slots != slotCount {
			t.Errorf("%+v, %v", s, err)
		}
		if dump := run(t, "sbd", "-d", dev, "dump"); !strings.Contains(dump, s.Header.ID()) {
			t.Errorf("UUID %s is not in %s", s.Header.ID(), dump)
		}
		if err := Create(within(t, 10*time.Second), []string{dev}, quick); !errors.Is(err, fencing.ErrRefused) {
			t.Errorf("a disk in use was made again: %v", err)
		}
	}
}

func TestRealToolReadsOurDisk(t *testing.T) {
	needReal(t, "sbd")
	devs := loops(t, 2)
	ours, theirs := devs[0], devs[1]
	if err := Create(within(t, 10*time.Second), devs[:1], quick); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"n1", "n2"} {
		if err := Allocate(within(t, 10*time.Second), devs[:1], n); err != nil {
			t.Fatal(err)
		}
	}
	dump := strings.Join(strings.Fields(run(t, "sbd", "-d", ours, "dump")), " ")
	for _, want := range []string{"version : 2.1", "slots : 255", "size : 512", "(watchdog) : 2", "(allocate) : 1", "(loop) : 1", "(msgwait) : 4"} {
		if !strings.Contains(dump, want) {
			t.Errorf("%q is not in %s", want, dump)
		}
	}
	d := opened(t, devs[:1], "n2")
	reads(t, d, 0, 1)
	if err := d.Poison(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	me, _ := os.Hostname()
	if list := run(t, "sbd", "-d", ours, "list"); list != "0\tn1\tclear\t\n1\tn2\toff\t"+me+"\n" {
		t.Errorf("%q", list)
	}
	reads(t, d, 1, 1)
	run(t, "sbd", "-d", theirs, "-1", "2", "-2", "1", "-3", "1", "-4", "4", "create")
	run(t, "sbd", "-d", theirs, "allocate", "n1")
	run(t, "sbd", "-d", theirs, "allocate", "n2")
	run(t, "sbd", "-d", theirs, "message", "n2", "off")
	if a, b := area(t, ours), area(t, theirs); !bytes.Equal(a, b) {
		t.Error("the two tools' disks differ in more than the UUID")
	}
	for command, pills := range map[string]int{"clear": 0, "reset": 1, "test": 0, "off": 1, "exit": 0} {
		run(t, "sbd", "-d", ours, "message", "n2", command)
		reads(t, d, pills, 1)
	}
}

// area is everything that SBD has on a disk, without the UUID.
func area(t *testing.T, dev string) []byte {
	d, err := openBlockDevice(dev, false)
	if err != nil {
		t.Fatal(err)
	}
	defer closed(d)
	b, err := d.read(0, 1+2*slotCount)
	if err != nil {
		t.Fatal(err)
	}
	clear(b[33:headerLen])
	return b
}

// quickDisks writes quick times and a slot n1 on disks.
func quickDisks(t *testing.T, devs []string) []string {
	t.Helper()
	if err := Create(within(t, 10*time.Second), devs, quick); err != nil {
		t.Fatal(err)
	}
	if err := Allocate(within(t, 10*time.Second), devs, "n1"); err != nil {
		t.Fatal(err)
	}
	return devs
}

func TestRealLatency(t *testing.T) {
	needReal(t)
	for _, n := range []int{1, 3} {
		devs := quickDisks(t, loops(t, n))
		spec := fencing.Spec{Name: "d", Node: "n1", Method: "sbd", Settings: map[string]string{"disks": strings.Join(devs, ","), "slot": "n1", "msgwait": "4s"}}
		e, err := fencing.NewExecutor([]fencing.Spec{spec}, fencing.Methods{Method}, fencingtest.Child().Switch, fencing.BootNow)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range []ha.DeviceAction{ha.DevicePoison, ha.DeviceRead} {
			var took []time.Duration
			for range 40 {
				r := e.Do(context.Background(), ha.DeviceCommand{Device: "d", Node: "n1", Action: a, Timeout: 5 * time.Second, Deadline: fencing.BootNow().Add(time.Minute)})
				if r.Problem != "" || a == ha.DeviceRead && r.Pills != n {
					t.Fatalf("%+v", r)
				}
				took = append(took, r.Answered.Sub(r.Asked))
			}
			slices.Sort(took)
			t.Logf("%d disks, %s through the executor: median %v, worst %v of %d", n, a, took[20].Round(time.Millisecond/10), took[39].Round(time.Millisecond/10), len(took))
			if took[20] > time.Second {
				t.Errorf("too slow")
			}
		}
	}
}
