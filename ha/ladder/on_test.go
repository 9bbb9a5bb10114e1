package ladder

import (
	"slices"
	"testing"
	"time"

	"bascule/ha"
)

// A machine that still reads on because our "off" has yet to take effect does not run again: it is told to when it has been off
// (simulator, seed 2413).
func TestOnCountsOnlyAfterOff(t *testing.T) {
	tm, _ := ha.Profile("normal")
	in := Input{Now: 100e9, Deadline: 1e15, Timing: tm, Plan: Plan{After: SwitchOn, Levels: [][]Device{{{Name: "bmc", Kind: ha.PowerDevice}}}},
		Facts:  Facts{Node: node, Incarnation: inc, SystemUUID: "4c4c4544-0051-3010-8051-b4c04f4a3232", Checks: []ha.DeviceCheck{{Device: "bmc", Kind: ha.PowerDevice, Incarnation: inc, ReadOn: true, UUIDMatched: true}}},
		Record: &ha.FenceRecord{Node: node, Incarnation: inc, Commanded: []string{"bmc"}}}
	var mem OnMemory
	answer := func(power ha.Power) (told int) {
		t.Helper()
		for range 40 { // until the device is asked
			var out Output
			out, mem = SwitchOnAgain(in, mem)
			in.Record, in.Readings = out.Record, nil
			told += len(out.Commands)
			asked := slices.Concat(out.Reads, out.Commands)
			if len(asked) == 1 {
				in.Readings = []ha.DeviceReading{{Device: "bmc", Node: node, Incarnation: inc, Action: asked[0].Action, Asked: in.Now, Power: power, SystemUUID: "4c4c4544-0051-3010-8051-b4c04f4a3232"}}
				out, mem = SwitchOnAgain(in, mem)
				in.Record, in.Readings = out.Record, nil
				return told + len(out.Commands)
			}
			in.Now = in.Now.Add(time.Second)
		}
		return told
	}
	for range 3 {
		if told := answer(ha.PowerOn); told != 0 || in.Record.RunsAgain {
			t.Fatalf("still on: told %d times, %+v", told, in.Record)
		}
	}
	if told := answer(ha.PowerOff); told != 1 || in.Record.RunsAgain {
		t.Fatalf("off: told %d times, %+v", told, in.Record)
	}
	mem = OnMemory{} // another leader
	if told := answer(ha.PowerOn); told != 0 || !in.Record.RunsAgain {
		t.Fatalf("on after that: told %d times, %+v", told, in.Record)
	}
}
