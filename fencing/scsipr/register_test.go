package scsipr

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bascule/fencing"
	"bascule/fencing/scsipr/scsitest"
	"bascule/ha"
)

func solo(t *testing.T, disks map[string]*scsitest.Disk, luns string) *node {
	n := newNode(t, "node1", luns)
	n.connect = kernel("node1", disks)
	return n
}

func TestRegisterIsIdempotent(t *testing.T) {
	d := array("x")
	n := solo(t, map[string]*scsitest.Disk{"d": d}, "/dev/d-0|/dev/d-1")
	for range 3 {
		n.mustRegister()
	}
	if keys := d.Keys(); len(keys) != 2 || Key(keys[0].Key) != n.key() || Key(keys[1].Key) != n.key() {
		t.Fatalf("registered %v", keys)
	}
	if st, err := os.Stat(n.settings["state"]); err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", st, err)
	}
}

func TestRegisterOrders(t *testing.T) {
	d := array("x")
	n := solo(t, map[string]*scsitest.Disk{"d": d}, "/dev/d-0")
	n.mustRegister()
	if got := string(d.Heard()); got != "\x06\x01" {
		t.Fatalf("first: %q, want REGISTER AND IGNORE, RESERVE", got)
	}
	n.mustRegister()
	if got := string(d.Heard()); got != "\x06\x01\x00" {
		t.Fatalf("again: %q, want only the REGISTER that changes nothing", got)
	}
}

// A key that was taken away stays away: over calls, restarts of the daemon and a changed name of the LUN, until the next boot.
func TestTakenKeyIsNeverRegisteredAgain(t *testing.T) {
	d := array("x")
	disks := map[string]*scsitest.Disk{"d": d, "renamed": d}
	a, b := pair(t, disks, "/dev/d-0")
	a.fence(b)
	for range 3 {
		fails(t, b.register(), ErrFenced, "/dev/d-0")
	}
	b.set("luns", "/dev/renamed-0")
	fails(t, b.register(), ErrFenced, "")
	if len(d.Keys()) != 1 {
		t.Fatalf("registered %v", d.Keys())
	}
	fails(t, b.device().Revoke(within(t, 40*time.Second), a.clients()), fencing.ErrRefused, "fenced itself")
	old := *b
	b.reboot(boot2)
	b.mustRegister()
	a.wants(b, ha.AccessOpen)
	if write(d, "node2,0") != scsitest.Good {
		t.Fatal("the next boot must write")
	}
	got, err := a.device().Read(within(t, 40*time.Second), old.clients())
	if err == nil || !strings.Contains(err.Error(), "another boot") {
		t.Fatalf("about the old boot: %v %v", got, err)
	}
}

// The record names the unit, so a renamed LUN is known even before the daemon noticed that it was fenced.
func TestRenamedLUNOfAFencedNode(t *testing.T) {
	d := array("x")
	a, b := pair(t, map[string]*scsitest.Disk{"d": d, "renamed": d}, "/dev/d-0")
	a.fence(b)
	b.set("luns", "/dev/renamed-0")
	fails(t, b.register(), ErrFenced, "/dev/renamed-0")
	if len(d.Keys()) != 1 {
		t.Fatalf("registered %v", d.Keys())
	}
}

func TestNextBootTakesItsOldKeysAway(t *testing.T) {
	d := array("x")
	n := solo(t, map[string]*scsitest.Disk{"d": d}, "/dev/d-0|/dev/d-1")
	n.mustRegister()
	n.reboot(boot2)
	n.set("luns", "/dev/d-0") // the second path did not come back
	d.Put("other", 0x1111222233334444)
	n.mustRegister()
	keys := d.Keys()
	if len(keys) != 2 || Key(keys[0].Key) != n.key() || keys[1].Nexus != "other" {
		t.Fatalf("registered %v", keys)
	}
	if typ, key := d.Reservation(); typ != 5 || Key(key) != n.key() {
		t.Fatalf("reservation %d by %x", typ, key)
	}
}

// A path or a LUN that appears later gets the key at the next call; until then the rest is in order, and the error names it.
func TestNewPathAndNewLUN(t *testing.T) {
	d, e := array("x"), array("y")
	disks := map[string]*scsitest.Disk{"d": d}
	n := solo(t, disks, "/dev/d-0, /dev/e-0|/dev/d2-0")
	fails(t, n.register(), fencing.ErrUnreachable, "/dev/e-0")
	if len(d.Keys()) != 1 {
		t.Fatalf("registered %v", d.Keys())
	}
	disks["e"] = e
	n.mustRegister()
	if len(e.Keys()) != 1 {
		t.Fatalf("the new LUN: %v", e.Keys())
	}
	disks["d2"] = e // the second path to it comes up
	real := n.connect
	n.connect = func(ctx context.Context, p path, as port) (transport, error) {
		if p.file == "/dev/d2-0" {
			return memory{e, "node1,second"}, nil
		}
		return real(ctx, p, as)
	}
	n.mustRegister()
	if keys := e.Keys(); len(keys) != 2 || keys[1].Nexus != "node1,second" {
		t.Fatalf("the new path: %v", keys)
	}
}

