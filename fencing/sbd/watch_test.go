package sbd

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"bascule/ha"
)

// eyes plays the shell of a Watcher on disks in memory, with a clock that the test moves.
type eyes struct {
	t     *testing.T
	w     *Watcher
	disks []*memDisk
	gone  []bool
	now   ha.Instant
	log   []string
}

func newEyes(t *testing.T, fresh bool, disks ...*memDisk) *eyes {
	w, err := NewWatcher("node2", len(disks), fresh)
	if err != nil {
		t.Fatal(err)
	}
	return &eyes{t: t, w: w, disks: disks, gone: make([]bool, len(disks)), now: 1000}
}

// step asks one disk once, if it is due.
func (e *eyes) step(disk int) bool {
	a := e.w.Next(disk)
	if a.At > e.now {
		return false
	}
	var s Sight
	err := errors.New("torn off")
	if !e.gone[disk] {
		s, err = perform(e.disks[disk], a.what)
	}
	for _, n := range e.w.Saw(disk, e.now, s, err) {
		e.log = append(e.log, fmt.Sprintf("%d %s", n.Disk, n.Text))
	}
	return true
}

// run lets time pass, looking at all disks when they are due.
func (e *eyes) run(d time.Duration) Verdict {
	for end := e.now.Add(d); ; {
		for i := range e.disks {
			for e.step(i) {
			}
		}
		if e.now >= end {
			return e.w.Verdict(e.now)
		}
		e.now = e.now.Add(100 * time.Millisecond)
	}
}

func (e *eyes) said(text string) bool { return strings.Contains(strings.Join(e.log, "\n"), text) }

func TestWatchSeesAMessage(t *testing.T) {
	for _, c := range []Command{Off, Reset, Crashdump} {
		e := newEyes(t, true, made(t, 512, 1, "node2"), made(t, 512, 2, "node3", "node2"), made(t, 512, 3, "node2"))
		v := e.run(3 * time.Second)
		if v.Poisoned != nil || !v.Ready || v.Seen != 3 || v.Until < e.now.Add(3*time.Second) {
			t.Fatalf("healthy: %+v at %v", v, e.now)
		}
		put(e.disks[1], 1, Mailbox{c, "node1"}) // on one disk: obeyed
		if v = e.run(time.Second); v.Poisoned == nil || *v.Poisoned != (Mailbox{c, "node1"}) {
			t.Fatalf("%v: %+v", c, v)
		}
		put(e.disks[1], 1, Mailbox{})
		if v = e.run(5 * time.Second); v.Poisoned == nil {
			t.Fatal("it forgot the message")
		}
	}
}

func TestWatchTakesASlot(t *testing.T) {
	d := made(t, 512, 1, "node3")
	e := newEyes(t, true, d)
	if v := e.run(0); v.Ready || !e.said("took slot 1") {
		t.Fatalf("%+v %v", v, e.log)
	}
	if err := d.write(slotSector(1), encodeSlot("node7", 512)); err != nil { // it took the same one a moment later
		t.Fatal(err)
	}
	if v := e.run(1900 * time.Millisecond); v.Ready {
		t.Fatalf("ready before the allocate time: %+v", v)
	}
	if v := e.run(5 * time.Second); !v.Ready || !e.said("took slot 2") {
		t.Fatalf("%+v %v", v, e.log)
	}
	if name, _ := decodeSlot(d.b[slotSector(1)*512:]); name != "node7" {
		t.Errorf("slot 1 is %q's", name)
	}
}

func TestWatchClearsOnlyItsOwnAndOnlyAtBoot(t *testing.T) {
	pill := Mailbox{Off, "node1"}
	disk := func() *memDisk {
		d := made(t, 512, 1, "node3", "node2")
		put(d, 0, pill)
		put(d, 1, pill)
		return d
	}
	boot := newEyes(t, true, disk())
	if v := boot.run(2 * time.Second); v.Poisoned != nil || !v.Ready || !boot.said(`off from "node1"`) {
		t.Errorf("boot: %+v %v", v, boot.log)
	}
	if d := boot.disks[0]; decodeMailbox(d.b[mailboxSector(1)*512:]) != (Mailbox{}) || decodeMailbox(d.b[mailboxSector(0)*512:]) != pill {
		t.Error("want its own cleared and the other one's left")
	}
	restart := newEyes(t, false, disk())
	if v := restart.run(2 * time.Second); v.Poisoned == nil {
		t.Errorf("a message that came while nobody watched: %+v %v", v, restart.log)
	}
}

// A message that comes between the first look of a boot and the clearing is for this boot.
func TestWatchDoesNotClearWhatCameMeanwhile(t *testing.T) {
	d := made(t, 512, 1, "node2")
	put(d, 0, Mailbox{Off, "old"})
	e := newEyes(t, true, d)
	e.step(0)
	put(d, 0, Mailbox{Off, "new"})
	e.step(0)
	if v := e.w.Verdict(e.now); v.Poisoned == nil || v.Poisoned.From != "new" {
		t.Errorf("%+v %v", v, e.log)
	}
}

