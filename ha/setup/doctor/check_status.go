package doctor

import (
	"slices"
	"strings"

	"bascule/ha"
)

// anyGrade is how grave a problem of hactl status may be.
var anyGrade = []Severity{Info, Warning, Critical}

// status takes in what `hactl status` tells, unless a check has said more about the same thing.
var status = check{
	kinds: []Kind{
		{ID: "store", Grades: anyGrade, Title: "The store (etcd) is away or has lost a voter", Why: "without a majority of voters nothing is started, moved or fenced", Do: "bring the named voters back (power, network, systemctl status basculed); one that is gone for good: hactl etcd replace"},
		{ID: "store-stale", Grades: anyGrade, Title: "A node does not know the store's present state", Why: "what it shows and decides by is old", Do: "look at basculed's log there (journalctl -u basculed); ask another node meanwhile"},
		{ID: "leader-none", Grades: anyGrade, Title: "No node leads", Why: "nothing is recovered or fenced until one does", Do: "wait 30 s; if it stays so, look at basculed's log on every node"},
		{ID: "permit-none", Grades: anyGrade, Title: "A node has no permit", Why: "its protected guests are stopped and it starts none", Do: "bring its network or the store back; do not start its guests by hand"},
		{ID: "guard-away", Grades: anyGrade, Title: "A node's guard does not answer", Why: "nothing would stop its guests in time, so it takes no new ones", Do: "systemctl status bascule-guard; systemctl start bascule-guard"},
		{ID: "proxmox-quorum", Grades: anyGrade, Title: "Proxmox has no quorum on a node", Why: "it can start no guest and take none over: /etc/pve is read-only", Do: "pvecm status; look at corosync's network; with two nodes set up a QDevice"},
		{ID: "proxmox-votes", Grades: anyGrade, Title: "Proxmox's votes do not outlast the loss of a node", Why: "/etc/pve of the survivors would be read-only, so that nothing could be recovered there", Do: "set up a QDevice on a witness (pvecm qdevice setup), or bring back the machine on which it runs"},
		{ID: "storage-lost", Grades: anyGrade, Title: "A node has lost a storage", Why: "guests with disks on it cannot run there; they are given up to another node only where one has the storage", Do: "look at the way to the storage from that node (pvesm status, cables, multipath -ll, ceph -s); it is taken up again by itself"},
		{ID: "node-state", Grades: anyGrade, Title: "A node is not online", Why: "it takes no guests, and may have lost those it had", Do: "hactl status says what its state needs"},
		{ID: "fencing-means", Grades: anyGrade, Title: "Little or nothing would prove a node's end", Why: "its guests would wait for its watchdog, or for an operator", Do: "name a fencing device for it in basculed.yaml, or give it a watchdog and start bascule-guard"},
		{ID: "fencing-device", Grades: anyGrade, Title: "A fencing device was found unwell by the leader", Why: "what does not work while the node lives does not work when it dies", Do: "hactl fence test NODE shows what it says now; repair it while the node lives"},
		{ID: "guest-error", Grades: anyGrade, Title: "A guest was given up", Why: "it could be started nowhere and does not run", Do: "repair what Proxmox's own message names, then start it there: qm start ID (pct start)"},
		{ID: "guest-recovery", Grades: anyGrade, Title: "A guest waits for a place", Why: "it does not run: no node has what it needs", Do: "make room for it (memory, an active storage, a quorate node), or bring its node back"},
		{ID: "guest-frozen", Grades: anyGrade, Title: "Guests are frozen", Why: "nothing is done to them now, whatever happens", Do: "the reason stands with the finding: a daemon stopped in order, Proxmox's own HA, or a store that is away"},
		{ID: "guest-refused", Grades: anyGrade, Title: "Guests are selected and not protected", Why: "they would not be recovered", Do: "remove what stands against them, or do not select them"},
		{ID: "guest-pinned", Grades: anyGrade, Title: "Guests are tied to their node", Why: "if it died, they would stay down until it is back", Do: "move their disks to shared storage or replicate them (pvesr), and remove passed-through devices"},
		{ID: "record-unreadable", Grades: anyGrade, Title: "A record in the store cannot be read", Why: "what it is about is left alone until somebody has put it right", Do: "docs/operate.md, \"A record that cannot be read\", step by step"},
		{ID: "version-mix", Grades: anyGrade, Title: "The nodes run different versions of basculed", Why: "they work together, but the oldest decides what can be used, and an old one does not lead over newer records", Do: "finish the upgrade, one node after the other"},
		{ID: "node-reports", Grades: anyGrade, Title: "A node reports a problem of its own", Why: "it found it while doing its work", Do: "its words stand with the finding"},
	},
	run: func(x *exam) {
		for _, p := range x.Problems {
			f := Finding{ID: p.ID, Severity: p.Severity, Subject: p.Subject, Evidence: p.What, Why: p.Why, Remedy: p.Do}
			if n, ok := strings.CutPrefix(p.Subject, "node "); ok {
				f.Node = ha.NodeName(n)
			}
			if !x.said(f) {
				x.add(f)
			}
		}
	},
}

// said says whether a check has told more of what a problem of hactl status is about.
func (x *exam) said(f Finding) bool {
	anywhere := func(ids ...string) bool {
		return slices.ContainsFunc(x.findings, func(o Finding) bool { return o.Severity != OK && slices.Contains(ids, o.ID) })
	}
	switch f.ID {
	case "fencing-means":
		return x.found(f.Node, "fence-none", "fence-self-only", "watchdog-none", "watchdog-unarmed", "watchdog-held")
	case "fencing-device":
		return x.found(f.Node, "ceph-caps", "lun-reservations-missing", "fence-device-broken", "fence-device-partly", "fence-device-unproven")
	case "guard-version":
		return x.found(f.Node, "guard-version")
	case "proxmox-votes":
		return anywhere("corosync-vote-missing")
	case "guest-pinned":
		return anywhere("guest-cannot-move")
	case "guest-refused":
		return anywhere("guest-two-stacks")
	case "node-reports":
		return x.found(f.Node, "token-weak", "token-unchecked") && strings.Contains(strings.ToLower(f.Evidence), "token")
	}
	return false
}
