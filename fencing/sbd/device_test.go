package sbd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/fencing/fencingtest"
	"bascule/ha"
	"bascule/ha/waittest"
)

func TestConforms(t *testing.T) {
	t.Parallel()
	fencingtest.RunPoison(t, fencingtest.Harness[fencingtest.Slots]{
		Method: fileMethod(),
		New: func(t *testing.T) (fencingtest.Slots, map[string]string) {
			b := newBed(t, fencingtest.PoisonDisks)
			return b, b.settings()
		},
		Switch: fencingtest.Child().Switch,
	}, 10*time.Second)
}

func TestOneAndTwoDisks(t *testing.T) {
	for _, c := range []struct {
		disks, broken, pills int
		fails                bool
	}{{1, 0, 1, false}, {2, 0, 2, false}, {2, 1, 1, true}} { // half is no majority
		b := newBed(t, c.disks)
		for i := range c.broken {
			b.Break(i, fencingtest.Unreachable)
		}
		d := b.device()
		if err := d.Poison(within(t, 40*time.Second)); (err != nil) != c.fails {
			t.Errorf("%+v: poison: %v", c, err)
		}
		if pills, disks, err := d.Read(within(t, 40*time.Second)); pills != c.pills || disks != c.disks || err != nil {
			t.Errorf("%+v: read %d of %d, %v", c, pills, disks, err)
		}
	}
}

// What other tools write counts if it ends the node, and only then.
func TestReadCountsOnlyWhatEndsTheNode(t *testing.T) {
	b := newBed(t, 1)
	for c, want := range map[Command]int{Clear: 0, Test: 0, Reset: 1, Off: 1, Exit: 0, Crashdump: 0, 6: 0, 255: 0} {
		b.put(0, mailboxSector(1), Mailbox{Command: c, From: "x"}.encode(minSector))
		if pills, disks, err := b.device().Read(within(t, 40*time.Second)); pills != want || disks != 1 || err != nil {
			t.Errorf("%v: %d of %d, %v", c, pills, disks, err)
		}
	}
}

func TestPoisonWritesOffAndWhoItWas(t *testing.T) {
	b := newBed(t, 1)
	b.put(0, mailboxSector(1), Mailbox{Command: Exit, From: "somebody"}.encode(minSector)) // overwritten, or it would stop the watch
	if err := b.device().Poison(within(t, 40*time.Second)); err != nil {
		t.Fatal(err)
	}
	me, _ := os.Hostname()
	if m := b.mailbox(0, 1); m != (Mailbox{Off, me}) {
		t.Errorf("%+v", m)
	}
}

func TestDisksThatContradict(t *testing.T) {
	times := func(change func(*Times)) func(b *bed) {
		return func(b *bed) {
			h := Header{Minor: minor, Slots: slotCount, SectorSize: minSector, Times: DefaultTimes(), UUID: [16]byte{9}}
			change(&h.Times)
			b.put(1, 0, h.encode())
		}
	}
	for name, c := range map[string]struct {
		do   func(*bed)
		want string
	}{
		"disk orders more":           {times(func(t *Times) { t.MsgWait = 11 * time.Second }), "write 11s or more"},
		"watchdog too long":          {times(func(t *Times) { t.Watchdog = 6 * time.Second }), "at least twice that"},
		"disk waits less than twice": {times(func(t *Times) { t.MsgWait = 9 * time.Second }), "at least twice that"},
		"the same disk twice": {func(b *bed) {
			b.put(1, 0, Header{Minor: minor, Slots: slotCount, SectorSize: minSector, Times: DefaultTimes(), UUID: [16]byte{1}}.encode())
		}, "are the same disk (UUID 01000000-0000-0000-0000-000000000000)"},
	} {
		b := newBed(t, 3)
		c.do(b)
		_, _, err := b.device().Read(within(t, 40*time.Second))
		if !errors.Is(err, fencing.ErrSettings) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: read: %v", name, err)
		}
		if err := b.device().Poison(within(t, 40*time.Second)); !errors.Is(err, fencing.ErrSettings) {
			t.Errorf("%s: poison: %v", name, err)
		}
	}
	b := newBed(t, 1)
	short := b.device(func(raw map[string]string) { raw["msgwait"] = "9500ms" })
	if _, _, err := short.Read(within(t, 40*time.Second)); !errors.Is(err, fencing.ErrSettings) {
		t.Errorf("a setting below the disk's own: %v", err)
	}
	long := b.device(func(raw map[string]string) { raw["msgwait"] = "1m" })
	if _, _, err := long.Read(within(t, 40*time.Second)); err != nil || long.MsgWait() != time.Minute {
		t.Errorf("a setting above the disk's own: %v", err)
	}
}

