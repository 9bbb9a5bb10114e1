package fencingtest

import (
	"bascule/fencing"
	"bascule/ha"
)

// powerCases each start with a healthy machine that is on.
var powerCases = []scene[powerRig]{
	{"reads on and the machine's identity", func(r powerRig) {
		if uuid := r.reads(ha.PowerOn); !ha.SameUUID(uuid, UUID) {
			r.Errorf("system UUID %q, want %q", uuid, UUID)
		}
		r.heard()
	}},
	{"off", func(r powerRig) {
		r.must(ha.DeviceOff)
		r.reads(ha.PowerOff)
		r.heard(ha.DeviceOff)
	}},
	{"off when already off", func(r powerRig) {
		r.m.SetPower(ha.PowerOff)
		r.must(ha.DeviceOff)
		r.reads(ha.PowerOff)
		r.is(ha.PowerOff)
	}},
	{"on", func(r powerRig) {
		r.m.SetPower(ha.PowerOff)
		r.must(ha.DeviceOn)
		r.reads(ha.PowerOn)
		r.heard(ha.DeviceOn)
	}},
	{"unreachable", func(r powerRig) {
		r.m.Break(Unreachable)
		r.fails(ha.DeviceRead, patience, fencing.ErrUnreachable, fencing.ErrTimeout)
		r.fails(ha.DeviceOff, patience, fencing.ErrUnreachable, fencing.ErrTimeout)
		r.heard()
	}},
	{"hangs until the time-out", func(r powerRig) {
		r.m.Break(Hangs)
		r.fails(ha.DeviceRead, hangLimit, fencing.ErrTimeout)
		r.fails(ha.DeviceOff, hangLimit, fencing.ErrTimeout)
		r.is(ha.PowerOn)
	}},
	{"says success but is still on", func(r powerRig) {
		r.m.Break(Lies)
		r.must(ha.DeviceOff)
		r.reads(ha.PowerOn)
	}},
	{"powering off for a while is not off", func(r powerRig) {
		r.m.Break(SlowOff)
		r.must(ha.DeviceOff)
		for range SlowReads {
			r.reads(ha.PowerPoweringOff)
		}
		r.reads(ha.PowerOff)
	}},
	{"rubbish", func(r powerRig) {
		r.m.Break(Rubbish)
		r.fails(ha.DeviceRead, patience, fencing.ErrRubbish)
		r.fails(ha.DeviceOff, patience, fencing.ErrRubbish)
		r.is(ha.PowerOn)
	}},
	{"another machine's device shows itself", func(r powerRig) {
		r.m.Break(OtherMachine)
		if uuid := r.reads(ha.PowerOn); !ha.SameUUID(uuid, OtherUUID) {
			r.Errorf("system UUID %q, want the other machine's, %q", uuid, OtherUUID)
		}
	}},
	{"credentials not accepted", func(r powerRig) {
		r.m.Break(WrongPassword)
		r.fails(ha.DeviceRead, patience, fencing.ErrAuth)
		r.fails(ha.DeviceOff, patience, fencing.ErrAuth)
		r.heard()
	}},
	{"refuses", func(r powerRig) {
		r.m.Break(Refuses)
		r.fails(ha.DeviceOff, patience, fencing.ErrRefused)
		r.reads(ha.PowerOn)
	}},
	{"works again after a fault", func(r powerRig) {
		r.m.Break(Hangs)
		r.fails(ha.DeviceRead, hangLimit, fencing.ErrTimeout)
		r.m.Break(Healthy)
		r.reads(ha.PowerOn)
		r.must(ha.DeviceOff)
		r.reads(ha.PowerOff)
	}},
}
