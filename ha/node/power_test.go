package node

import (
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/ladder"
)

// TestADeputyKeepsWhatReadTheLeaderOff for the leader that it may become, until the member shows life or its device reads on again.
func TestADeputyKeepsWhatReadTheLeaderOff(t *testing.T) {
	const inc = ha.Incarnation("boot-n2")
	uuid := "4c4c4544-0001-0001-0001-000000000002"
	deputy := func(t *testing.T) *world {
		w := ready(t)
		w.c.Plans = map[ha.NodeName]ladder.Plan{"n2": {Levels: [][]ladder.Device{{{Name: "bmc", Kind: ha.PowerDevice}}}}}
		w.s.Leader = &ha.LeaderRecord{Node: "n2", Incarnation: inc, Lease: 9}
		w.s.Nodes = map[ha.NodeName]ha.NodeRecord{"n2": {Node: "n2", Incarnation: inc, SystemUUID: uuid,
			Devices: []ha.DeviceCheck{{Device: "bmc", Incarnation: inc, ReadOn: true, UUIDMatched: true}}}}
		w.now = max(w.now, w.s.Lease.Quiet)
		w.s.Lease.Deadline = w.now.Add(time.Minute)
		w.ev(GossipSeen{View: map[ha.NodeName]ha.GossipView{"n2": {Known: true, Alive: false}}})
		return w
	}
	answer := func(w *world, p ha.Power) {
		c := want[ReadPower](w).Command
		w.ev(PowerRead{Reading: ha.DeviceReading{Device: c.Device, Node: c.Node, Incarnation: c.Incarnation, Action: c.Action, Asked: w.now, Answered: w.now, Power: p, SystemUUID: uuid}})
	}
	handed := func(w *world) ladder.DeviceMemory {
		return w.s.Off["n2"].Handed(w.now, w.c.Timing).Devices["bmc"]
	}
	off := deputy(t)
	answer(off, ha.PowerOff)
	if d := handed(off); d.FirstOff == 0 || d.Confirmed {
		t.Fatalf("after one reading: %+v", d)
	}
	off.now = off.now.Add(off.c.Timing.OffReadGap)
	off.ev(Tick{})
	answer(off, ha.PowerOff)
	if got := want[RevokeLease](off); got.Node != "n2" || got.ID != 9 {
		t.Fatalf("revokes %+v", got)
	}
	off.s.Leader = nil // revoked: nobody is watched any more
	off.ev(Tick{})
	if d := handed(off); !d.Confirmed || d.InFlight != "" || off.s.Off["n2"].Incarnation != inc {
		t.Fatalf("after the election: %+v", off.s.Off)
	}
	for name, then := range map[string]func(w *world){
		"it shows life": func(w *world) {
			w.ev(GossipSeen{View: map[ha.NodeName]ha.GossipView{"n2": {Known: true, Alive: true}}})
		},
		"time passes": func(w *world) { w.now = w.now.Add(time.Minute) },
		"it reads on": func(w *world) {
			w.now = w.now.Add(w.c.Timing.OffReadGap)
			w.ev(Tick{})
			answer(w, ha.PowerOn)
		},
		"it does not answer": func(w *world) {
			w.now = w.now.Add(w.c.Timing.OffReadGap)
			w.ev(Tick{})
			c := want[ReadPower](w).Command
			w.ev(PowerRead{Reading: ha.DeviceReading{Device: c.Device, Node: c.Node, Incarnation: c.Incarnation, Action: c.Action, Asked: w.now, Answered: w.now, Problem: "no route"}})
		},
	} {
		w := deputy(t)
		answer(w, ha.PowerOff)
		then(w)
		if d := handed(w); d.FirstOff != 0 {
			t.Errorf("%s: %+v", name, d)
		}
	}
}
