package apitest

import (
	"context"
	"fmt"

	"bascule/ha"
	"bascule/ha/api"
)

// FenceTest implements api.Backend: what a daemon would find whose devices are as the view's records have them, each in a level of its
// own, then a person.
func (f *Fake) FenceTest(ctx context.Context, node ha.NodeName) api.FenceTest {
	f.mu.Lock()
	v, hold, fixed := f.view, f.hold, f.fenceTest
	f.fenceTests++
	f.mu.Unlock()
	if fixed != nil {
		return *fixed
	}
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
		}
	}
	t := api.FenceTest{Node: v.Self, At: v.Wall, SnapshotAge: v.SnapshotAge.Seconds(), Nodes: []api.FenceTestNode{}}
	if v.Snapshot.Leader != nil {
		t.Leader = v.Snapshot.Leader.Node
	}
	for i, m := range v.Members {
		if !m.Witness && (node == "" || node == m.Name) {
			t.Nodes = append(t.Nodes, fenceTestNode(v, m.Name, int64(180+37*i)))
		}
	}
	return t
}

// FenceTestIs fixes what fence tests find.
func (f *Fake) FenceTestIs(t api.FenceTest) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fenceTest = &t
}

// HoldFenceTests lets fence tests, and doctors, end only when c is closed.
func (f *Fake) HoldFenceTests(c <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hold = c
}

// FenceTests counts the fence tests that were begun.
func (f *Fake) FenceTests() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fenceTests
}

func fenceTestNode(v api.View, name ha.NodeName, took int64) api.FenceTestNode {
	rec, rep := v.Snapshot.Nodes[name].Rec, v.Snapshot.Reports[name].Rec
	n := api.FenceTestNode{Node: name, State: rec.State, Incarnation: rec.Incarnation, Levels: [][]api.FenceTestDevice{}}
	for i, c := range rec.Devices {
		d := fenceTestDevice(c, took+int64(41*i))
		if n.Busy() {
			d.Read, d.Took, d.Answer, d.Usable = false, 0, "", false
			d.Problem = "not asked: the leader needs it now"
			d.Why = d.Problem
		}
		n.Levels = append(n.Levels, []api.FenceTestDevice{d})
	}
	n.Levels = append(n.Levels, []api.FenceTestDevice{{Name: "manual", Method: "manual", Kind: ha.ManualDevice, Would: "by hand", Usable: true, Proof: ha.OperatorConfirmed}})
	n.SelfFence = api.FenceTestSelf{Armed: rep.Armed, Watchdog: rep.WatchdogDriver, After: 14.5}
	if !rep.Armed {
		n.SelfFence.After, n.SelfFence.Why = 0, fmt.Sprintf("%s has no armed watchdog: nothing makes it end itself in a known time", name)
	}
	return n
}

func fenceTestDevice(c ha.DeviceCheck, took int64) api.FenceTestDevice {
	d := api.FenceTestDevice{Name: c.Device, Method: "redfish", Kind: ha.PowerDevice, Read: true, Took: took, Answer: "on, right system UUID", Usable: c.Problem == "",
		Problem: c.Problem, Why: c.Problem, Proof: ha.PowerOffConfirmed}
	switch c.Kind {
	case ha.StorageDevice:
		d.Method, d.Kind, d.Answer, d.Proof, d.Storages = "ceph-blocklist", c.Kind, "open: ceph-vm, cephfs", ha.StorageRevoked, []string{"ceph-vm", "cephfs"}
	case ha.PoisonDevice:
		d.Method, d.Kind, d.Answer, d.Proof, d.After = "sbd", c.Kind, "message on 0 of 3 disks", ha.PoisonPill, 20
	case ha.ResetDevice:
		d.Method, d.Kind, d.Answer, d.Proof = "hetzner-robot", c.Kind, "ready to reset it", ha.NewBoot
	}
	d.Would = string(d.Kind.Action())
	if c.Problem != "" {
		d.Answer = ""
	}
	return d
}
