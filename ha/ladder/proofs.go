package ladder

import (
	"fmt"
	"strings"

	"bascule/ha"
)

// passiveProofs builds the proofs that need no command: they count in every walk and at every level.
func (w *walk) passiveProofs() {
	f := w.Facts
	if f.Registered != "" && f.Registered != f.Incarnation {
		if f.SystemUUID != "" && f.RegUUID != "" && !ha.SameUUID(f.SystemUUID, f.RegUUID) {
			w.step("", "wait", fmt.Sprintf("another machine (system UUID %s, formerly %s) registered as %s: its boot proves nothing about the old one", f.RegUUID, f.SystemUUID, f.Node))
		} else {
			w.prove(ha.NewBoot, fmt.Sprintf("%s registered again with boot id %s", f.Node, f.Registered))
			return
		}
	}
	silent := f.LeaseGone && !f.GossipAlive || f.Registered != "" && f.Registered != f.Incarnation
	if c := f.Confirmed; c != nil && silent && c.Kind == ha.RequestConfirmOff && c.Node == f.Node && c.Incarnation == f.Incarnation {
		w.prove(ha.OperatorConfirmed, fmt.Sprintf("%s confirmed at %s that %s is off", c.By, c.At.UTC().Format("15:04:05 MST"), f.Node))
		return
	}
	for i, level := range w.Plan.Levels {
		if ev, ok := w.levelOff(level); ok {
			if f.GossipAlive {
				w.step("", "wait", fmt.Sprintf("level %d reads off, but %s still answers gossip: not believed", i+1, f.Node))
				w.wakeAt(w.Now.Add(w.Timing.DevicePoll))
				continue
			}
			w.prove(ha.PowerOffConfirmed, ev)
			return
		}
	}
	w.selfFence()
}

// levelOff says whether all switching devices of a level are identified for this incarnation and confirmed off, just now: readings
// of an earlier suspicion prove nothing.
func (w *walk) levelOff(level []Device) (evidence string, ok bool) {
	var names []string
	for _, d := range level {
		if !d.Switches {
			return "", false
		}
		m := w.out.Memory.Devices[d.Name]
		fresh := w.Now.Sub(m.LastAnswer) <= w.Timing.DeviceTimeout+5*w.Timing.OffReadGap
		if !m.Confirmed || !fresh || !w.check(d.Name).Identified(w.Facts.Incarnation) {
			return "", false
		}
		how := "read off twice"
		if m.OffAccept != 0 {
			how = "switched off and read back off"
		}
		names = append(names, d.Name+" "+how)
	}
	return strings.Join(names, ", "), len(names) > 0
}

// selfFence is the proof by time: an armed incarnation has ended its guests or itself when W has passed since
// this leader first saw its lease gone. An incarnation whose lease stands, or that is not armed, gives none.
func (w *walk) selfFence() {
	f := w.Facts
	if !f.Armed || !f.LeaseGone {
		return
	}
	at := f.GoneSince.Add(f.Timing.SelfFence())
	if w.Now < at {
		w.wakeAt(at)
		return
	}
	w.prove(ha.SelfFenceElapsed, fmt.Sprintf("%s was armed and its lease has been gone for %v (W = %v)", f.Node, w.Now.Sub(f.GoneSince), f.Timing.SelfFence()))
}
