package api

import (
	"fmt"
	"strings"
	"time"

	"bascule/ha"
)

// returnGrace is how long after its fencing a node may be heard again without that being worth a word: it boots.
const returnGrace = 2 * time.Minute

// node tells what is wrong with one node: its state, then what it lacks.
func (f *finder) node(n Node) {
	if n.Witness {
		f.witness(n)
		return
	}
	subject, guests := nodeSubject(n.Name), f.guestsOn(n.Name)
	switch n.State {
	case StateUnknown:
		if f.v.SnapshotOK && !damagedNode(f.v, n.Name) {
			f.add(Warning, subject, fmt.Sprintf("%s has never registered", n.Name), "", fmt.Sprintf("start basculed there (systemctl status basculed on %s)", n.Name))
		}
	case ha.NodeSuspect:
		f.add(Warning, subject, fmt.Sprintf("%s may be dead%s", n.Name, f.since(n.Since)), joined(n.Reason, "one sign alone fences nothing; only its power is read"),
			fmt.Sprintf("if %s lives, look at its network and at basculed there; else wait, it is fenced when both signs agree", n.Name))
	case ha.NodeFencing:
		f.fencing(n)
	case ha.NodeFenced:
		f.fenced(n)
	case ha.NodeQuarantined:
		f.add(Warning, subject, fmt.Sprintf("%s comes and goes and takes no guests%s", n.Name, f.since(n.Since)), n.Reason,
			fmt.Sprintf("look for the cause in its logs (journalctl -u basculed -u corosync on %s), its network and its power supply", n.Name))
	case ha.NodeDraining:
		f.draining(n, guests)
	case ha.NodeMaintenance:
		f.add(Info, subject, fmt.Sprintf("%s is in maintenance%s and takes no guests", n.Name, f.since(n.Since)), n.Reason, maintenanceDo(n))
	case ha.NodeOffline:
		f.add(Info, subject, fmt.Sprintf("%s left in order%s; nothing runs there", n.Name, f.since(n.Since)), n.Reason, "switch it on to bring it back")
	}
	f.about("fencing-means").fencingMeans(n)
	f.about("fencing-device").devices(n)
}

// witness tells of one that was never there. The leader keeps no record of it, and its silence shows in the store's votes.
func (f *finder) witness(n Node) {
	if _, reported := f.v.Snapshot.Reports[n.Name]; f.v.SnapshotOK && !reported && !n.Lease {
		f.add(Warning, nodeSubject(n.Name), fmt.Sprintf("%s has never registered", n.Name), "", fmt.Sprintf("start basculed-witness there (systemctl status basculed-witness on %s)", n.Name))
	}
}

// draining tells how far a drain is, and which guests hold it up.
func (f *finder) draining(n Node, guests string) {
	var stuck []string
	for _, g := range f.s.Guests {
		if g.Node == n.Name && CannotMove(g) != "" {
			stuck = append(stuck, guestName(g)+" "+CannotMove(g))
		}
	}
	sev, do := Info, fmt.Sprintf("hactl drain %s --wait follows it; hactl undrain %s takes it back", n.Name, n.Name)
	if len(stuck) > 0 {
		sev, do = Warning, fmt.Sprintf("make room for them, stop them, or move them by hand; hactl undrain %s takes the drain back", n.Name)
	}
	f.add(sev, nodeSubject(n.Name), fmt.Sprintf("%s is being drained%s: %s still there", n.Name, f.since(n.Since), guests), joined(n.Reason, bounded(stuck)), do)
}

// CannotMove is why a running guest cannot leave its node, as the leader put it; "" for all others.
func CannotMove(g Guest) string {
	if g.State == ha.GuestStarted && strings.HasPrefix(g.Reason, "cannot be moved") {
		return g.Reason
	}
	return ""
}

func maintenanceDo(n Node) string {
	if n.Drain {
		return fmt.Sprintf("when its maintenance is over: hactl undrain %s", n.Name)
	}
	return fmt.Sprintf("start basculed there again: systemctl start basculed on %s", n.Name)
}

func (f *finder) guestsOn(n ha.NodeName) string {
	for _, node := range f.s.Nodes {
		if node.Name == n {
			return count(node.Guests)
		}
	}
	return count(0)
}

