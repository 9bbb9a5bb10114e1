package node

import (
	"slices"
	"testing"

	"bascule/ha"
)

func TestReportNamesSlotsOnlyWhenTheGuardObeys(t *testing.T) {
	c := Config{Self: "n1", Incarnation: "boot1"}
	good := Circumstances{Obeys: true, Guard: ha.GuardStatus{Connected: true, Slots: []string{"sbd"}, SlotsSeen: true, SlotsHeld: true}}
	for name, change := range map[string]func(x *Circumstances){
		"the guard was not told": func(x *Circumstances) { x.Obeys = false },
		"the guard is silent":    func(x *Circumstances) { x.Guard.Connected = false },
		"the disks are not seen": func(x *Circumstances) { x.Guard.SlotsSeen = false },
		"the node leaves":        func(x *Circumstances) { x.Leaving = true },
		"it has no slot":         func(x *Circumstances) { x.Guard.Slots = nil },
		"":                       func(*Circumstances) {},
	} {
		x := good
		change(&x)
		if got := c.Report(x).Watches; slices.Equal(got, []string{"sbd"}) != (name == "") {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestAboutSlots(t *testing.T) {
	c := Config{Self: "n1", Incarnation: "boot1"}
	says := func(inc ha.Incarnation, watches ...string) ha.NodeReport {
		return ha.NodeReport{Incarnation: inc, Watches: watches}
	}
	seen := ha.GuardStatus{Connected: true, Slots: []string{"sbd"}, SlotsSeen: true, SlotsHeld: true}
	lost := seen
	lost.SlotsSeen = false
	free := lost
	free.SlotsHeld = false
	for _, x := range []struct {
		name   string
		guard  ha.GuardStatus
		obeys  bool
		stored ha.NodeReport
		want   SlotsWord
	}{
		{"no guard", ha.GuardStatus{}, false, says("boot1"), SlotsNone},
		{"no slot", ha.GuardStatus{Connected: true}, false, says("boot1"), SlotsNone},
		{"it comes into sight", seen, false, says("boot1"), SlotsObey},
		{"it obeys", seen, true, says("boot1", "sbd"), SlotsNone},
		{"lost, the store counts on it", lost, false, says("boot1", "sbd"), SlotsNone},
		{"lost, nobody knows what the store says", lost, false, ha.NodeReport{}, SlotsNone},
		{"lost, the store has another boot's word", lost, false, says("boot0"), SlotsNone},
		{"lost, the store says so", lost, false, says("boot1"), SlotsRelease},
		{"lost, a report that says otherwise may be on its way", lost, true, says("boot1"), SlotsNone},
		{"released", free, false, says("boot1"), SlotsNone},
	} {
		if got := c.AboutSlots(x.guard, x.obeys, x.stored); got != x.want {
			t.Errorf("%s: %q, want %q", x.name, got, x.want)
		}
	}
}
