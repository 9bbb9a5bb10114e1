package fenceagent

import (
	"context"
	"fmt"

	"bascule/fencing"
	"bascule/ha"
)

// The actions that are ever given to an agent.
const (
	actionStatus = "status"
	actionOff    = "off"
	actionOn     = "on"
)

// device is one machine (or outlet) that an agent switches.
type device struct{ s settings }

// Read asks for the power. SystemUUID stays empty: agents do not tell.
func (d *device) Read(ctx context.Context) (fencing.Reading, error) {
	power, err := d.run(ctx, actionStatus)
	return fencing.Reading{Power: power}, err
}

// Off gives the action off. The agent itself may have found the machine off already and sent nothing.
func (d *device) Off(ctx context.Context) error { _, err := d.run(ctx, actionOff); return err }

// On gives the action on.
func (d *device) On(ctx context.Context) error { _, err := d.run(ctx, actionOn); return err }

// run starts the agent once. Program and secrets are looked at anew each time, so that an upgrade or a new password needs no
// restart.
func (d *device) run(ctx context.Context, action string) (ha.Power, error) {
	path, err := d.s.find()
	if err != nil {
		return ha.PowerUnknown, err
	}
	in, secrets, err := d.s.input(action)
	if err != nil {
		return ha.PowerUnknown, err
	}
	end, err := start(ctx, path, in)
	clear(in)
	if err != nil {
		return ha.PowerUnknown, err
	}
	scrub := scrubber(d.s.users(), secrets)
	end.stdout, end.stderr = scrub.Replace(end.stdout), scrub.Replace(end.stderr)
	if end.exited {
		return judge(action, end, d.s.exitStatusOnly)
	}
	if ctx.Err() != nil {
		return ha.PowerUnknown, fmt.Errorf("%w: the agent was ended, with all that it had started", fencing.ErrTimeout)
	}
	return ha.PowerUnknown, fmt.Errorf("%w: the agent was killed by somebody else (out of memory?)%s", fencing.ErrHelper, saying(end))
}
