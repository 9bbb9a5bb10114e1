package doctor

import (
	"fmt"
	"slices"
	"time"

	"bascule/ha"
)

// corosync: Proxmox's own quorum, without which no guest is taken over, and how long it takes to come back after a death.
var corosync = check{
	kinds: []Kind{
		{ID: "corosync-vote-missing", Grades: []Severity{Critical}, Title: "Two Proxmox nodes and no third vote",
			Why: "when one of two nodes dies, the other has half of the votes: no quorum, /etc/pve is read-only, and automatic recovery refuses. Bascule's own witness votes in etcd only",
			Do:  "set up corosync's QDevice on the witness: apt install corosync-qnetd there, corosync-qdevice on both nodes, then pvecm qdevice setup WITNESS-ADDRESS"},
		{ID: "corosync-two-node-mode", Grades: []Severity{Critical}, Title: "corosync runs in its two-node mode",
			Why: "with two_node: 1 each half keeps its quorum when they lose each other: both may write to /etc/pve, and Proxmox's own safeguards are off",
			Do:  "take two_node out of the quorum section of /etc/pve/corosync.conf (raise config_version) and set up a QDevice"},
		{ID: "corosync-even-votes", Grades: []Severity{Info}, Title: "An even number of corosync votes",
			Why: "a split in two halves leaves both without quorum: nothing is recovered until they see each other again",
			Do:  "a QDevice on a witness gives the odd vote (pvecm qdevice setup)"},
		{ID: "corosync-device-silent", Grades: []Severity{Critical, Warning, OK}, Title: "corosync's quorum device gives no vote",
			Why: "of two nodes with a device that is silent, the one that is left has no quorum when the other dies: /etc/pve is read-only and its guests cannot be recovered. Nothing else shows it before",
			Do:  "on the witness: systemctl status corosync-qnetd; on the node: systemctl status corosync-qdevice, corosync-qdevice-tool -s; both speak over TCP port 5403"},
		{ID: "corosync-token-slow", Grades: []Severity{Info, Warning, OK}, Title: "/etc/pve blocks longer than a lease lasts after a death",
			Why: "recovery waits for /etc/pve, not for Bascule: a guest's configuration cannot be moved before corosync has formed anew",
			Do:  "in the totem section of /etc/pve/corosync.conf set token: 1000 and token_coefficient: 0 (raise config_version), where the network is quiet and its round trips are far below that"},
	},
	run: func(x *exam) {
		for _, f := range x.agents() {
			x.device(f)
		}
		for _, f := range x.agents() {
			if f.Corosync != nil {
				x.votes(f)
				x.token(f)
				return // it is one file for the whole cluster
			}
		}
	},
}

func (x *exam) votes(f Facts) {
	c := f.Corosync
	if c.TwoNode {
		x.add(Finding{ID: "corosync-two-node-mode", Severity: Critical, Evidence: "two_node: 1 in corosync.conf"})
	}
	if c.QDevice != "" || len(c.Nodes) < 2 {
		return
	}
	if len(c.Nodes) == 2 {
		evidence := fmt.Sprintf("corosync.conf lists %s with %s and no quorum device", words(c.Nodes), plural(c.Votes, "vote"))
		if i := slices.IndexFunc(x.Members, func(m ha.Member) bool { return m.Witness }); i >= 0 {
			evidence += fmt.Sprintf("; %s votes in etcd, not in corosync", x.Members[i].Name)
		}
		x.add(Finding{ID: "corosync-vote-missing", Severity: Critical, Evidence: evidence})
		return
	}
	if c.Votes%2 == 0 {
		x.add(Finding{ID: "corosync-even-votes", Severity: Info, Evidence: fmt.Sprintf("%d votes of %d nodes and no quorum device", c.Votes, len(c.Nodes))})
	}
}

// device compares what corosync.conf promises with what corosync counts. With more than two nodes the others' votes suffice for one loss.
func (x *exam) device(f Facts) {
	if f.Quorum == nil || f.Corosync == nil || f.Corosync.QDevice == "" {
		return
	}
	found := Finding{ID: "corosync-device-silent", Severity: OK, Node: f.Node, Subject: fmt.Sprintf("quorum device of %s", f.Node),
		Evidence: fmt.Sprintf("%s gives %s: %d of %d are there", f.Corosync.QDevice, plural(max(f.Quorum.Device, 0), "vote"), f.Quorum.Total, f.Quorum.Expected)}
	if f.Quorum.Device <= 0 {
		found.Severity = Critical
		if len(f.Corosync.Nodes) > 2 {
			found.Severity = Warning
		}
	}
	x.add(found)
}

func (x *exam) token(f Facts) {
	block, t := f.Corosync.Block, f.Timing
	evidence := fmt.Sprintf("token %s and %s per node above two make /etc/pve block for %s when one of %d nodes dies; a lease lasts %s", ms(f.Corosync.Token), ms(f.Corosync.Coefficient), round(block), len(f.Corosync.Nodes), round(t.LeaseTTL))
	switch {
	case len(f.Corosync.Nodes) < 2:
	case block > t.DaemonGrace && t.DaemonGrace > 0:
		x.add(Finding{ID: "corosync-token-slow", Severity: Warning, Evidence: evidence + fmt.Sprintf(". Until then corosync lists the dead node as online, and the leader takes only its daemon for dead (daemon_grace %s)", round(t.DaemonGrace))})
	case block > t.LeaseTTL:
		x.add(Finding{ID: "corosync-token-slow", Severity: Info, Evidence: evidence})
	default:
		x.add(Finding{ID: "corosync-token-slow", Severity: OK, Evidence: evidence})
	}
}

// ms writes a duration as corosync.conf does.
func ms(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }
