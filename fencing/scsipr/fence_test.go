package scsipr

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/fencing/scsipr/scsitest"
	"bascule/ha"
	"bascule/ha/waittest"
)

// array is a new disk that knows everything.
func array(id string) *scsitest.Disk { return &scsitest.Disk{ID: id, Abort: true, APTPL: true} }

// pair is two nodes of one array, registered, with the disk on the kernel's paths.
func pair(t *testing.T, disks map[string]*scsitest.Disk, luns string) (a, b *node) {
	for _, n := range []**node{&a, &b} {
		name := ha.NodeName("node1")
		if n == &b {
			name = "node2"
		}
		*n = newNode(t, name, luns)
		(*n).connect = kernel(name, disks)
		(*n).mustRegister()
	}
	return a, b
}

func TestFencedNodeCannotWrite(t *testing.T) {
	d := array("x")
	a, b := pair(t, map[string]*scsitest.Disk{"d": d}, "/dev/d-0")
	if typ, _ := d.Reservation(); typ != 5 {
		t.Fatalf("reservation of type %d", typ)
	}
	a.wants(b, ha.AccessOpen)
	if write(d, "node2,0") != scsitest.Good || write(d, "stranger,0") != scsitest.Conflict {
		t.Fatal("who is registered must write, and nobody else")
	}
	out := a.fence(b)
	if len(out) != 1 || !out[0].Aborted || out[0].Gone || !strings.Contains(out[0].String(), "PREEMPT AND ABORT over /dev/d-0") {
		t.Fatalf("outcome %+v %s", out, out[0])
	}
	if write(d, "node2,0") != scsitest.Conflict || write(d, "node1,0") != scsitest.Good {
		t.Fatal("the victim must not write any more, the others must")
	}
	a.wants(b, ha.AccessRevoked)
	if out := a.fence(b); !out[0].Gone {
		t.Fatalf("a second time: %+v", out)
	}
	a.wants(b, ha.AccessRevoked)
	fails(t, b.register(), ErrFenced, "reboot this node")
	if d.Keys()[0].Nexus != "node1,0" || len(d.Keys()) != 1 {
		t.Fatalf("registered: %v", d.Keys())
	}
}

func TestHolderOfTheReservationIsFenced(t *testing.T) {
	d := array("x")
	a, b := pair(t, map[string]*scsitest.Disk{"d": d}, "/dev/d-0")
	if _, key := d.Reservation(); Key(key) != a.key() {
		t.Fatalf("held by %x", key)
	}
	b.fence(a)
	if typ, key := d.Reservation(); typ != 5 || Key(key) != b.key() {
		t.Fatalf("reservation %d by %x", typ, key)
	}
	b.wants(a, ha.AccessRevoked)
	a.refuses(b.clients(), fencing.ErrRefused, "own key")
}

func TestWithoutPreemptAndAbort(t *testing.T) {
	d := array("x")
	d.Abort = false
	a, b := pair(t, map[string]*scsitest.Disk{"d": d}, "/dev/d-0")
	a.set("abort", "required").refuses(b.clients(), fencing.ErrRefused, "abort: required")
	a.wants(b, ha.AccessOpen)
	out := a.set("abort", "if-supported").fence(b)
	if out[0].Aborted || !strings.Contains(out[0].String(), "may still reach the disk") {
		t.Fatalf("outcome %+v", out)
	}
	a.wants(b, ha.AccessRevoked)
	if got := d.Heard()[len(d.Heard())-3:]; !slices.Equal(got, []byte{5, 5, 4}) {
		t.Fatalf("heard %v", got)
	}
}

func TestLiteralReadings(t *testing.T) {
	for _, c := range []struct {
		name  string
		setup func(d *scsitest.Disk, a, b *node)
		want  ha.StorageAccess
		text  string
	}{
		{"the key is there", func(*scsitest.Disk, *node, *node) {}, ha.AccessOpen, ""},
		{"no reservation: anybody can write", func(d *scsitest.Disk, _, b *node) { d.Put("node2,0", 0); d.Hold("", 0) }, ha.AccessOpen, ""},
		{"the key is on another port", func(d *scsitest.Disk, _, b *node) { d.Put("node2,0", 0); d.Put("node2,9", uint64(b.key())) }, ha.AccessOpen, ""},
		{"gone", func(d *scsitest.Disk, _, _ *node) { d.Put("node2,0", 0) }, ha.AccessRevoked, ""},
		{"a reservation of another type", func(d *scsitest.Disk, _, _ *node) { d.Put("node2,0", 0); d.Hold("node1,0", 7) }, ha.AccessUnknown, "type 7"},
		{"held by nobody who is registered", func(d *scsitest.Disk, _, _ *node) { d.Put("node2,0", 0); d.Hold("ghost", 5) }, ha.AccessUnknown, "not registered"},
		{"another boot of the same node", func(d *scsitest.Disk, _, _ *node) { d.Put("node2,0", uint64(KeyOf("node2", boot2))) }, ha.AccessUnknown, "another boot"},
		{"rubbish", func(d *scsitest.Disk, _, _ *node) { d.Break(scsitest.Rubbish) }, ha.AccessUnknown, "makes no sense"},
		{"not ready", func(d *scsitest.Disk, _, _ *node) { d.Break(scsitest.NotReady) }, ha.AccessUnknown, "sense 2/0400"},
		{"busy once", func(d *scsitest.Disk, _, _ *node) { d.Break(scsitest.BusyOnce) }, ha.AccessOpen, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := array("x")
			a, b := pair(t, map[string]*scsitest.Disk{"d": d}, "/dev/d-0")
			c.setup(d, a, b)
			got, err := a.device().Read(within(t, 40*time.Second), b.clients())
			if c.want == ha.AccessUnknown {
				if err == nil || !strings.Contains(err.Error(), c.text) || len(got) != 0 {
					t.Fatalf("%v %v, want an error with %q", got, err, c.text)
				}
				return
			}
			if err != nil || len(got) != 1 || got[0].Access != c.want {
				t.Fatalf("%v %v, want %s", got, err, c.want)
			}
		})
	}
}

// One LUN that cannot be asked keeps the storage from being called revoked; one that is open makes it open.
func TestEveryLUNCounts(t *testing.T) {
	disks := map[string]*scsitest.Disk{"d": array("x"), "e": array("y")}
	a, b := pair(t, disks, "/dev/d-0, /dev/e-0")
	a.fence(b)
	a.wants(b, ha.AccessRevoked)
	disks["e"].Break(scsitest.Hangs)
	_, err := a.device().Read(within(t, 200*time.Millisecond), b.clients())
	fails(t, err, fencing.ErrTimeout, "/dev/e-0")
	disks["e"].Break(scsitest.Healthy)
	disks["e"].Put("node2,0", uint64(b.key()))
	disks["d"].Break(scsitest.NotReady)
	a.wants(b, ha.AccessOpen)
}

// The other LUNs are fenced although one hangs, and the error names it.
func TestRevokeGoesOn(t *testing.T) {
	waittest.BestOf(t, func() string { // the other must have answered by then
		disks := map[string]*scsitest.Disk{"d": array("x"), "e": array("y")}
		a, b := pair(t, disks, "/dev/d-0, /dev/e-0")
		disks["d"].Break(scsitest.Hangs)
		fails(t, a.device().Revoke(within(t, 300*time.Millisecond), b.clients()), fencing.ErrTimeout, "/dev/d-0")
		if len(disks["e"].Keys()) != 1 || len(disks["d"].Keys()) != 2 {
			return fmt.Sprintf("d %v, e %v", disks["d"].Keys(), disks["e"].Keys())
		}
		return ""
	})
}

func TestSecondPathServes(t *testing.T) {
	limit := 400 * time.Millisecond
	waittest.BestOf(t, func() string { // the first path takes half of it
		limit *= 2
		return secondPathServes(t, limit/2)
	})
}

func secondPathServes(t *testing.T, limit time.Duration) string {
	d := array("x")
	disks := map[string]*scsitest.Disk{"d": d}
	a, b := pair(t, disks, "/dev/d-0|/dev/d-1")
	if len(d.Keys()) != 4 {
		t.Fatalf("registered %v", d.Keys())
	}
	real := a.connect
	a.connect = func(ctx context.Context, p path, as port) (transport, error) {
		tr, err := real(ctx, p, as)
		if p.file == "/dev/d-0" && err == nil {
			return broken{tr}, nil
		}
		return tr, err
	}
	out, err := a.device().Fence(within(t, limit), b.clients())
	if err != nil || out[0].Path != "/dev/d-1" {
		return fmt.Sprintf("outcome %+v %v", out, err)
	}
	got, err := a.device().Read(within(t, limit), b.clients())
	if err != nil || got[0].Access != ha.AccessRevoked {
		return fmt.Sprintf("%v %v", got, err)
	}
	if write(d, "node2,0") != scsitest.Conflict || write(d, "node2,1") != scsitest.Conflict {
		t.Fatal("both of the victim's paths must be closed")
	}
	return ""
}

// broken is a path whose commands never come back.
type broken struct{ transport }

func (broken) execute(ctx context.Context, _, _ []byte, _ int) (reply, error) {
	<-ctx.Done()
	return reply{}, fmt.Errorf("%w: %w", fencing.ErrTimeout, ctx.Err())
}

