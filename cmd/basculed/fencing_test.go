package main

import (
	"reflect"
	"testing"
	"time"

	"bascule/config"
	"bascule/ha"
	"bascule/ha/ladder"
	"bascule/ha/leader"
)

// What the file says about fencing reaches the leader's machine.
func TestFenceSettingsReachTheLeader(t *testing.T) {
	members := "cluster: lab\nnode: node1\nmembers:\n  - {name: node1, address: 10.0.0.1}\n  - {name: node2, address: 10.0.0.2}\n  - {name: w, address: 10.0.0.3, witness: true}\n"
	voters := []ha.NodeName{"node1", "node2", "w"}
	for _, tt := range []struct {
		fencing string
		limits  leader.FenceLimits
		after   ladder.After // of node2
	}{
		{"", leader.FenceLimits{MaxConcurrent: 4, MinHealthy: 51, Voters: voters}, ladder.StayOff},
		{"fencing: {max_concurrent: 2, min_healthy: 60, priority_delay: 10s, after: on}\n",
			leader.FenceLimits{MaxConcurrent: 2, MinHealthy: 60, PriorityDelay: 10 * time.Second, Voters: voters}, ladder.SwitchOn},
		{"fencing: {after: on, node_after: {node2: stay-off}}\n", leader.FenceLimits{MaxConcurrent: 4, MinHealthy: 51, Voters: voters}, ladder.StayOff},
		{"fencing: {node_after: {node2: on}}\n", leader.FenceLimits{MaxConcurrent: 4, MinHealthy: 51, Voters: voters}, ladder.SwitchOn},
	} {
		cfg, err := config.Parse("test.yaml", []byte(members+tt.fencing))
		if err != nil {
			t.Fatal(err)
		}
		_, plans, err := fencePlans(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if got := fenceLimits(cfg); !sameLimits(got, tt.limits) {
			t.Errorf("%q: %+v, want %+v", tt.fencing, got, tt.limits)
		}
		if got := plans["node2"].After; got != tt.after {
			t.Errorf("%q: after %q, want %q", tt.fencing, got, tt.after)
		}
	}
}

// sameLimits compares without regard to the order of the voters, which nothing depends on.
func sameLimits(a, b leader.FenceLimits) bool {
	in := func(names []ha.NodeName) map[ha.NodeName]bool {
		out := map[ha.NodeName]bool{}
		for _, n := range names {
			out[n] = true
		}
		return out
	}
	va, vb := in(a.Voters), in(b.Voters)
	a.Voters, b.Voters = nil, nil
	return reflect.DeepEqual(a, b) && reflect.DeepEqual(va, vb)
}
