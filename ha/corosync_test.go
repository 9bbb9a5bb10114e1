package ha

import (
	"slices"
	"strings"
	"testing"
)

func votes(device int, each ...int) *CorosyncVotes {
	v := &CorosyncVotes{QDevice: device}
	for i, n := range each {
		v.Nodes = append(v.Nodes, CorosyncVote{Node: NodeName([]string{"a", "b", "c", "d"}[i]), Votes: n})
	}
	return v
}

// Whose death leaves the others without corosync's quorum, with the quorum device and without it.
func TestVotesThatOutlastANode(t *testing.T) {
	for _, c := range []struct {
		name           string
		v              *CorosyncVotes
		fatal, without []NodeName
	}{
		{"not known", nil, nil, nil},
		{"one node", votes(0, 1), nil, nil},
		{"two nodes", votes(0, 1, 1), []NodeName{"a", "b"}, []NodeName{"a", "b"}},
		{"two nodes and a device", votes(1, 1, 1), nil, []NodeName{"a", "b"}},
		{"two_node", &CorosyncVotes{Nodes: votes(0, 1, 1).Nodes, TwoNode: true}, nil, nil},
		{"three nodes", votes(0, 1, 1, 1), nil, nil},
		{"three nodes and a device of two", votes(2, 1, 1, 1), nil, []NodeName{"a", "b", "c"}},
		{"one heavy node", votes(0, 3, 1, 1), []NodeName{"a"}, []NodeName{"a"}},
		{"four nodes", votes(0, 1, 1, 1, 1), nil, nil},
	} {
		if got := c.v.Fatal(); !slices.Equal(got, c.fatal) {
			t.Errorf("%s: the loss of %v, want %v", c.name, got, c.fatal)
		}
		if got := c.v.FatalWithout(); !slices.Equal(got, c.without) {
			t.Errorf("%s without the device: the loss of %v, want %v", c.name, got, c.without)
		}
		if says := c.v.Remedy(); (says == "") != (len(c.fatal) == 0) || says != "" && !strings.Contains(says, "pvecm qdevice setup") {
			t.Errorf("%s: %q", c.name, says)
		}
	}
}