func TestRevokeRefuses(t *testing.T) {
	d := array("x")
	disks := map[string]*scsitest.Disk{"d": d}
	a, b := pair(t, disks, "/dev/d-0")
	before := len(d.Heard())
	a.refuses(a.clients(), fencing.ErrRefused, "this node's own")
	a.refuses([]string{"scsi-key:" + KeyOf("node1", boot2).String()}, fencing.ErrRefused, "this node's own")
	a.refuses([]string{"ip:10.0.0.9"}, fencing.ErrSettings, "published no scsi-key")
	a.refuses(nil, fencing.ErrRefused, "nobody")
	a.refuses([]string{"scsi-key:12"}, fencing.ErrSettings, "16 hexadecimal")
	a.refuses([]string{"scsi-key:1234567812345678"}, fencing.ErrSettings, "another cluster's")
	stranger := newNode(t, "node3", "/dev/d-0")
	stranger.connect = kernel("node3", disks)
	stranger.refuses(b.clients(), fencing.ErrSettings, "not registered a key")
	if len(d.Heard()) != before {
		t.Fatalf("sent %v", d.Heard()[before:])
	}
	d.Hold("node1,0", 3)
	a.refuses(b.clients(), fencing.ErrRefused, "type 3")
	d.Hold("node1,0", 5)
	d.Break(scsitest.Refuses)
	a.refuses(b.clients(), fencing.ErrRefused, "access denied")
	d.Break(scsitest.Lies)
	if err := a.device().Revoke(within(t, 40*time.Second), b.clients()); err != nil {
		t.Fatal(err)
	}
	a.wants(b, ha.AccessOpen)
}

func TestReadWithoutClientsLooksWhetherRevokeWouldWork(t *testing.T) {
	d := array("x")
	disks := map[string]*scsitest.Disk{"d": d}
	a, _ := pair(t, disks, "/dev/d-0")
	limit := 40 * time.Second
	look := func() error {
		got, err := a.device().Read(within(t, limit), nil)
		if err == nil && (len(got) != 1 || got[0].Access != ha.AccessUnknown) {
			t.Fatalf("readings %v", got)
		}
		return err
	}
	if err := look(); err != nil {
		t.Fatal(err)
	}
	d.Put("node1,0", 0)
	fails(t, look(), fencing.ErrRefused, "own key")
	d.Put("node1,0", uint64(a.key()))
	d.PowerLoss() // it keeps: nothing changes
	if err := look(); err != nil {
		t.Fatal(err)
	}
	d.NoCaps = true
	if err := look(); err != nil {
		t.Fatalf("a target without REPORT CAPABILITIES: %v", err)
	}
	d.Break(scsitest.Hangs)
	limit = 300 * time.Millisecond
	fails(t, look(), fencing.ErrTimeout, "")
}

// TestUnsupported: a target that lacks what fencing needs says so before anything is registered there, and nothing is sent to it but questions.
func TestUnsupported(t *testing.T) {
	for name, c := range map[string]struct {
		disk *scsitest.Disk
		says string // "": nothing speaks against it
	}{
		"all":        {array("x"), ""},
		"no answer":  {&scsitest.Disk{ID: "x", APTPL: true, NoCaps: true}, ""},
		"plain":      {&scsitest.Disk{ID: "x", Plain: true}, "knows no persistent reservations"},
		"other type": {&scsitest.Disk{ID: "x", APTPL: true, Exotic: true}, "does not know the type"},
		"forgets":    {&scsitest.Disk{ID: "x"}, "APTPL"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newNode(t, "node1", "/dev/d-0")
			a.connect = kernel("node1", map[string]*scsitest.Disk{"d": c.disk})
			_, err := a.device().Read(within(t, time.Minute), nil)
			if c.says == "" {
				fails(t, err, fencing.ErrSettings, "has not registered a key")
			} else {
				fails(t, err, fencing.ErrUnsupported, c.says)
			}
			if heard := c.disk.Heard(); len(heard) > 0 {
				t.Errorf("it was sent %v", heard)
			}
		})
	}
}

func TestTwoFenceEachOther(t *testing.T) {
	for range 20 {
		d := array("x")
		a, b := pair(t, map[string]*scsitest.Disk{"d": d}, "/dev/d-0")
		var both sync.WaitGroup
		both.Go(func() { a.device().Revoke(within(t, 40*time.Second), b.clients()) })
		both.Go(func() { b.device().Revoke(within(t, 40*time.Second), a.clients()) })
		both.Wait()
		typ, _ := d.Reservation()
		if len(d.Keys()) != 1 || typ != 5 {
			t.Fatalf("left %v, reservation %d", d.Keys(), typ)
		}
	}
}
