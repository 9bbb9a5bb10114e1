package sbd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/fencing/fencingtest"
)

// memDisk is a disk in memory.
type memDisk struct {
	sector  int
	b       []byte
	onWrite func(sector int) error // before each write
}

func newMemDisk(sector int) *memDisk {
	return &memDisk{sector: sector, b: make([]byte, (1+2*slotCount)*sector)}
}

func (d *memDisk) size() int { return d.sector }

func (d *memDisk) read(first, n int) ([]byte, error) {
	if first < 0 || n < 0 || (first+n)*d.sector > len(d.b) {
		return nil, fmt.Errorf("%w: sectors %d+%d", fencing.ErrUnreachable, first, n)
	}
	return append([]byte(nil), d.b[first*d.sector:(first+n)*d.sector]...), nil
}

func (d *memDisk) write(sector int, b []byte) error {
	if d.onWrite != nil {
		if err := d.onWrite(sector); err != nil {
			return err
		}
	}
	if len(b) != d.sector {
		return errors.New("not a sector")
	}
	copy(d.b[sector*d.sector:], b)
	return nil
}

// made returns a disk with slots for these nodes.
func made(t testing.TB, sector int, uuid byte, nodes ...string) *memDisk {
	t.Helper()
	d := newMemDisk(sector)
	if err := format(d, Header{Minor: minor, Slots: slotCount, Times: DefaultTimes(), UUID: [16]byte{uuid}}); err != nil {
		t.Fatal(err)
	}
	for i, n := range nodes {
		if err := d.write(slotSector(i), encodeSlot(n, sector)); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// fileDisk is a disk in a file, with the fault that stands in a file beside it. It lives in a servant.
type fileDisk struct {
	*memDisk
	path string
}

func openFile(path string, _ bool) (sectors, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, ioError(err)
	}
	return &fileDisk{&memDisk{sector: minSector, b: b}, path}, nil
}

func (d *fileDisk) fault() fencingtest.Fault {
	b, _ := os.ReadFile(d.path + ".fault")
	return fencingtest.Fault(b)
}

func (d *fileDisk) read(first, n int) ([]byte, error) {
	content, err := os.ReadFile(d.path)
	if err != nil {
		return nil, ioError(err)
	}
	d.b = content
	b, err := d.memDisk.read(first, n)
	if err != nil {
		return nil, err
	}
	switch fault := d.fault(); {
	case fault == fencingtest.Unreachable:
		return nil, ioError(syscall.EIO)
	case fault == fencingtest.Hangs:
		time.Sleep(time.Hour)
	case fault == fencingtest.Rubbish:
		copy(b, "rubbish!")
	case fault == fencingtest.NoSlot && first == 1:
		clear(b)
	case fault == fencingtest.OtherTimes && first == 0:
		h, _ := decodeHeader(b, d.sector)
		h.Times.MsgWait *= 2
		b = h.encode()
	}
	return b, nil
}

// diesInWrite is a fault of the servant: it is gone in the middle.
const diesInWrite fencingtest.Fault = "dies in write"

func (d *fileDisk) write(sector int, b []byte) error {
	switch d.fault() {
	case fencingtest.Refuses:
		return ioError(syscall.EROFS)
	case fencingtest.Lies:
		return nil
	case fencingtest.Hangs:
		time.Sleep(time.Hour)
	case diesInWrite:
		os.Exit(9)
	}
	f, err := os.OpenFile(d.path, os.O_WRONLY, 0)
	if err != nil {
		return ioError(err)
	}
	defer f.Close()
	_, err = f.WriteAt(b, int64(sector)*int64(d.sector))
	return ioError(err)
}

// bed is a node "node2" and its disks in files; "node3" has a slot there too.
type bed struct {
	t     *testing.T
	paths []string
}

func newBed(t *testing.T, disks int) *bed {
	dir, err := os.MkdirTemp("/dev/shm", "bascule-sbd-test-") // the setting wants paths below /dev
	if err != nil {
		t.Skip("no shared memory file system to lay disks in: ", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b := &bed{t: t}
	for i := range disks {
		path := filepath.Join(dir, fmt.Sprintf("disk%d", i))
		if err := os.WriteFile(path, made(t, minSector, byte(i+1), "node3", "Node2").b, 0o600); err != nil {
			t.Fatal(err)
		}
		b.paths = append(b.paths, path)
	}
	return b
}

func (b *bed) settings() map[string]string {
	return map[string]string{"disks": strings.Join(b.paths, ", "), "slot": "node2", "msgwait": "10s"}
}

func (b *bed) device(change ...func(map[string]string)) *device {
	b.t.Helper()
	raw := b.settings()
	for _, c := range change {
		c(raw)
	}
	s, err := parse(raw)
	if err != nil {
		b.t.Fatal(err)
	}
	return &device{settings: s, servants: servants{testServant}}
}

func (b *bed) mailbox(disk, slot int) Mailbox {
	content, err := os.ReadFile(b.paths[disk])
	if err != nil {
		b.t.Fatal(err)
	}
	return decodeMailbox(content[mailboxSector(slot)*minSector:])
}

func (b *bed) put(disk, sector int, data []byte) {
	f, err := os.OpenFile(b.paths[disk], os.O_WRONLY, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(data, int64(sector)*minSector); err != nil {
		b.t.Fatal(err)
	}
}

// Pills, Strangers, Boot and Break make it fencingtest.Slots.
func (b *bed) Pills() (out [fencingtest.PoisonDisks]bool) {
	for i := range b.paths {
		out[i] = b.mailbox(i, 1).Command.Ends()
	}
	return out
}

func (b *bed) Strangers() bool {
	for i := range b.paths {
		if b.mailbox(i, 0) != (Mailbox{}) {
			return true
		}
	}
	return false
}

func (b *bed) Boot() {
	for i := range b.paths {
		b.put(i, mailboxSector(1), Mailbox{}.encode(minSector))
	}
}

func (b *bed) Break(disk int, f fencingtest.Fault) {
	if f == fencingtest.Healthy {
		f = ""
	}
	if err := os.WriteFile(b.paths[disk]+".fault", []byte(f), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

var within = fencingtest.Within