// While it cannot be seen whether the key is still there, no other LUN gets it.
func TestNoNewLUNWithoutEvidence(t *testing.T) {
	d, e := array("x"), array("y")
	disks := map[string]*scsitest.Disk{"d": d}
	a, b := pair(t, disks, "/dev/d-0")
	b.set("luns", "/dev/d-0,/dev/e-0")
	disks["e"] = e
	a.fence(b)
	d.Break(scsitest.NotReady)
	fails(t, b.register(), fencing.ErrUnreachable, "cannot be asked whether this node was fenced")
	d.Break(scsitest.Healthy)
	fails(t, b.register(), ErrFenced, "/dev/d-0")
	if len(e.Keys()) != 0 {
		t.Fatalf("registered %v", e.Keys())
	}
}

// A disk that fails in the middle of a call has not said that the key is gone.
func TestFailureIsNotFenced(t *testing.T) {
	d := array("x")
	n := solo(t, map[string]*scsitest.Disk{"d": d}, "/dev/d-0")
	n.mustRegister()
	for after := range 8 {
		left := after
		d.OnReply = func([]byte) {
			if left--; left == 0 {
				d.Break(scsitest.NotReady)
			}
		}
		err := n.register()
		if errors.Is(err, ErrFenced) {
			t.Fatalf("after %d commands: %v", after, err)
		}
		d.OnReply = nil
		d.Break(scsitest.Healthy)
		n.mustRegister()
	}
}

func TestRegisterFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		luns  string
		setup func(d *scsitest.Disk)
		kind  error
		text  string
	}{
		{"not attached", "/dev/e-0", func(*scsitest.Disk) {}, fencing.ErrUnreachable, "/dev/e-0"},
		{"hangs", "/dev/d-0", func(d *scsitest.Disk) { d.Break(scsitest.Hangs) }, fencing.ErrTimeout, "/dev/d-0"},
		{"refuses", "/dev/d-0", func(d *scsitest.Disk) { d.Break(scsitest.Refuses) }, fencing.ErrRefused, "access denied"},
		{"rubbish", "/dev/d-0", func(d *scsitest.Disk) { d.Break(scsitest.Rubbish) }, fencing.ErrRubbish, "/dev/d-0"},
		{"somebody else's reservation", "/dev/d-0", func(d *scsitest.Disk) { d.Put("other", 7); d.Hold("other", 1) }, fencing.ErrRefused, "type 1"},
		{"two LUNs as one", "/dev/d-0|/dev/f-0", func(*scsitest.Disk) {}, fencing.ErrWrongMachine, "/dev/f-0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := array("x")
			n := solo(t, map[string]*scsitest.Disk{"d": d, "f": array("z")}, c.luns)
			c.setup(d)
			r, err := NewRegistrar(n.settings, n.name, n.boot)
			if err != nil {
				t.Fatal(err)
			}
			r.connect = n.connect
			limit := 40 * time.Second
			if c.name == "hangs" {
				limit = 300 * time.Millisecond
			}
			fails(t, r.Register(within(t, limit)), c.kind, c.text)
			if _, err := ownState(n.settings["state"]); err == nil && c.name != "two LUNs as one" {
				t.Fatal("the node believes that it may fence")
			}
		})
	}
}

func TestUnusableRecord(t *testing.T) {
	n := solo(t, map[string]*scsitest.Disk{"d": array("x")}, "/dev/d-0")
	if err := os.WriteFile(n.settings["state"], []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	fails(t, n.register(), fencing.ErrSettings, "record of its key")
	n.set("state", filepath.Join(t.TempDir(), "missing", "state.json"))
	fails(t, n.register(), fencing.ErrSettings, "state")
}

func TestRecordKeepsTheWholeKey(t *testing.T) {
	in := state{Node: "node1", Boot: boot1, Key: KeyOf("node1", boot1), LUNs: []string{"3.6001405"}}
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out state
	if err := json.Unmarshal(b, &out); err != nil || out.Key != in.Key || !strings.Contains(string(b), in.Key.String()) {
		t.Fatalf("%s %v %v", b, out, err)
	}
}

func TestNewRegistrarIsStrict(t *testing.T) {
	good := map[string]string{"luns": "/dev/sda", "storages": "san1"}
	if _, err := NewRegistrar(good, "node1", ""); !errors.Is(err, fencing.ErrHelper) {
		t.Errorf("without a boot: %v", err)
	}
	if _, err := NewRegistrar(map[string]string{"luns": "/dev/sda"}, "node1", boot1); !errors.Is(err, fencing.ErrSettings) {
		t.Errorf("without storages: %v", err)
	}
	if r, err := NewRegistrar(good, "node1", boot1); err != nil || r.Client() != "scsi-key:"+KeyOf("node1", boot1).String() {
		t.Errorf("%v", err)
	}
}
