package fencingtest

import (
	"bascule/fencing"
	"bascule/ha"
)

// resetCases each start with a healthy service.
var resetCases = []scene[resetRig]{
	{"a look resets nothing", func(r resetRig) {
		r.must(ha.DeviceRead)
		r.resets(0)
	}},
	{"reset", func(r resetRig) {
		r.must(ha.DeviceReset)
		r.resets(1)
		r.must(ha.DeviceRead)
		r.resets(1)
	}},
	{"unreachable", func(r resetRig) {
		r.m.Break(Unreachable)
		r.useless(patience, fencing.ErrUnreachable, fencing.ErrTimeout)
	}},
	{"hangs until the time-out", func(r resetRig) {
		r.m.Break(Hangs)
		r.fails(ha.DeviceRead, hangLimit, fencing.ErrTimeout)
		r.resetFails(hangLimit)
	}},
	{"dies half-way", func(r resetRig) {
		r.m.Break(DiesHalfWay)
		r.doubtful(patience, fencing.ErrUnreachable, fencing.ErrTimeout, fencing.ErrRubbish)
	}},
	{"hangs half-way", func(r resetRig) {
		r.m.Break(HangsHalfWay)
		r.doubtful(sentLimit, fencing.ErrTimeout)
	}},
	{"says success and does nothing", func(r resetRig) {
		r.m.Break(Lies)
		r.must(ha.DeviceReset) // it proves nothing
		r.resets(0)
	}},
	{"rubbish", func(r resetRig) {
		r.m.Break(Rubbish)
		r.fails(ha.DeviceRead, patience, fencing.ErrRubbish)
		r.resetFails(patience)
	}},
	{"another machine's number", func(r resetRig) {
		r.m.Break(OtherMachine)
		r.useless(patience, fencing.ErrWrongMachine)
	}},
	{"credentials not accepted, and not tried again", func(r resetRig) {
		r.m.Break(WrongPassword)
		for range 3 {
			r.useless(patience, fencing.ErrAuth)
		}
		r.once()
	}},
	{"a reset's wrong credentials are not tried again", func(r resetRig) {
		r.m.Break(WrongPassword)
		for range 3 {
			r.fails(ha.DeviceReset, patience, fencing.ErrAuth)
		}
		r.fails(ha.DeviceRead, patience, fencing.ErrAuth)
		r.once()
	}},
	{"refuses", func(r resetRig) {
		r.m.Break(Refuses)
		r.must(ha.DeviceRead)
		r.fails(ha.DeviceReset, patience, fencing.ErrRefused)
		r.resets(0)
	}},
	{"no such reset for the machine", func(r resetRig) {
		r.m.Break(NotOffered)
		r.useless(patience, fencing.ErrRefused)
	}},
	{"works again after a fault", func(r resetRig) {
		r.m.Break(Hangs)
		r.fails(ha.DeviceRead, hangLimit, fencing.ErrTimeout)
		r.m.Break(Healthy)
		r.must(ha.DeviceRead)
		r.must(ha.DeviceReset)
		r.resets(1)
	}},
}
