package agent

import (
	"context"
	"sync"

	"bascule/ha"
)

// readings collects the executor's answers until the next round.
type readings struct {
	mu   sync.Mutex
	list []ha.DeviceReading
	wake func()
}

func (r *readings) add(x ha.DeviceReading) {
	r.mu.Lock()
	r.list = append(r.list, x)
	r.mu.Unlock()
	r.wake()
}

func (r *readings) take() []ha.DeviceReading {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.list
	r.list = nil
	return out
}

// device sends one command. A command that switches is sent only while our own deadline minus its time-out lies ahead (R4);
// the executor checks the same again in its own process and dies at the deadline.
func (a *Agent) device(ctx context.Context, c ha.DeviceCommand) {
	if c.Action != ha.DeviceRead && a.cfg.Now().Add(c.Timeout) >= c.Deadline {
		now := a.cfg.Now()
		a.readings.add(ha.DeviceReading{Device: c.Device, Node: c.Node, Incarnation: c.Incarnation, Action: c.Action, Asked: now, Answered: now,
			Power: ha.PowerUnknown, Problem: "not sent: too little of this leadership is certain; asked again under the next renewal"})
		return
	}
	if c.Action != ha.DeviceRead {
		a.log.WithField("node", string(c.Node)).WithField("term", int64(c.Term)).Warnf("%s: sending %q", c.Device, c.Action)
	}
	r := a.cfg.Executor.Do(ctx, c)
	if a.Lease().Term == c.Term { // an answer to an earlier leadership says nothing to this one's memory
		a.readings.add(r)
	}
}
