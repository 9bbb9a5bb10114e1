package main

import (
	"strings"
	"testing"

	"bascule/ha/api"
)

// When basculed may be stopped: the store answers, and has its majority without this voter.
func TestWhyNotStop(t *testing.T) {
	three := []string{"node1", "node2", "node3"}
	for _, tt := range []struct {
		name string
		etcd api.Etcd
		want string
	}{
		{"all well", api.Etcd{Available: true, Voters: three, Answering: three}, ""},
		{"the only voter", api.Etcd{Available: true, Voters: three[:1], Answering: three[:1]}, ""},
		{"no voter here", api.Etcd{Available: true, Voters: []string{"node2", "node3", "w"}, Answering: []string{"node2", "node3"}}, ""},
		{"another's store", api.Etcd{Available: true, External: true, Voters: three, Answering: three[:1]}, ""},
		{"one of three is away already", api.Etcd{Available: true, Voters: three, Answering: three[:2]}, "2 must without this one; bring node3 back first"},
		{"two voters", api.Etcd{Available: true, Voters: three[:2], Answering: three[:2]}, "give the store a third one first, on a node more or on a small machine (hactl init --witness HOST)"},
		{"the store is away", api.Etcd{Voters: three, Answering: three[:1], Reason: "no leader"}, "does not answer (no leader)"},
	} {
		got := whyNotStop(api.Status{Node: "node1", Etcd: tt.etcd})
		if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