func TestWrongSlotSaysWhatToDo(t *testing.T) {
	b := newBed(t, 3)
	d := b.device(func(raw map[string]string) { raw["slot"] = "node9" })
	for _, err := range []error{func() error { _, _, err := d.Read(within(t, 40*time.Second)); return err }(), d.Poison(within(t, 40*time.Second))} {
		if !errors.Is(err, fencing.ErrSettings) || !strings.Contains(err.Error(), `no slot called "node9"`) {
			t.Errorf("%v", err)
		}
	}
	if b.Strangers() || b.Pills() != [3]bool{} {
		t.Error("something was written")
	}
}

func TestFailureNamesEveryDisk(t *testing.T) {
	b := newBed(t, 3)
	b.Break(0, fencingtest.Unreachable)
	b.Break(1, fencingtest.Hangs)
	b.Break(2, fencingtest.Rubbish)
	limit := time.Second
	waittest.BestOf(t, func() string { // the others must have answered by then
		_, _, err := b.device().Read(within(t, limit))
		limit *= 2
		if !errors.Is(err, fencing.ErrRubbish) {
			return fmt.Sprintf("%v: want what the operator can do most about", err)
		}
		for _, want := range append(b.paths, "0 of 3 disks read", "it hangs", "no SBD disk", "input/output error") {
			if !strings.Contains(err.Error(), want) {
				return fmt.Sprintf("%q is not in: %v", want, err)
			}
		}
		return ""
	})
}

func TestServantThatDiesInWrite(t *testing.T) {
	b := newBed(t, 1)
	b.Break(0, diesInWrite)
	if err := b.device().Poison(within(t, 40*time.Second)); !errors.Is(err, fencing.ErrHelper) {
		t.Errorf("%v", err)
	}
	if pills, _, err := b.device().Read(within(t, 40*time.Second)); pills != 0 || err != nil {
		t.Errorf("read %d, %v", pills, err)
	}
}

// A disk that is slow is waited for if it can make the difference.
func TestSlowDiskThatMatters(t *testing.T) {
	limit := 4 * straggle
	waittest.BestOf(t, func() string { // by then it must have answered after its silence
		b := newBed(t, 3)
		if err := b.device().Poison(within(t, 40*time.Second)); err != nil {
			t.Fatal(err)
		}
		b.put(0, mailboxSector(1), Mailbox{}.encode(minSector)) // of the other two, one has the message
		b.Break(2, fencingtest.Hangs)
		began := time.Now()
		time.AfterFunc(2*straggle, func() { b.Break(2, fencingtest.Healthy) })
		pills, disks, err := b.device().Read(within(t, limit))
		limit *= 2
		if took := time.Since(began); pills != 1 || disks != 3 || err != nil || took < 2*straggle {
			return fmt.Sprintf("%d of %d, %v, after %v", pills, disks, err, took)
		}
		return ""
	})
}

// A disk that hangs must not take the device's time: the other two are a majority.
func TestHungDiskCostsLittle(t *testing.T) {
	b := newBed(t, 3)
	b.Break(0, fencingtest.Hangs)
	spec := fencing.Spec{Name: "d", Node: "node2", Method: "sbd-files", Settings: b.settings()}
	e, err := fencing.NewExecutor([]fencing.Spec{spec}, fencing.Methods{fileMethod()}, fencingtest.Child().Switch, fencing.BootNow)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []ha.DeviceAction{ha.DevicePoison, ha.DeviceRead} {
		waittest.BestOf(t, func() string {
			began := time.Now()
			r := e.Do(context.Background(), ha.DeviceCommand{Device: "d", Node: "node2", Action: a, Timeout: 40 * time.Second, Deadline: fencing.BootNow().Add(2 * time.Minute)})
			if took := time.Since(began); r.Problem != "" || took > 5*time.Second {
				return fmt.Sprintf("%s: %v %q", a, took, r.Problem)
			}
			return ""
		})
	}
}

func TestEndsWithItsContext(t *testing.T) {
	b := newBed(t, 1)
	b.Break(0, fencingtest.Hangs)
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(100*time.Millisecond, cancel)
	began := time.Now()
	if _, _, err := b.device().Read(ctx); !errors.Is(err, fencing.ErrTimeout) {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}
