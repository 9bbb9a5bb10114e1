package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"bascule/ha"
	"bascule/ha/api"
	"bascule/ha/api/apitest"
	"bascule/ha/setup/doctor"
)

// TestEveryProblemHasItsPage: whatever hactl status tells, hactl doctor explain knows.
func TestEveryProblemHasItsPage(t *testing.T) {
	named := map[string]bool{}
	files, err := filepath.Glob("../../ha/api/problems*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`about\("([^"]+)"\)`).FindAllStringSubmatch(string(text), -1) {
			named[m[1]] = true
		}
	}
	if len(named) < 10 {
		t.Fatalf("only %d ids found in ha/api: this test looks for them in the wrong way", len(named))
	}
	for id := range named {
		if _, ok := doctor.Explain(id); !ok {
			t.Errorf("hactl status has problems with the id %s, and hactl doctor no page for it", id)
		}
	}
	for scene, view := range apitest.Scenes {
		for _, p := range api.BuildStatus(view()).Problems {
			if !named[p.ID] {
				t.Errorf("%s: a problem without an id: %+v", scene, p)
			}
		}
	}
}

// TestTakeStatuses: the first status that knows the cluster tells its state; of several that tell of the same, one is listened to.
func TestTakeStatuses(t *testing.T) {
	r := &round{own: "node1", statuses: map[ha.NodeName]api.Status{}, cluster: doctor.Cluster{States: map[ha.NodeName]ha.NodeState{}}}
	for i, n := range []ha.NodeName{"node1", "node2"} {
		r.cluster.Members = append(r.cluster.Members, ha.Member{Name: n})
		s := api.Status{Health: api.HealthDegraded, Nodes: []api.Node{{Name: "node1", State: ha.NodeOnline}, {Name: "node2", State: ha.NodeSuspect}}, Guests: []api.Guest{{VMID: 101}},
			Problems: []api.Problem{{ID: "node-state", Severity: api.Warning, Subject: "node node2", What: []string{"for 5 s", "for 6 s"}[i]}, {ID: "node-state", Severity: api.Warning, Subject: "node node2", What: "and more"}}}
		if n == "node1" {
			s.Health, s.Nodes, s.Guests = api.HealthUnknown, nil, nil
		} else {
			s.Problems = append(s.Problems, api.Problem{ID: "permit-none", Severity: api.Critical, Subject: "node node2", What: "no permit"})
		}
		r.statuses[n] = s
	}
	r.takeStatuses()
	var got []string
	for _, p := range r.cluster.Problems {
		got = append(got, p.ID+" "+p.What)
	}
	if want := []string{"node-state for 5 s", "node-state and more", "permit-none no permit"}; !slices.Equal(got, want) {
		t.Errorf("problems %q", got)
	}
	if r.cluster.States["node2"] != ha.NodeSuspect || len(r.cluster.Guests) != 1 {
		t.Errorf("state %+v", r.cluster)
	}
}

// TestFenceTestOf: the operator's hand is no device.
func TestFenceTestOf(t *testing.T) {
	got := fenceTestOf(api.FenceTest{Node: "node1", Nodes: []api.FenceTestNode{{Node: "node2", Provable: true, SelfFence: api.FenceTestSelf{Armed: true},
		Levels: [][]api.FenceTestDevice{{{Name: "bmc", Usable: true}}, {{Name: "manual", Kind: ha.ManualDevice}}}}}})
	if n := got.Nodes[0]; got.By != "node1" || !n.Provable || !n.Armed || len(n.Devices) != 1 || n.Devices[0].Name != "bmc" {
		t.Errorf("%+v", got)
	}
}
