package proxmox

import (
	"context"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bascule/ha"
)

const twoNodes = "nodelist {\n node {\n name: pve2\n }\n node {\n name: pve1\n quorum_votes: 2\n }\n}\nquorum {\n device {\n net {\n host: 10.0.0.9\n }\n }\n}\n"

func TestVotesAreRead(t *testing.T) {
	want := &ha.CorosyncVotes{Nodes: []ha.CorosyncVote{{Node: "pve1", Votes: 2}, {Node: "pve2", Votes: 1}}, QDevice: 1, QDeviceHost: "10.0.0.9"}
	inv, err := inventoryPVE(t).driver(t, newTree(map[string]string{"corosync.conf": twoNodes})).Inventory(context.Background())
	if diff := cmp.Diff(want, inv.Votes); diff != "" || err != nil || len(inv.Problems) > 0 {
		t.Errorf("%v, %q\n%s", err, inv.Problems, diff)
	}
}

// What cannot be read claims nothing, and is said; a node without a cluster has no such file, and that is no problem.
func TestVotesThatCannotBeRead(t *testing.T) {
	for name, text := range map[string]string{"half a file": "nodelist {\n node {\n name: a\n", "odd votes": "nodelist {\n node {\n name: a\n quorum_votes: many\n }\n}\n"} {
		got, err := newFakePVE(t).driver(t, newTree(map[string]string{"corosync.conf": text})).votes(context.Background())
		if got != nil || err == nil || !strings.Contains(err.Error(), "corosync.conf on n1 cannot be read") {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if got, err := newFakePVE(t).driver(t, newTree(nil)).votes(context.Background()); got != nil || err != nil {
		t.Errorf("without a cluster: %+v, %v", got, err)
	}
	inv, err := inventoryPVE(t).driver(t, newTree(nil).fail("read", "corosync.conf", syscall.EIO)).Inventory(context.Background())
	if err != nil || len(inv.Problems) != 1 || !strings.Contains(inv.Problems[0], "corosync.conf") {
		t.Errorf("an unreadable file must be said and hold nothing up: %v, %v", inv.Problems, err)
	}
}
