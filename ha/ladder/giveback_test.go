package ladder

import (
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha"
)

// giver steps GiveBack for a boot whose access to ceph was taken away.
type giver struct {
	in  Input
	mem BackMemory
}

func newGiver() *giver {
	t, _ := ha.Profile("normal")
	return &giver{in: Input{Now: 100e9, Deadline: 1e15, Timing: t, Plan: Plan{Levels: [][]Device{{{Name: "ceph", Kind: ha.StorageDevice, Storages: []string{"ceph"}}, {Name: "bmc", Kind: ha.PowerDevice}}}},
		Facts:  Facts{Node: node, Incarnation: inc},
		Record: &ha.FenceRecord{Node: node, Incarnation: inc, Commanded: []string{"ceph", "bmc"}, Clients: []string{"ip:10.0.0.2"}}}}
}

func (g *giver) step(problem ...string) (commands []ha.DeviceCommand, left string, done bool) {
	g.in.Readings = nil
	for _, p := range problem {
		g.in.Readings = append(g.in.Readings, ha.DeviceReading{Device: "ceph", Node: node, Incarnation: inc, Action: ha.DeviceRestore, Asked: g.in.Now, Problem: p})
	}
	out, mem, left, done := GiveBack(g.in, g.mem)
	g.mem, g.in.Record = mem, out.Record
	return out.Commands, left, done
}

func TestGiveBackAsksEachStorageDeviceOnce(t *testing.T) {
	g := newGiver()
	c, _, done := g.step()
	if done || len(c) != 1 || c[0].Device != "ceph" || c[0].Action != ha.DeviceRestore || !slices.Equal(c[0].Clients, []string{"ip:10.0.0.2"}) || c[0].Deadline != g.in.Deadline {
		t.Fatalf("%+v, done %v", c, done)
	}
	if c, _, done := g.step(); done || len(c) != 0 {
		t.Fatalf("while the answer is awaited: %+v, done %v", c, done)
	}
	if c, left, done := g.step(""); !done || left != "" || len(c) != 0 || !slices.Equal(g.in.Record.GivenBack, []string{"ceph"}) {
		t.Fatalf("accepted: %+v, %q, done %v, record %+v", c, left, done, g.in.Record)
	}
	g.mem = BackMemory{} // another leader
	if c, _, done := g.step(); !done || len(c) != 0 {
		t.Fatalf("asked twice: %+v, done %v", c, done)
	}
}

func TestGiveBackEndsWithADeviceThatRefuses(t *testing.T) {
	g := newGiver()
	told := 0
	for range 300 {
		c, left, done := g.step("not today")
		told += len(c)
		if done {
			if told != backTries || !strings.Contains(left, "not today") || !strings.Contains(left, "by hand") {
				t.Fatalf("told %d times, %q", told, left)
			}
			return
		}
		g.in.Now = g.in.Now.Add(time.Second)
	}
	t.Fatal("it never ends")
}

func TestGiveBackNeedsTimeOfTheLeadership(t *testing.T) {
	g := newGiver()
	g.in.Deadline = g.in.Now.Add(g.in.Timing.DeviceTimeout)
	if c, _, done := g.step(); done || len(c) != 0 {
		t.Fatalf("%+v, done %v", c, done)
	}
}
