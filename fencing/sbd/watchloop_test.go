package sbd

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"bascule/fencing"
	"bascule/fencing/fencingtest"
	"bascule/ha/waittest"
)

// watchFor runs a watch of the bed's node; the last verdict is at hand. stop ends it and waits.
func watchFor(t *testing.T, b *bed, fresh bool) (last func() Verdict, stop func()) {
	var v atomic.Pointer[Verdict]
	v.Store(&Verdict{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- servants{testServant}.watch(ctx, Config{Disks: b.paths, Slot: "node2", Fresh: fresh}, fencing.BootNow, func(x Verdict, _ []Notice) { v.Store(&x) })
	}()
	return func() Verdict { return *v.Load() }, func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

func TestWatchLoop(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	b := newBed(t, 3)
	b.put(0, mailboxSector(1), Mailbox{Off, "before the boot"}.encode(minSector))
	last, stop := watchFor(t, b, true)
	waittest.Until(t, waittest.Hang, "ready with three disks", func() bool { return last().Ready && last().Seen == 3 })
	if b.Pills() != [3]bool{} || last().Poisoned != nil {
		t.Errorf("%v %+v", b.Pills(), last())
	}
	servant := mine(t, b.paths[1], true)
	if len(servant) != 1 {
		t.Fatalf("servants of a disk: %v", servant)
	}
	p, _ := os.FindProcess(servant[0])
	if err := p.Kill(); err != nil { // it gets another one
		t.Fatal(err)
	}
	waittest.Until(t, waittest.Hang, "another servant", func() bool { m := mine(t, b.paths[1], true); return len(m) == 1 && m[0] != servant[0] })
	b.Break(0, fencingtest.Hangs)
	waittest.Until(t, waittest.Hang, "two disks, which count", func() bool {
		v := last()
		return v.Seen == 2 && v.Problems[0] != "" && v.Until > fencing.BootNow()
	})
	if v := last(); v.Poisoned != nil {
		t.Errorf("one disk hangs: %+v", v)
	}
	b.Break(0, fencingtest.Healthy)
	waittest.Until(t, waittest.Hang, "three disks", func() bool { return last().Seen == 3 })
	if err := b.device().Poison(within(t, 40*time.Second)); err != nil {
		t.Fatal(err)
	}
	waittest.Until(t, waittest.Hang, "the message", func() bool { return last().Poisoned != nil })
	stop()
	for _, p := range b.paths {
		waittest.Until(t, waittest.Hang, "the end of its servants", func() bool { return len(mine(t, p, true)) == 0 })
	}
}
