package sbd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"bascule/fencing"
	"bascule/fencing/fencingtest"
	"bascule/ha/waittest"
)

// mine lists the servants of a disk, in any state but dead.
func mine(t *testing.T, path string, watching bool) (pids []int) {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); strings.Contains(string(stat), "("+processName(path, watching)+") ") {
			pids = append(pids, pid)
		}
	}
	return pids
}

// A servant is named after its disk, has nothing of its parent's environment, and is gone when its call is over.
func TestServantWhileItHangs(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Setenv("BASCULE_TEST_TOKEN", "swordfish")
	b := newBed(t, 1)
	b.Break(0, fencingtest.Hangs)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, _, err := b.device().Read(ctx)
		done <- err
	}()
	waittest.Until(t, waittest.Hang, "a servant", func() bool { return len(mine(t, b.paths[0], false)) == 1 })
	pid := mine(t, b.paths[0], false)[0]
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil || bytes.Contains(environ, []byte("swordfish")) || len(environ) == 0 {
		t.Errorf("environment %q, %v", environ, err)
	}
	if cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err != nil || string(cmdline) != testServant+"\x00"+b.paths[0]+"\x00once\x00" {
		t.Errorf("command line %q, %v", cmdline, err)
	}
	cancel()
	if err := <-done; !errors.Is(err, fencing.ErrTimeout) {
		t.Error(err)
	}
	waittest.Until(t, waittest.Hang, "its end", func() bool { return len(mine(t, b.paths[0], false)) == 0 })
}

func TestServantsAreGoneAfterEachCall(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	b := newBed(t, 3)
	b.Break(1, fencingtest.Hangs)
	d := b.device()
	if err := d.Poison(within(t, 40*time.Second)); err != nil {
		t.Fatal(err)
	}
	if pills, _, err := d.Read(within(t, 40*time.Second)); pills != 2 || err != nil {
		t.Fatal(pills, err)
	}
	for _, p := range b.paths {
		waittest.Until(t, waittest.Hang, "the end of its servants", func() bool { return len(mine(t, p, false)) == 0 })
	}
}

func TestServantServes(t *testing.T) {
	d := made(t, minSector, 1, "n1")
	opened := 0
	open := func(path string, exclusive bool) (sectors, error) {
		if opened++; path != "/dev/x" || exclusive {
			t.Errorf("opens %q exclusive %v", path, exclusive)
		}
		if opened == 1 {
			return nil, ioError(os.ErrDeadlineExceeded)
		}
		return d, nil
	}
	in := `{"Op":"look","Name":"n1"}` + "\n" + `{"Op":"message","Name":"n1","Mailbox":{"Command":3,"From":"vm"}}` + "\n" +
		`{"Op":"again"}` + "\n" + `{"Op":"message","Name":"n9"}` + "\n" + `{"Op":"dance"}` + "\n"
	var out bytes.Buffer
	if code := serve([]string{"/dev/x", stays}, strings.NewReader(in), &out, open); code != 0 {
		t.Error(code)
	}
	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	if len(lines) != 5 {
		t.Fatalf("%s", out.Bytes())
	}
	for i, want := range []error{fencing.ErrUnreachable, nil, nil, errNoSlot, fencing.ErrHelper} {
		s, err := decodeAnswer(lines[i])
		if !errors.Is(err, want) {
			t.Errorf("answer %d: %v, want %v", i, err, want)
		}
		if i == 2 && s.Mailbox != (Mailbox{Off, "vm"}) {
			t.Errorf("%+v", s)
		}
	}
	if opened != 3 {
		t.Errorf("opened %d times, want anew after each error", opened)
	}
	if code := serve(nil, strings.NewReader(""), &out, open); code != 2 {
		t.Errorf("without a disk: %d", code)
	}
	if code := serve([]string{"/dev/x", once}, strings.NewReader("rubbish"), &out, open); code != 2 {
		t.Errorf("rubbish: %d", code)
	}
}

func TestHangsReadsTheState(t *testing.T) {
	name := processName("/dev/disk/by-id/x", false)
	for line, want := range map[string]bool{
		"17 (" + name + ") D 1 17": true, "17 (" + name + ") S 1 17": false, "17 (" + name + "x) D 1": false, "17 (other) D 1": false, "": false, "17 (": false,
		"17 (" + processName("/dev/disk/by-id/x", true) + ") D 1": false, "17 (" + processName("/dev/disk/by-id/y", false) + ") D 1": false,
	} {
		if hangs([]byte(line), name) != want {
			t.Errorf("%q: want %v", line, want)
		}
	}
	if len(name) > 15 || len(processName("/dev/x", true)) > 15 {
		t.Errorf("%q is cut by the kernel", name)
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	for line, want := range map[string]error{
		"": fencing.ErrHelper, "{": fencing.ErrHelper, `{"Kind":"new"}`: fencing.ErrHelper, `{"NoSlot":true}`: errNoSlot,
		`{"Kind":"refused","Text":"the device refused: it"}`: fencing.ErrRefused,
	} {
		if _, err := decodeAnswer([]byte(line)); !errors.Is(err, want) || strings.Count(err.Error(), "refused") > 1 {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestCreateAndAllocate(t *testing.T) {
	b := newBed(t, 1)
	empty := b.paths[0] + ".new"
	if err := os.WriteFile(empty, newMemDisk(minSector).b, 0o600); err != nil {
		t.Fatal(err)
	}
	s := servants{testServant}
	times := Times{Watchdog: 3 * time.Second, Allocate: time.Second, Loop: time.Second, MsgWait: 7 * time.Second}
	ctx := within(t, 40*time.Second)
	if err := s.create(ctx, []string{empty, b.paths[0]}, times); !errors.Is(err, fencing.ErrRefused) || !strings.Contains(err.Error(), b.paths[0]) {
		t.Errorf("the second disk is in use: %v", err)
	}
	if err := s.create(ctx, []string{empty}, Times{}); !errors.Is(err, fencing.ErrSettings) {
		t.Errorf("no times: %v", err)
	}
	for range 2 { // once and for all
		if err := s.allocate(ctx, []string{empty}, "node1"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.allocate(ctx, []string{empty}, "node 1"); !errors.Is(err, fencing.ErrSettings) {
		t.Errorf("a bad name: %v", err)
	}
	found, err := s.once(ctx, empty, request{Op: opLook, Name: "node1"})
	if err != nil || found.Slot != 0 || found.Header.Times != times || found.Header.UUID[6]>>4 != 4 {
		t.Errorf("%+v, %v", found, err)
	}
}
