package fencingtest

import (
	"bascule/fencing"
	"bascule/ha"
)

// resetCases are the suite. Each starts with a healthy service.
var resetCases = []struct {
	name string
	run  func(r resetRig)
}{
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
		r.fails(ha.DeviceRead, patience, false, fencing.ErrUnreachable, fencing.ErrTimeout)
		r.fails(ha.DeviceReset, patience, false, fencing.ErrUnreachable, fencing.ErrTimeout)
		r.resets(0)
	}},
	{"hangs until the time-out", func(r resetRig) {
		r.m.Break(Hangs)
		r.fails(ha.DeviceRead, hangLimit, false, fencing.ErrTimeout)
		if o := r.try(ha.DeviceReset, hangLimit); o.text == "" {
			r.Errorf("reset: succeeded")
		}
		r.resets(0)
	}},
	{"dies half-way", func(r resetRig) {
		r.m.Break(DiesHalfWay)
		r.must(ha.DeviceRead)
		r.fails(ha.DeviceReset, patience, true, fencing.ErrUnreachable, fencing.ErrTimeout, fencing.ErrRubbish)
		r.resets(1) // once: nothing below sends it again by itself
	}},
	{"hangs half-way", func(r resetRig) {
		r.m.Break(HangsHalfWay)
		r.must(ha.DeviceRead)
		r.fails(ha.DeviceReset, slowLimit, true, fencing.ErrTimeout)
		r.resets(1)
	}},
	{"says success and does nothing", func(r resetRig) {
		r.m.Break(Lies)
		r.must(ha.DeviceReset) // it proves nothing
		r.resets(0)
	}},
	{"rubbish", func(r resetRig) {
		r.m.Break(Rubbish)
		r.fails(ha.DeviceRead, patience, false, fencing.ErrRubbish)
		if o := r.try(ha.DeviceReset, patience); o.text == "" {
			r.Errorf("reset: succeeded")
		}
		r.resets(0)
	}},
	{"another machine's number", func(r resetRig) {
		r.m.Break(OtherMachine)
		r.fails(ha.DeviceRead, patience, false, fencing.ErrWrongMachine)
		r.fails(ha.DeviceReset, patience, false, fencing.ErrWrongMachine)
		r.resets(0)
	}},
	{"credentials not accepted, and not tried again", func(r resetRig) {
		r.m.Break(WrongPassword)
		for range 3 {
			r.fails(ha.DeviceRead, patience, false, fencing.ErrAuth)
			r.fails(ha.DeviceReset, patience, false, fencing.ErrAuth)
		}
		r.resets(0)
		if n := r.m.WrongLogins(); n > 1 {
			r.Errorf("%d wrong log-ins: such services lock out who tries again", n)
		}
	}},
	{"a reset's wrong credentials are not tried again", func(r resetRig) {
		r.m.Break(WrongPassword)
		for range 3 {
			r.fails(ha.DeviceReset, patience, false, fencing.ErrAuth)
		}
		r.fails(ha.DeviceRead, patience, false, fencing.ErrAuth)
		if n := r.m.WrongLogins(); n > 1 {
			r.Errorf("%d wrong log-ins: such services lock out who tries again", n)
		}
	}},
	{"refuses", func(r resetRig) {
		r.m.Break(Refuses)
		r.must(ha.DeviceRead)
		r.fails(ha.DeviceReset, patience, false, fencing.ErrRefused)
		r.resets(0)
	}},
	{"no such reset for the machine", func(r resetRig) {
		r.m.Break(NotOffered)
		r.fails(ha.DeviceRead, patience, false, fencing.ErrRefused)
		r.fails(ha.DeviceReset, patience, false, fencing.ErrRefused)
		r.resets(0)
	}},
	{"works again after a fault", func(r resetRig) {
		r.m.Break(Hangs)
		r.fails(ha.DeviceRead, hangLimit, false, fencing.ErrTimeout)
		r.m.Break(Healthy)
		r.must(ha.DeviceRead)
		r.must(ha.DeviceReset)
		r.resets(1)
	}},
}