func TestWatchOtherMessages(t *testing.T) {
	d := made(t, 512, 1, "node2")
	e := newEyes(t, true, d)
	e.run(time.Second)
	box := func() Mailbox { return decodeMailbox(d.b[mailboxSector(0)*512:]) }
	for _, c := range []Command{Test, 77} {
		put(d, 0, Mailbox{c, "node1"})
		if v := e.run(2 * time.Second); v.Poisoned != nil || box() != (Mailbox{}) || v.Seen != 1 {
			t.Errorf("%v: %+v, mailbox %+v", c, v, box())
		}
	}
	put(d, 0, Mailbox{Exit, "node1"})
	before := len(e.log)
	if v := e.run(5 * time.Second); v.Poisoned != nil || v.Seen != 1 || len(e.log) != before+1 || !e.said("exit") {
		t.Errorf("exit must not end the watch, and is said once: %+v %v", v, e.log[before:])
	}
}

func TestWatchLosesDisks(t *testing.T) {
	for _, c := range []struct {
		disks, lost int
		lives       bool
	}{{1, 1, false}, {2, 1, true}, {2, 2, false}, {3, 1, true}, {3, 2, false}, {3, 3, false}} {
		var disks []*memDisk
		for i := range c.disks {
			disks = append(disks, made(t, 512, byte(i+1), "node2"))
		}
		e := newEyes(t, true, disks...)
		e.run(3 * time.Second)
		for i := range c.lost {
			e.gone[i] = true
		}
		lost := e.now
		v := e.run(20 * time.Second)
		if lives := v.Until > e.now; lives != c.lives || v.Seen != c.disks-c.lost {
			t.Errorf("%+v: %+v at %v", c, v, e.now)
		}
		if !c.lives && v.Until > lost.Add(5*time.Second) {
			t.Errorf("%+v: may live until %v, the disks went at %v", c, v.Until, lost)
		}
		if !e.said("torn off") || v.Problems[0] == "" {
			t.Errorf("%+v: %v", c, e.log)
		}
		clear(e.gone)
		if v = e.run(2 * time.Second); v.Seen != c.disks || v.Until < e.now || v.Problems[0] != "" {
			t.Errorf("%+v: back: %+v", c, v)
		}
	}
}

func TestWatchDisksThatDoNotCount(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(d *memDisk)
		want  string
	}{
		"other times":    {func(d *memDisk) { d.b[31] = 20 }, "differ"},
		"the same disk":  {func(d *memDisk) { d.b[33] = 1 }, "same disk"},
		"no header":      {func(d *memDisk) { clear(d.b[:512]) }, "no SBD disk"},
		"made again":     {func(d *memDisk) { d.b[33] = 9 }, "header has changed"},
		"slot of others": {func(d *memDisk) { copy(d.b[slotSector(0)*512:], encodeSlot("node7", 512)) }, `belongs to "node7"`},
	} {
		e := newEyes(t, true, made(t, 512, 1, "node2"), made(t, 512, 2, "node2"), made(t, 512, 3, "node2"))
		e.run(2 * time.Second)
		c.spoil(e.disks[1])
		v := e.run(10 * time.Second)
		remade := name == "made again" || name == "slot of others" // noticed, and then watched as it is now
		if !e.said(c.want) || v.Seen == 3 != remade || v.Until < e.now || v.Poisoned != nil {
			t.Errorf("%s: %+v %v, want %q", name, v, e.log, c.want)
		}
	}
	bad := made(t, 512, 1, "node2")
	bad.b[31] = 9 // msgwait below twice the watchdog time
	e := newEyes(t, true, bad)
	if v := e.run(3 * time.Second); v.Ready || !e.said("shorter than twice") {
		t.Errorf("times that prove nothing: %+v %v", v, e.log)
	}
}

func TestWatcherRefusesNonsense(t *testing.T) {
	for _, n := range []int{0, 4, -1} {
		if _, err := NewWatcher("n", n, true); err == nil {
			t.Errorf("%d disks", n)
		}
	}
	if _, err := NewWatcher("", 1, true); err == nil {
		t.Error("no name")
	}
}

// Only the first look of a boot clears: what lies on a disk that comes back came in between.
func TestWatchObeysWhatCameWhileADiskWasAway(t *testing.T) {
	e := newEyes(t, true, made(t, 512, 1, "node2"))
	e.run(2 * time.Second)
	e.gone[0] = true
	e.run(2 * time.Second)
	put(e.disks[0], 0, Mailbox{Off, "node1"})
	e.gone[0] = false
	if v := e.run(2 * time.Second); v.Poisoned == nil {
		t.Errorf("%+v %v", v, e.log)
	}
}
