package scsipr

import (
	"testing"
	"time"

	"bascule/fencing"
	"bascule/fencing/scsipr/scsitest"
	"bascule/ha"
)

// After a power loss of a target that forgets, everybody can write: that is what is read, and nobody is allowed to act on old keys.
func TestPowerLossOfTheTarget(t *testing.T) {
	d := &scsitest.Disk{ID: "x", Abort: true}
	disks := map[string]*scsitest.Disk{"d": d}
	a := newNode(t, "node1", "/dev/d-0")
	a.connect = kernel("node1", disks)
	fails(t, a.register(), fencing.ErrRefused, "aptpl: if-supported")
	if len(d.Keys()) != 0 {
		t.Fatalf("registered %v", d.Keys())
	}
	a.set("aptpl", "if-supported").mustRegister()
	b := newNode(t, "node2", "/dev/d-0").set("aptpl", "if-supported")
	b.connect = kernel("node2", disks)
	b.mustRegister()
	a.fence(b)
	a.wants(b, ha.AccessRevoked)
	d.PowerLoss()
	a.wants(b, ha.AccessOpen)
	a.refuses(b.clients(), fencing.ErrRefused, "lost its reservations")
	fails(t, a.register(), ErrFenced, "lost its reservations")
	a.reboot(boot2)
	a.mustRegister()
	a.wants(b, ha.AccessRevoked)
}

func TestReservationThatIsMissingIsMade(t *testing.T) {
	d := array("x")
	a, b := pair(t, map[string]*scsitest.Disk{"d": d}, "/dev/d-0")
	d.Hold("", 0)
	a.wants(b, ha.AccessOpen)
	a.fence(b)
	a.wants(b, ha.AccessRevoked)
	d.Hold("", 0) // somebody released it
	a.wants(b, ha.AccessOpen)
	a.mustRegister()
	a.wants(b, ha.AccessRevoked)
}

func TestTargetThatSaysItKeepsAndDoesNot(t *testing.T) {
	d := array("x")
	d.Forgets = true
	a := newNode(t, "node1", "/dev/d-0")
	a.connect = kernel("node1", map[string]*scsitest.Disk{"d": d})
	fails(t, a.register(), fencing.ErrRefused, "over a power loss")
	a.set("aptpl", "if-supported").mustRegister()
	fails(t, func() error {
		_, err := a.set("aptpl", "required").device().Read(within(t, 40*time.Second), nil)
		return err
	}(), fencing.ErrRefused, "over a power loss")
}
