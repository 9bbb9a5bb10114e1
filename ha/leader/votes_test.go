package leader

import (
	"strings"
	"testing"

	"bascule/ha"
)

// Two nodes whose corosync has two votes: nothing is assigned to the survivor, although its corosync has not noticed yet; with a quorum device it is.
func TestGuestsWaitWhereCorosyncsVotesDoNotOutlastTheNode(t *testing.T) {
	for device, want := range map[int]ha.GuestState{0: ha.GuestRecovery, 1: ha.GuestStarting} {
		w := newWorld(t, 2)
		w.guest(101, ha.QEMU, "n2")
		for _, m := range w.leader.Members {
			w.report(m.Name, func(r *ha.NodeReport) {
				r.CorosyncVotes = &ha.CorosyncVotes{QDevice: device, Nodes: []ha.CorosyncVote{{Node: "n1", Votes: 1}, {Node: "n2", Votes: 1}}}
			})
		}
		w.run(2)
		w.die("n2")
		w.run(30)
		w.wantNode("n2", ha.NodeFenced)
		if g := w.g(101); g.State != want {
			t.Errorf("with %d votes of a device the guest is %s: %s", device, g.State, g.Reason)
		}
		if r := w.g(101).Reason; device == 0 && (!strings.Contains(r, "about to lose its Proxmox (corosync) quorum") || !strings.Contains(r, "pvecm qdevice setup")) {
			t.Errorf("it says %q", r)
		}
	}
}
