package api

import (
	"cmp"
	"slices"

	"bascule/ha"
)

// BuildStatus turns one node's view into the status that people and programs read. It is pure: the same view
// gives the same status.
func BuildStatus(v View) Status {
	s := Status{
		Cluster: v.Cluster, Node: v.Self, Role: v.Role, Version: v.Version, At: v.Wall.UTC(),
		Leading: v.Leading, SnapshotAge: v.SnapshotAge.Seconds(),
		Quorum: Quorum{Known: v.Corosync.Known, Quorate: v.Corosync.Quorate, Online: sorted(v.Corosync.Online)},
		Etcd: Etcd{
			Available: v.Store.Available, External: v.Store.External, RaftLeader: v.Store.RaftLeader, Revision: v.Snapshot.Revision, Voters: sorted(v.Store.Voters),
			Answering: sorted(v.Store.Answering), Reason: v.Store.Reason, Since: v.Store.Since.UTC(),
		},
		Permit: Permit{Valid: v.Permit.Valid, Remaining: v.Permit.Remaining.Seconds(), Reason: v.Permit.Reason},
		Guard:  Guard(v.Guard),
	}
	if v.Store.Since.IsZero() {
		s.Etcd.Since = v.Store.Since
	}
	if v.Snapshot.Leader != nil {
		s.Leader, s.Term = v.Snapshot.Leader.Node, v.Snapshot.Term
	}
	s.Nodes = buildNodes(v)
	s.Guests = buildGuests(v)
	s.Storages = buildStorages(v)
	s.Problems = findProblems(v, s)
	s.Health = health(v, s.Problems)
	return s
}

func health(v View, problems []Problem) Health {
	if !v.SnapshotOK {
		return HealthUnknown
	}
	if slices.ContainsFunc(problems, func(p Problem) bool { return p.Severity != Info }) {
		return HealthDegraded
	}
	return HealthOK
}

// buildNodes lists every member and every node that has a record (one that left the list may still hold guests).
func buildNodes(v View) []Node {
	witness := map[ha.NodeName]bool{}
	names := map[ha.NodeName]bool{}
	for _, m := range v.Members {
		names[m.Name], witness[m.Name] = true, m.Witness
	}
	for n := range v.Snapshot.Nodes {
		names[n] = true
	}
	out := make([]Node, 0, len(names))
	for n := range names {
		out = append(out, buildNode(v, n, witness[n]))
	}
	slices.SortFunc(out, func(a, b Node) int { return natural(string(a.Name), string(b.Name)) })
	return out
}

func buildNode(v View, name ha.NodeName, witness bool) Node {
	rec, report := v.Snapshot.Nodes[name].Rec, v.Snapshot.Reports[name].Rec
	n := Node{
		Name: name, State: rec.State, Reason: rec.Reason, Since: rec.Since, Incarnation: rec.Incarnation,
		Witness: witness || report.Witness, Drain: rec.Drain, Gossip: gossipWord(v, name), Corosync: corosyncWord(v, name),
		Power: []PowerDevice{}, Armed: report.Armed, Watchdog: report.WatchdogDriver, Memory: report.Memory, Version: report.Version,
	}
	lease, held := v.Snapshot.Leases[name]
	n.Lease = held
	if f := v.Snapshot.Fences[name].Rec; n.State == ha.NodeFencing && f.Incarnation == rec.Incarnation {
		n.Held = f.Held
	}
	n.Incarnation = cmp.Or(n.Incarnation, v.Snapshot.Fences[name].Rec.Incarnation, lease.Rec.Incarnation)
	switch {
	case n.State != "":
	case n.Witness && held: // the leader keeps no record of a machine without guests
		n.State = ha.NodeOnline
	case n.Witness:
		n.State, n.Reason = StateUnknown, "it holds no lease"
	case !v.SnapshotOK:
		n.State, n.Reason = StateUnknown, "the store has not been read yet"
	default:
		n.State, n.Reason = StateUnknown, "the leader has no record of it yet"
		if damagedNode(v, name) {
			n.Reason = "its record in the store cannot be read"
		}
	}
	for _, d := range rec.Devices {
		n.Power = append(n.Power, PowerDevice{
			Device: d.Device, Problem: d.Problem, ReadOn: d.ReadOn && d.Incarnation == rec.Incarnation, UUID: d.UUIDMatched,
			Ready: d.Problem == "" && d.Identified(rec.Incarnation),
		})
	}
	for _, g := range v.Snapshot.Guests {
		if g.Rec.Node == name && g.Rec.State != ha.GuestUnprotected {
			n.Guests++
			n.MemoryUsed += g.Rec.Memory
		}
	}
	return n
}

func gossipWord(v View, n ha.NodeName) string {
	g := v.Gossip[n]
	switch {
	case n == v.Self:
		return "alive"
	case !g.Known:
		return "unknown"
	case g.Leaving:
		return "leaving"
	case g.Alive:
		return "alive"
	}
	return "silent"
}

func corosyncWord(v View, n ha.NodeName) string {
	switch {
	case !v.Corosync.Known:
		return "unknown"
	case slices.Contains(v.Corosync.Online, n):
		return "online"
	}
	return "offline"
}

// buildGuests lists the protected guests and those that were selected but refused, by VMID.
func buildGuests(v View) []Guest {
	out := []Guest{}
	for id, r := range v.Snapshot.Guests {
		g := Guest{
			VMID: id, Kind: r.Rec.Kind, Name: r.Rec.Name, State: r.Rec.State, Node: r.Rec.Node, Requested: r.Rec.Requested,
			Reason: r.Rec.Reason, Since: r.Rec.Since, Generation: r.Rec.Generation, Memory: r.Rec.Memory, Pinned: r.Rec.Pinned,
		}
		if r.Rec.Move != nil {
			g.Target = r.Rec.Move.Target
		}
		if v.Permit.Peers && g.State != ha.GuestStopped && g.State != ha.GuestError && g.State != ha.GuestUnprotected {
			g.State, g.Reason = ha.GuestFrozen, "the store is away: it runs on where it runs, nothing is started, moved or fenced (last known: "+string(r.Rec.State)+")"
		}
		out = append(out, g)
	}
	for node, r := range v.Snapshot.Reports {
		for _, seen := range r.Rec.Guests {
			if _, known := v.Snapshot.Guests[seen.ID]; known || seen.Refused == "" {
				continue
			}
			out = append(out, Guest{
				VMID: seen.ID, Kind: seen.Kind, Name: seen.Name, State: ha.GuestUnprotected, Node: node,
				Reason: seen.Refused, Memory: seen.Memory, Pinned: seen.Pinned,
			})
		}
	}
	slices.SortFunc(out, func(a, b Guest) int {
		if a.VMID != b.VMID {
			return int(a.VMID - b.VMID)
		}
		return natural(string(a.Node), string(b.Node))
	})
	return out
}
