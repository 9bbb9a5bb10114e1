package fencingtest

import (
	"time"

	"bascule/fencing"
	"bascule/ha"
)

// slowLimit is for calls in which one disk of three hangs: they come back in time with what the others say.
const slowLimit = 3 * time.Second

// poisonCases are the suite. Each starts with empty slots on healthy disks.
var poisonCases = []struct {
	name string
	run  func(r poisonRig)
}{
	{"an empty slot holds no message", func(r poisonRig) {
		r.reads(0)
		r.holds(false, false, false)
	}},
	{"poison", func(r poisonRig) {
		r.poisons()
		r.holds(true, true, true)
		r.reads(3)
	}},
	{"poison twice", func(r poisonRig) {
		r.poisons()
		r.poisons()
		r.holds(true, true, true)
		r.reads(3)
	}},
	{"the message is gone when the node has booted", func(r poisonRig) {
		r.poisons()
		r.reads(3)
		r.s.Boot()
		r.reads(0)
	}},
	{"one disk unreachable", func(r poisonRig) {
		r.breaks(Unreachable, 0)
		r.reads(0)
		r.poisons()
		r.holds(false, true, true)
		r.reads(2)
	}},
	{"a majority unreachable", func(r poisonRig) {
		r.breaks(Unreachable, 0, 1)
		r.reads(0)
		r.fails(ha.DevicePoison, patience, fencing.ErrUnreachable)
		r.holds(false, false, true) // as much as could be done
		r.reads(1)
	}},
	{"all unreachable", func(r poisonRig) {
		r.breaks(Unreachable, 0, 1, 2)
		r.fails(ha.DeviceRead, patience, fencing.ErrUnreachable)
		r.fails(ha.DevicePoison, patience, fencing.ErrUnreachable)
		r.holds(false, false, false)
	}},
	{"lost after the message was written", func(r poisonRig) {
		r.poisons()
		r.breaks(Unreachable, 0, 1)
		r.reads(1)
	}},
	{"one disk hangs", func(r poisonRig) {
		r.breaks(Hangs, 1)
		if o := r.try(ha.DevicePoison, slowLimit); o.text != "" {
			r.Fatalf("poison: %s", o.text)
		}
		r.holds(true, false, true)
		if o := r.try(ha.DeviceRead, slowLimit); o.text != "" || o.pills != 2 || o.disks != PoisonDisks {
			r.Fatalf("read: %+v, want a message on 2 of %d disks", o, PoisonDisks)
		}
	}},
	{"a majority hangs", func(r poisonRig) {
		r.breaks(Hangs, 1, 2)
		r.fails(ha.DevicePoison, time.Second, fencing.ErrTimeout)
		if o := r.try(ha.DeviceRead, time.Second); o.text != "" || o.pills != 1 || o.disks != PoisonDisks {
			r.Fatalf("read: %+v, want a message on 1 of %d disks", o, PoisonDisks)
		}
	}},
	{"all hang until the time-out", func(r poisonRig) {
		r.breaks(Hangs, 0, 1, 2)
		r.fails(ha.DeviceRead, hangLimit, fencing.ErrTimeout)
		r.fails(ha.DevicePoison, hangLimit, fencing.ErrTimeout)
		r.holds(false, false, false)
	}},
	{"disks that lie are read as they are", func(r poisonRig) {
		r.breaks(Lies, 0, 1)
		r.poisons() // it proves nothing
		r.reads(1)
		r.breaks(Lies, 2)
		r.s.Boot()
		r.poisons()
		r.reads(0)
	}},
	{"rubbish on one disk", func(r poisonRig) {
		r.breaks(Rubbish, 2)
		r.poisons()
		r.reads(2)
	}},
	{"rubbish on all disks", func(r poisonRig) {
		r.breaks(Rubbish, 0, 1, 2)
		r.fails(ha.DeviceRead, patience, fencing.ErrRubbish)
		r.fails(ha.DevicePoison, patience, fencing.ErrRubbish)
	}},
	{"a majority refuses", func(r poisonRig) {
		r.breaks(Refuses, 0, 1)
		r.fails(ha.DevicePoison, patience, fencing.ErrRefused)
		r.reads(1)
	}},
	{"no slot on one disk", func(r poisonRig) {
		r.breaks(NoSlot, 0)
		r.poisons()
		r.reads(2)
	}},
	{"no slot on a majority", func(r poisonRig) {
		r.breaks(NoSlot, 0, 1)
		r.fails(ha.DeviceRead, patience, fencing.ErrSettings)
		r.fails(ha.DevicePoison, patience, fencing.ErrSettings)
	}},
	{"a disk orders a longer wait", func(r poisonRig) {
		r.breaks(OtherTimes, 1)
		r.fails(ha.DeviceRead, patience, fencing.ErrSettings)
	}},
	{"works again after a fault", func(r poisonRig) {
		r.breaks(Hangs, 0, 1, 2)
		r.fails(ha.DeviceRead, hangLimit, fencing.ErrTimeout)
		r.breaks(Healthy, 0, 1, 2)
		r.reads(0)
		r.poisons()
		r.reads(3)
	}},
}
