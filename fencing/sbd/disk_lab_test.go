//go:build lab

package sbd

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"bascule/fencing"
)

// In a lab a file is a disk, through everything that a disk goes through: servants, formatting, slots, a message, the node's watch.
func TestALabsFileIsADisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a disk.sbd")
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx := within(t, 40*time.Second)
	times := Times{Watchdog: 5 * time.Second, Allocate: time.Second, Loop: time.Second, MsgWait: 10 * time.Second}
	if err := Create(ctx, []string{path}, times); err != nil {
		t.Fatal(err)
	}
	if err := Allocate(ctx, []string{path}, "node1"); err != nil {
		t.Fatal(err)
	}
	d, err := Method.Poison(map[string]string{"disks": path, "slot": "node1", "msgwait": "10s"})
	if err != nil {
		t.Fatal(err)
	}
	if pills, disks, err := d.Read(ctx); err != nil || pills != 0 || disks != 1 {
		t.Fatalf("%d of %d, %v", pills, disks, err)
	}
	ready, seen := make(chan struct{}), make(chan Mailbox, 1)
	watch, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		var once sync.Once
		done <- Watch(watch, Config{Disks: []string{path}, Slot: "node1", Fresh: true}, fencing.BootNow, func(v Verdict, _ []Notice) {
			if v.Ready {
				once.Do(func() { close(ready) })
			}
			if v.Poisoned != nil {
				select {
				case seen <- *v.Poisoned:
				default:
				}
			}
		})
	}()
	select {
	case <-ready: // before that a message would be one of an earlier boot
	case <-ctx.Done():
		t.Fatal("the node does not see its disk")
	}
	if err := d.Poison(ctx); err != nil {
		t.Fatal(err)
	}
	select {
	case m := <-seen:
		if m.Command != Off {
			t.Errorf("%+v", m)
		}
	case <-ctx.Done():
		t.Error("the node does not see its message")
	}
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if pills, disks, err := d.Read(ctx); err != nil || pills != 1 || disks != 1 {
		t.Errorf("%d of %d, %v", pills, disks, err)
	}
}

// A file that is too small would be read beyond its end.
func TestASmallFileIsNoDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "small")
	if err := os.WriteFile(path, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openDisk(path, false); !errors.Is(err, fencing.ErrRubbish) {
		t.Error(err)
	}
}
