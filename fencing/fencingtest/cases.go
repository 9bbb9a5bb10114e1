package fencingtest

import (
	"bascule/fencing"
	"bascule/ha"
)

// cases are the suite. Each starts with a healthy machine that is on.
var cases = []struct {
	name string
	run  func(r rig)
}{
	{"reads on and the machine's identity", func(r rig) {
		if o := r.reads(ha.PowerOn); !ha.SameUUID(o.uuid, UUID) {
			r.Errorf("system UUID %q, want %q", o.uuid, UUID)
		}
		r.heard()
	}},
	{"off", func(r rig) {
		r.must(ha.DeviceOff)
		r.reads(ha.PowerOff)
		r.heard(ha.DeviceOff)
	}},
	{"off when already off", func(r rig) {
		r.m.SetPower(ha.PowerOff)
		r.must(ha.DeviceOff)
		r.reads(ha.PowerOff)
		if r.m.Power() != ha.PowerOff {
			r.Errorf("the machine is %q", r.m.Power())
		}
	}},
	{"on", func(r rig) {
		r.m.SetPower(ha.PowerOff)
		r.must(ha.DeviceOn)
		r.reads(ha.PowerOn)
		r.heard(ha.DeviceOn)
	}},
	{"unreachable", func(r rig) {
		r.m.Break(Unreachable)
		r.fails(ha.DeviceRead, patience, fencing.ErrUnreachable, fencing.ErrTimeout)
		r.fails(ha.DeviceOff, patience, fencing.ErrUnreachable, fencing.ErrTimeout)
		r.heard()
	}},
	{"hangs until the time-out", func(r rig) {
		r.m.Break(Hangs)
		r.fails(ha.DeviceRead, hangLimit, fencing.ErrTimeout)
		r.fails(ha.DeviceOff, hangLimit, fencing.ErrTimeout)
		if r.m.Power() != ha.PowerOn {
			r.Errorf("the machine is %q", r.m.Power())
		}
	}},
	{"says success but is still on", func(r rig) {
		r.m.Break(Lies)
		r.must(ha.DeviceOff)
		r.reads(ha.PowerOn)
	}},
	{"powering off for a while is not off", func(r rig) {
		r.m.Break(SlowOff)
		r.must(ha.DeviceOff)
		for range SlowReads {
			r.reads(ha.PowerPoweringOff)
		}
		r.reads(ha.PowerOff)
	}},
	{"rubbish", func(r rig) {
		r.m.Break(Rubbish)
		r.fails(ha.DeviceRead, patience, fencing.ErrRubbish)
		r.fails(ha.DeviceOff, patience, fencing.ErrRubbish)
		if r.m.Power() != ha.PowerOn {
			r.Errorf("the machine is %q", r.m.Power())
		}
	}},
	{"another machine's device shows itself", func(r rig) {
		r.m.Break(OtherMachine)
		if o := r.reads(ha.PowerOn); !ha.SameUUID(o.uuid, OtherUUID) || ha.SameUUID(o.uuid, UUID) {
			r.Errorf("system UUID %q, want the other machine's, %q", o.uuid, OtherUUID)
		}
	}},
	{"credentials not accepted", func(r rig) {
		r.m.Break(WrongPassword)
		r.fails(ha.DeviceRead, patience, fencing.ErrAuth)
		r.fails(ha.DeviceOff, patience, fencing.ErrAuth)
		r.heard()
	}},
	{"refuses", func(r rig) {
		r.m.Break(Refuses)
		r.fails(ha.DeviceOff, patience, fencing.ErrRefused)
		r.reads(ha.PowerOn)
	}},
	{"works again after a fault", func(r rig) {
		r.m.Break(Hangs)
		r.fails(ha.DeviceRead, hangLimit, fencing.ErrTimeout)
		r.m.Break(Healthy)
		r.reads(ha.PowerOn)
		r.must(ha.DeviceOff)
		r.reads(ha.PowerOff)
	}},
}
