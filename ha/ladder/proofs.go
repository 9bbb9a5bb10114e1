package ladder

import (
	"fmt"
	"strings"
	"time"

	"bascule/ha"
)

// completeProof looks for a proof that covers the whole incarnation. All but the poison pill need no command: they count in every
// walk and at every level.
func (w *walk) completeProof() {
	w.deliver()
	f := w.Facts
	if f.Registered != "" && f.Registered != f.Incarnation {
		if f.SystemUUID != "" && f.RegUUID != "" && !ha.SameUUID(f.SystemUUID, f.RegUUID) {
			w.step("", "wait", fmt.Sprintf("another machine (system UUID %s, formerly %s) registered as %s: its boot proves nothing about the old one", f.RegUUID, f.SystemUUID, f.Node))
		} else {
			w.prove(ha.NewBoot, nil, fmt.Sprintf("%s registered again with boot id %s", f.Node, f.Registered))
			return
		}
	}
	silent := f.LeaseGone && !f.GossipAlive || f.Registered != "" && f.Registered != f.Incarnation
	if c := f.Confirmed; c != nil && silent && c.Kind == ha.RequestConfirmOff && c.Node == f.Node && c.Incarnation == f.Incarnation {
		w.prove(ha.OperatorConfirmed, nil, fmt.Sprintf("%s confirmed at %s that %s is off", c.By, c.At.UTC().Format("15:04:05 MST"), f.Node))
		return
	}
	for i, level := range w.Plan.Levels {
		if ev, ok := w.levelOff(level); ok && w.believed(i, "reads off", !f.GossipAlive) {
			w.prove(ha.PowerOffConfirmed, nil, ev)
			return
		}
		if ev, ok := w.levelPoisoned(level); ok && w.believed(i, "has had its message for msgwait", f.LeaseGone && !f.GossipAlive) {
			w.prove(ha.PoisonPill, nil, ev)
			return
		}
	}
	w.selfFence()
}

// believed says whether the node's silence agrees with what a level's devices say. A sign of life means that they are wrong, or
// another machine's.
func (w *walk) believed(level int, what string, silent bool) bool {
	if !silent {
		w.step("", "wait", fmt.Sprintf("level %d %s, but %s still shows life: not believed", level+1, what, w.Facts.Node))
		w.wakeAt(w.Now.Add(w.Timing.DevicePoll))
	}
	return silent
}

// levelOff says whether all power devices of a level are identified for this incarnation and confirmed off, just now: readings
// of an earlier suspicion prove nothing. A level that also wants a person proves nothing by power alone.
func (w *walk) levelOff(level []Device) (evidence string, ok bool) {
	var names []string
	for _, d := range level {
		if !d.Kind.Acts() {
			return "", false
		}
		if d.Kind != ha.PowerDevice {
			continue
		}
		m := w.out.Memory.Devices[d.Name]
		if !m.Confirmed || !fresh(w.Now, m, w.Timing) || d.Unusable(w.Facts) != "" {
			return "", false
		}
		how := "read off twice"
		if m.Accepted != 0 {
			how = "switched off and read back off"
		}
		names = append(names, d.Name+" "+how)
	}
	return strings.Join(names, ", "), len(names) > 0
}

// selfFence is the proof by time: an armed incarnation has ended its guests or itself when W has passed since
// this leader first saw its lease gone. An incarnation whose lease stands, or that is not armed, gives none. A lease that we
// ended before its time says nothing about the permit, which may run on for what the lease had left.
func (w *walk) selfFence() {
	f := w.Facts
	if !f.Armed || !f.LeaseGone {
		return
	}
	wait := f.Timing.SelfFence()
	if w.Record != nil && w.Record.LeaseRevoked {
		wait += f.Timing.LeaseTTL
	}
	at := f.GoneSince.Add(wait)
	if w.Now < at {
		w.wakeAt(at)
		return
	}
	w.prove(ha.SelfFenceElapsed, nil, fmt.Sprintf("%s was armed and its lease has been gone for %v (W = %v)", f.Node, w.Now.Sub(f.GoneSince).Round(time.Millisecond), wait))
}
