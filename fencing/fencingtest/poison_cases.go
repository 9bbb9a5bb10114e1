package fencingtest

import (
	"time"

	"bascule/fencing"
	"bascule/ha"
)

// slowLimit is for calls in which one disk of three hangs: they come back in time with what the others say.
const slowLimit = 20 * time.Second

// poisonCases each start with empty slots on healthy disks.
var poisonCases = []scene[poisonRig]{
	{"an empty slot holds no message", func(r poisonRig) {
		r.reads(0, patience)
		r.holds(false, false, false)
	}},
	{"poison", func(r poisonRig) {
		r.poisons(patience)
		r.holds(true, true, true)
		r.reads(3, patience)
	}},
	{"poison twice", func(r poisonRig) {
		r.poisons(patience)
		r.poisons(patience)
		r.holds(true, true, true)
		r.reads(3, patience)
	}},
	{"the message is gone when the node has booted", func(r poisonRig) {
		r.poisons(patience)
		r.reads(3, patience)
		r.s.Boot()
		r.reads(0, patience)
	}},
	{"one disk unreachable", func(r poisonRig) {
		r.breaks(Unreachable, 0)
		r.reads(0, patience)
		r.poisons(patience)
		r.holds(false, true, true)
		r.reads(2, patience)
	}},
	{"a majority unreachable", func(r poisonRig) {
		r.breaks(Unreachable, 0, 1)
		r.reads(0, patience)
		r.fails(ha.DevicePoison, patience, fencing.ErrUnreachable)
		r.holds(false, false, true) // as much as could be done
		r.reads(1, patience)
	}},
	{"all unreachable", func(r poisonRig) {
		r.breaks(Unreachable, 0, 1, 2)
		r.fails(ha.DeviceRead, patience, fencing.ErrUnreachable)
		r.fails(ha.DevicePoison, patience, fencing.ErrUnreachable)
		r.holds(false, false, false)
	}},
	{"lost after the message was written", func(r poisonRig) {
		r.poisons(patience)
		r.breaks(Unreachable, 0, 1)
		r.reads(1, patience)
	}},
	{"one disk hangs", func(r poisonRig) {
		r.breaks(Hangs, 1)
		r.poisons(slowLimit)
		r.holds(true, false, true)
		r.reads(2, slowLimit)
	}},
	{"a majority hangs", func(r poisonRig) {
		r.breaks(Hangs, 1, 2)
		r.fails(ha.DevicePoison, time.Second, fencing.ErrTimeout)
		r.reads(1, time.Second)
	}},
	{"all hang until the time-out", func(r poisonRig) {
		r.breaks(Hangs, 0, 1, 2)
		r.fails(ha.DeviceRead, hangLimit, fencing.ErrTimeout)
		r.fails(ha.DevicePoison, hangLimit, fencing.ErrTimeout)
		r.holds(false, false, false)
	}},
	{"disks that lie are read as they are", func(r poisonRig) {
		r.breaks(Lies, 0, 1)
		r.poisons(patience) // it proves nothing
		r.reads(1, patience)
		r.breaks(Lies, 2)
		r.s.Boot()
		r.poisons(patience)
		r.reads(0, patience)
	}},
	{"rubbish on one disk", func(r poisonRig) {
		r.breaks(Rubbish, 2)
		r.poisons(patience)
		r.reads(2, patience)
	}},
	{"rubbish on all disks", func(r poisonRig) {
		r.breaks(Rubbish, 0, 1, 2)
		r.fails(ha.DeviceRead, patience, fencing.ErrRubbish)
		r.fails(ha.DevicePoison, patience, fencing.ErrRubbish)
	}},
	{"a majority refuses", func(r poisonRig) {
		r.breaks(Refuses, 0, 1)
		r.fails(ha.DevicePoison, patience, fencing.ErrRefused)
		r.reads(1, patience)
	}},
	{"no slot on one disk", func(r poisonRig) {
		r.breaks(NoSlot, 0)
		r.poisons(patience)
		r.reads(2, patience)
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
		r.reads(0, patience)
		r.poisons(patience)
		r.reads(3, patience)
	}},
}
