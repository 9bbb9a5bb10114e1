package ipmi

import (
	"context"
	"fmt"
	"strings"

	"github.com/bougou/go-ipmi/pkg/command/chassis"
	"github.com/bougou/go-ipmi/pkg/types"

	"bascule/fencing"
	"bascule/ha"
)

// device is one controller with its one machine.
type device struct{ s settings }

// Read asks for the system GUID and then for the power, so that the power is the newer of the two.
func (d *device) Read(ctx context.Context) (fencing.Reading, error) {
	r := fencing.Reading{Power: ha.PowerUnknown}
	err := with(ctx, d.s, func(s *session) error {
		uuid, err := s.systemUUID(d.s.uuid)
		if err != nil {
			return err
		}
		power, err := s.power()
		if err == nil {
			r = fencing.Reading{Power: power, SystemUUID: uuid}
		}
		return err
	})
	return r, err
}

// Off sends power down, the hard one: it does not wait for an operating system.
func (d *device) Off(ctx context.Context) error {
	return d.turn(ctx, chassis.ChassisControlPowerDown, ha.PowerOff)
}

// On sends power up.
func (d *device) On(ctx context.Context) error {
	return d.turn(ctx, chassis.ChassisControlPowerUp, ha.PowerOn)
}

// turn always sends the command, whatever the machine's state reads: that may be stale. Only where the controller says
// that the command does not fit the present state, and the state reads as the wanted one, there is nothing to do.
func (d *device) turn(ctx context.Context, control chassis.ChassisControl, goal ha.Power) error {
	return with(ctx, d.s, func(s *session) error {
		if err := d.check(s); err != nil {
			return err
		}
		if err := s.raise(d.s.privilege); err != nil {
			return during("raising the privilege", err)
		}
		req := chassis.ChassisControlRequest{ChassisControl: control}
		a, err := s.call(types.CommandChassisControl, req.Pack())
		if err != nil || a.code == types.CodeOK {
			return err
		}
		if a.code == types.CodeNotSupported { // D5h: not in the present state
			power, err := s.power()
			if err == nil && power == goal {
				return nil
			}
			if err != nil {
				return fmt.Errorf("%w; then %w", refused(types.CommandChassisControl, a.code), err)
			}
			return fmt.Errorf("%w, yet it reads %s", refused(types.CommandChassisControl, a.code), power)
		}
		return refused(types.CommandChassisControl, a.code)
	})
}

// check keeps another machine from being switched, if the settings say which one it must be.
func (d *device) check(s *session) error {
	if d.s.uuid == "" {
		return nil
	}
	got, err := s.systemUUID(d.s.uuid)
	switch {
	case err != nil:
		return during("asking for the system GUID", err)
	case got == "":
		return fmt.Errorf(`%w: setting "uuid" cannot be compared, the controller tells no system GUID; nothing was sent: remove uuid and confirm the device by a test`, fencing.ErrSettings)
	case !ha.SameUUID(d.s.uuid, got):
		return fmt.Errorf("%w: it shows the system UUID %q, the settings say %q; nothing was sent", fencing.ErrWrongMachine, got, d.s.uuid)
	}
	return nil
}

// power reads the power bit. There is no bit for "powering off": that reads on.
func (s *session) power() (ha.Power, error) {
	a, err := s.call(types.CommandGetChassisStatus, nil)
	if err != nil {
		return ha.PowerUnknown, err
	}
	if a.code != types.CodeOK {
		return ha.PowerUnknown, refused(types.CommandGetChassisStatus, a.code)
	}
	return chassisPower(a.data)
}

// chassisPower takes the power out of a chassis status. An off next to a power control fault is none: the controller says
// that it tried to switch and that the machine did not follow. The other faults explain an off and stand beside an on.
func chassisPower(data []byte) (ha.Power, error) {
	var st chassis.GetChassisStatusResponse
	if len(data) < 3 || len(data) > 4 {
		return ha.PowerUnknown, fmt.Errorf("%w: a chassis status of %d bytes", fencing.ErrRubbish, len(data))
	}
	if err := st.Unpack(data); err != nil {
		return ha.PowerUnknown, fmt.Errorf("%w: chassis status: %w", fencing.ErrRubbish, err)
	}
	if st.PowerIsOn {
		return ha.PowerOn, nil
	}
	if st.PowerControlFault {
		return ha.PowerUnknown, fmt.Errorf("%w: it shows power off together with a power control fault%s: the machine did not follow a command, so its off does not count", fencing.ErrRefused, faults(st))
	}
	return ha.PowerOff, nil
}

// faults lists what else the controller says is wrong with the power.
func faults(st chassis.GetChassisStatusResponse) string {
	var b strings.Builder
	for _, f := range []struct {
		set  bool
		name string
	}{{st.PowerFault, "power fault"}, {st.PowerOverload, "power overload"}, {st.InterLock, "interlock"}, {st.ACFailed, "mains failed"}} {
		if f.set {
			b.WriteString(", " + f.name)
		}
	}
	return b.String()
}
