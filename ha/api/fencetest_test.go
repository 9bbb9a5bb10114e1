package api_test

import (
	"errors"
	"strings"
	"testing"

	"bascule/ha"
	"bascule/ha/api"
	"bascule/ha/api/apitest"
	"bascule/ha/waittest"
)

func TestFenceTest(t *testing.T) {
	for _, c := range []struct {
		scene    func() api.View
		node     ha.NodeName
		verdicts []string
		provable []bool
	}{
		{apitest.Well, "node2", []string{"node2 would be proven off by bmc-node2 (PowerOffConfirmed); without it by its own watchdog 14.5 s after its lease has ended"}, []bool{true}},
		{apitest.Ladders, "", []string{
			"node1 would be proven off by bmc-node1 (PowerOffConfirmed); without it by its own watchdog 14.5 s after its lease has ended",
			"node2 would be proven off by sbd-node2 (PoisonPill, 20 s after its message is read back); guests with all their disks on ceph-vm and cephfs would be free as soon as ceph-node2 reads them revoked (StorageRevoked); without it by its own watchdog 14.5 s after its lease has ended",
			"nothing could prove node3's end: its guests would wait for a person only (hactl confirm-off node3), or its next boot; but guests with all their disks on ceph-vm and cephfs would be free as soon as ceph-node3 reads them revoked (StorageRevoked)",
		}, []bool{true, true, false}},
		{apitest.Troubles, "node2", []string{"no device could prove node2 off today (bmc-node2 could not); it would be proven ended by its own watchdog 14.5 s after its lease has ended"}, []bool{false}},
		{apitest.Troubles, "node3", []string{"nothing could prove node3's end: its guests would wait for a person only (hactl confirm-off node3), or its next boot"}, []bool{false}},
		{apitest.LyingBMC, "node2", []string{"node2 is fencing: its devices are left to the leader, which needs them now; hactl status shows what they say"}, []bool{false}},
	} {
		client, _ := serve(t, apitest.NewFake(c.scene()))
		got, err := client.FenceTest(t.Context(), c.node)
		if err != nil || len(got.Nodes) != len(c.verdicts) {
			t.Fatalf("%v: %+v", err, got)
		}
		for i, n := range got.Nodes {
			if n.Verdict != c.verdicts[i] || n.Provable != c.provable[i] {
				t.Errorf("%s provable %v: %s", n.Node, n.Provable, n.Verdict)
			}
		}
	}
}

func TestFenceTestNeedsAllOfALevel(t *testing.T) {
	f := apitest.NewFake(apitest.Well())
	pair := func(second bool) api.FenceTestNode {
		return api.FenceTestNode{Node: "n", Incarnation: "b", Levels: [][]api.FenceTestDevice{{
			{Name: "left", Kind: ha.PowerDevice, Usable: true, Proof: ha.PowerOffConfirmed}, {Name: "right", Kind: ha.PowerDevice, Usable: second, Proof: ha.PowerOffConfirmed}}}}
	}
	for second, want := range map[bool]string{true: "left and right (all of them; PowerOffConfirmed)", false: "nothing could prove n's end today (right could not)"} {
		f.FenceTestIs(api.FenceTest{Nodes: []api.FenceTestNode{pair(second)}})
		client, _ := serve(t, f)
		got, err := client.FenceTest(t.Context(), "")
		if err != nil || got.Nodes[0].Provable != second || !strings.Contains(got.Nodes[0].Verdict, want) {
			t.Errorf("%v: %+v", err, got)
		}
	}
}

func TestFenceTestOfAResetService(t *testing.T) {
	robot := api.FenceTestDevice{Name: "robot", Kind: ha.ResetDevice, Usable: true, Proof: ha.NewBoot}
	locked := robot
	locked.Usable, locked.Name = false, "locked"
	bmc := api.FenceTestDevice{Name: "bmc", Kind: ha.PowerDevice, Usable: true, Proof: ha.PowerOffConfirmed}
	for _, c := range []struct {
		levels   [][]api.FenceTestDevice
		provable bool
		verdict  string
	}{
		{[][]api.FenceTestDevice{{robot}}, true, "n would be reset by robot, and proven ended by its next boot (NewBoot) if it comes up again; without it by a person only"},
		{[][]api.FenceTestDevice{{robot, locked}}, true, "n would be reset by robot, and"},
		{[][]api.FenceTestDevice{{locked}}, false, "nothing could prove n's end today (locked could not)"},
		{[][]api.FenceTestDevice{{robot}, {bmc}}, true, "n would be proven off by bmc (PowerOffConfirmed)"},
	} {
		f := apitest.NewFake(apitest.Well())
		f.FenceTestIs(api.FenceTest{Nodes: []api.FenceTestNode{{Node: "n", Incarnation: "b", Levels: c.levels}}})
		client, _ := serve(t, f)
		got, err := client.FenceTest(t.Context(), "")
		if err != nil || got.Nodes[0].Provable != c.provable || !strings.Contains(got.Nodes[0].Verdict, c.verdict) {
			t.Errorf("%v: %+v, want %q", err, got, c.verdict)
		}
	}
}

func TestFenceTestRefused(t *testing.T) {
	witness := func() api.View {
		v := apitest.Well()
		v.Members = append(v.Members, ha.Member{Name: "w", Witness: true})
		return v
	}
	for _, c := range []struct {
		scene func() api.View
		node  ha.NodeName
		code  int
		want  string
	}{
		{apitest.Well, "node9", 409, `knows no node "node9": name one of: node1, node2, node3`},
		{apitest.Starting, "", 503, "has not been read"},
		{witness, "w", 409, "never fenced"},
	} {
		f := apitest.NewFake(c.scene())
		client, _ := serve(t, f)
		_, err := client.FenceTest(t.Context(), c.node)
		var refused *api.Error
		if !errors.As(err, &refused) || refused.Code != c.code || !strings.Contains(refused.Message+refused.Do, c.want) && !strings.Contains(refused.Error(), c.want) || refused.Do == "" {
			t.Errorf("%s: %v", c.node, err)
		}
		if f.FenceTests() != 0 {
			t.Errorf("%s: refused and done", c.node)
		}
	}
}

// TestOneFenceTestAtATime: the second one is told so, whatever listener it comes by, and the next one after the first has ended runs.
func TestOneFenceTestAtATime(t *testing.T) {
	f := apitest.NewFake(apitest.Well())
	hold := make(chan struct{})
	f.HoldFenceTests(hold)
	client, _ := serve(t, f)
	first := make(chan error, 1)
	go func() {
		_, err := client.FenceTest(t.Context(), "")
		first <- err
	}()
	waittest.Until(t, waittest.Hang, "the first one has begun", func() bool { return f.FenceTests() == 1 })
	_, err := client.FenceTest(t.Context(), "node2")
	var refused *api.Error
	if !errors.As(err, &refused) || refused.Code != 409 || !strings.Contains(refused.Message, "a fence test runs here already") || refused.Do == "" {
		t.Errorf("second: %v", err)
	}
	close(hold)
	if err := <-first; err != nil {
		t.Errorf("first: %v", err)
	}
	if _, err := client.FenceTest(t.Context(), "node2"); err != nil || f.FenceTests() != 2 {
		t.Errorf("third: %v, %d runs", err, f.FenceTests())
	}
}