// fenced tells that a node is proven dead, and if it shows signs of life all the same.
func (f *finder) fenced(n Node) {
	subject := nodeSubject(n.Name)
	if strings.HasPrefix(n.Reason, ha.Alarm) && strings.Contains(n.Reason, "access") {
		f.add(Critical, subject, fmt.Sprintf("%s got back the access to storages that had been taken away from it", n.Name), strings.TrimPrefix(n.Reason, ha.Alarm),
			fmt.Sprintf("find out who gave it back; keep %s off the network of its storages, or switch it off, before its guests are started elsewhere", n.Name))
		return
	}
	if lease, ok := f.v.Snapshot.Leases[n.Name]; ok && lease.Rec.Incarnation == n.Incarnation && lease.Rec.Lease != f.v.Snapshot.Nodes[n.Name].Rec.Lease || strings.HasPrefix(n.Reason, ha.Alarm) {
		f.add(Critical, subject, fmt.Sprintf("%s IS FENCED AND REPORTS ITSELF ALIVE: a proof about it was wrong", n.Name),
			joined("it holds a lease in the very incarnation that was proven off: "+f.evidence(n), "its guests may be running twice"),
			fmt.Sprintf("switch %s off by hand now (pull the cord), then check the disks of the guests that were recovered; find out which device lied before it is trusted again", n.Name))
		return
	}
	why := n.Reason
	if ev := f.evidence(n); !strings.Contains(why, ev) {
		why = joined(why, ev)
	}
	do := fmt.Sprintf("find out why it died, then switch %s on: it joins by itself", n.Name)
	if f := f.v.Snapshot.Fences[n.Name].Rec; f.Incarnation == n.Incarnation && len(f.SwitchedOn) > 0 && f.Problem == "" {
		do = fmt.Sprintf("find out why it died; %s has been switched on again and joins by itself when it has booted", n.Name)
	}
	if heard := n.Gossip == "alive" || n.Corosync == "online"; heard && f.v.Wall.Sub(n.Since) > returnGrace {
		f.add(Warning, subject, fmt.Sprintf("%s is fenced, yet it is heard again and has not registered", n.Name),
			fmt.Sprintf("gossip: %s; corosync: %s; no lease", n.Gossip, n.Corosync),
			fmt.Sprintf("it has probably booted: systemctl status basculed on %s", n.Name))
		return
	}
	f.add(Warning, subject, fmt.Sprintf("%s was fenced%s ago", n.Name, f.sinceOnly(n.Since)), why, do)
}

func (f *finder) sinceOnly(t time.Time) string {
	if t.IsZero() {
		return " some time"
	}
	return " " + Ago(f.v.Wall.Sub(t))
}

// evidence quotes the proofs about a node's recorded incarnation.
func (f *finder) evidence(n Node) string {
	var proofs []string
	add := func(list []ha.Proof) {
		for _, p := range list {
			if p.Incarnation() == n.Incarnation {
				proofs = append(proofs, fmt.Sprintf("%s: %s", p.Kind(), p.Evidence()))
			}
		}
	}
	if add(f.v.Snapshot.Fences[n.Name].Rec.Proofs); len(proofs) == 0 {
		add(f.v.Snapshot.Nodes[n.Name].Rec.Proofs)
	}
	return bounded(proofs)
}

// fencingMeans tells what would stand between this node's death and its guests' recovery.
func (f *finder) fencingMeans(n Node) {
	if n.Witness || n.State == StateUnknown || n.State == ha.NodeOffline || n.State == ha.NodeFenced || n.State == ha.NodeFencing {
		return
	}
	_, reported := f.v.Snapshot.Reports[n.Name]
	subject, armed := nodeSubject(n.Name), n.Armed || !reported
	detail := ""
	if n.Name == f.v.Self {
		detail = f.v.Guard.Detail
	}
	switch {
	case len(n.Power) == 0 && !armed:
		f.add(Critical, subject, fmt.Sprintf("if %s died now, nothing could prove it off: its guests would wait for an operator", n.Name),
			joined("it has no fencing device and its watchdog is not armed", detail),
			fmt.Sprintf("name a fencing device for %s in basculed.yaml (BMC, PDU, robot API), or give it a watchdog and start bascule-guard", n.Name))
	case !armed:
		f.add(Warning, subject, fmt.Sprintf("%s is not armed: cut off from its BMC it could not be proven dead", n.Name),
			joined("its guard holds no armed watchdog", detail), fmt.Sprintf("systemctl status bascule-guard watchdog-mux on %s", n.Name))
	case len(n.Power) == 0:
		f.add(Info, subject, fmt.Sprintf("%s has no fencing device: its guests are recovered only when its watchdog has surely ended it", n.Name),
			"watchdog: "+orNone(n.Watchdog), "a BMC, a PDU or the provider's robot API named in basculed.yaml makes recovery faster")
	}
}

func orNone(s string) string {
	if s == "" {
		return "not known"
	}
	return s
}
