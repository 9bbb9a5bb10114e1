package main

import "bascule/tests/sim/mutants/probe"

// fencing breaks what a fencing begins and ends with.
var fencing = []Mutant{
	{Name: "gossip-alone-fences", Rule: "R3", Breaks: "a node that gossip lost is fenced while its lease stands",
		Edits: []Edit{{"ha/leader/nodes.go", "r.passive(rec, mem, why) || mem.LeaseGone == 0 {", "r.passive(rec, mem, why) {"}},
		Probe: probe.Probe{Site: []string{"devices=bmc"}, Script: []string{"20s gossip-false-dead * $a 20s", "20s cut corosync $a * for 40s"}}, Counts: []string{"fence"}},
	{Name: "no-daemon-grace", Rule: "R3", Breaks: "a node whose daemon died alone is fenced at once",
		Edits: []Edit{{"ha/leader/nodes.go", "if r.Corosync.Known && slices.Contains(r.Corosync.Online, n) {", "if false {"}},
		Probe: probe.Probe{Site: []string{"devices=bmc"}, Script: []string{"20s stop-daemon $a for 14s"}}, Counts: []string{"fence"}},
	{Name: "revoke-by-name", Rule: "R3", Breaks: "the lease that stands under the node's name is revoked, not the proven one's",
		Edits: []Edit{{"ha/leader/fence.go", "if rec.Lease != 0 && lease.Lease == rec.Lease && lease.Incarnation == rec.Incarnation {\n\t\tc.Revoke = append(c.Revoke, rec.Lease)", "if lease.Lease != 0 {\n\t\tc.Revoke = append(c.Revoke, lease.Lease)"}},
		Probe: probe.Probe{Site: []string{"watchdog=none", "devices=none", "sound"}, Script: []string{"20s power-off $a for 5s"}}, Counts: []string{"R3"}},
	{Name: "deputy-without-gossip", Rule: "R3", Breaks: "a deputy ends the lease of a leader that gossip sees alive",
		Edits: []Edit{{"ha/node/power.go", "return lead.Node, g.Known && !g.Alive && m.s.Nodes[lead.Node].Incarnation == lead.Incarnation", "return lead.Node, g.Known"},
			{"ha/node/power.go", "SystemUUID: rec.SystemUUID, GossipAlive: m.s.Gossip[n].Alive}}", "SystemUUID: rec.SystemUUID}}"}},
		Probe: probe.Probe{Site: []string{"devices=bmc"}, Script: []string{"20s device-misreads $bmc for 40s", "20s device-misreads node1-bmc for 40s", "20s device-misreads node2-bmc for 40s"}}, Counts: []string{"R3"}},
}

// noStore is a store that is dead for a while.
func noStore(more ...string) probe.Probe {
	return probe.Probe{Site: []string{"sound"}, Script: append(more, "20s etcd-down for 25s")}
}

// withoutStore breaks DESIGN part 5, clause by clause.
var withoutStore = []Mutant{
	{Name: "leader-promises", Rule: "part5", Breaks: "a leader promises not to lead, and leads on",
		Edits: []Edit{{"ha/node/peers.go", "\t\tm.resign() // what is on its way", "\t\t_ = 0 // what is on its way"}},
		Probe: noStore(), Counts: []string{"part5"}},
	{Name: "quorum-of-peers", Rule: "part5", Breaks: "the promises of a quorum are enough for a peer permit",
		Edits: []Edit{{"ha/node/peers.go", "\tif len(p.Waiting) > 0 {\n\t\treturn\n\t}\n\tif m.s.Lease.Valid", "\tif len(p.Waiting) > (len(m.s.Members)-1)/2 {\n\t\treturn\n\t}\n\tif m.s.Lease.Valid"}},
		Probe: noStore("22s~26s stop-daemon $a for 12s"), Counts: []string{"part5", "R1", "R3"}},
	{Name: "no-quiet-time", Rule: "part5", Breaks: "a starting daemon has no quiet time although it may have forgotten a promise",
		Edits: []Edit{{"ha/node/start.go", "Quiet: now.Add(c.Timing.QuietTime(k.Longest))}", "Quiet: now}"}},
		Probe: probe.Probe{Script: []string{"25s kill-daemon $a", "25s kill-daemon $b", "25s kill-daemon $c"}}, Counts: []string{"part5", "R1", "R3"}},
	{Name: "campaigns-at-once", Rule: "part5", Breaks: "a starting daemon campaigns in its quiet time",
		Edits: []Edit{{"ha/node/lease.go", "!m.s.Unlisted(m.c.Self) && m.now >= max(l.Quiet, l.NextTry) {", "!m.s.Unlisted(m.c.Self) && m.now >= l.NextTry {"}},
		Probe: probe.Probe{Script: []string{"25s kill-daemon $a", "25s kill-daemon $b", "25s kill-daemon $c"}}, Counts: []string{"part5"}},
	{Name: "starts-at-once", Rule: "part5", Breaks: "a starting daemon starts guests in its quiet time",
		Edits: []Edit{{"ha/node/guests.go", "if m.now < l.Quiet {", "if false {"}},
		Probe: probe.Probe{Site: []string{"sound", "timing=patient"}, Script: []string{"30s kill-daemon $a", "30s crash-guest $g"}}, Counts: []string{"part5"}},
	{Name: "deputy-at-once", Rule: "part5", Seed: 2, Breaks: "a starting daemon acts as a deputy in its quiet time",
		Edits: []Edit{{"ha/node/power.go", "|| l.Leaving || m.now < l.Quiet || m.c.Witness", "|| l.Leaving || m.c.Witness"}},
		Probe: probe.Probe{Site: []string{"devices=bmc", "timing=patient"}, Script: []string{"34s power-off $a for 60s", "30s kill-daemon $b", "30s kill-daemon $c"}}, Counts: []string{"part5"}},
	{Name: "peer-permit-outlives-ttl", Rule: "part5", Breaks: "a peer permit lasts ten times the lease's TTL",
		Edits: []Edit{{"ha/node/peers.go", "m.permit(m.c.Timing.PermitDeadline(p.Sent))", "m.permit(p.Sent.Add(10 * m.c.Timing.LeaseTTL))"}},
		Probe: probe.Probe{Site: []string{"sound"}, Script: []string{"20s etcd-down for 10s", "28s~29s cut all $a * for 80s"}}, Counts: []string{"part5", "R1", "R2", "R3"}},
	{Name: "peer-permit-begins", Rule: "part5", Breaks: "the peers' promises begin a permit that had ended",
		Edits: []Edit{{"ha/node/peers.go", "return m.s.Peers.Failing && l.Valid(m.now) && !l.Leaving", "return m.s.Peers.Failing && !l.Leaving"},
			{"ha/node/peers.go", "if m.s.Lease.Valid(m.now) { // continues an unbroken permit, never begins one", "if true {"}},
		Probe: noStore("18s cut cluster $a * for 15s"), Counts: []string{"part5", "R1", "R2", "R3"}},
	{Name: "starts-on-peer-permit", Rule: "part5", Seed: 78, Breaks: "guests are started on a permit of the peers",
		Edits: []Edit{{"ha/node/lease.go", "return l.Valid(now) && now < l.Leased }", "return l.Valid(now) }"}},
		Probe: noStore("21s~30s crash-guest $g"), Counts: []string{"part5", "R1", "R2", "R3"}},
	{Name: "old-member-list", Rule: "part5", Breaks: "a request by an old member list is promised",
		Edits: []Edit{{"ha/node/peers.go", "case e.List < m.s.ListRev:", "case false:"}},
		Probe: noStore("22s~26s old-list $a"), Counts: []string{"part5", "R1", "R3"}},
	{Name: "promise-while-a-leader-is-seen", Rule: "part5", Breaks: "a member promises although it sees a leader",
		Edits: []Edit{{"ha/node/peers.go", "\tcase !l.NoLeader:\n", "\tcase false && !l.NoLeader:\n"},
			{"ha/node/peers.go", "\tcase l.Term != 0:\n\t\treturn \"it leads the cluster\"\n", ""}},
		Probe: probe.Probe{Site: []string{"sound"}, Script: []string{"20s slow-fsync $a 1400ms for 60s", "20s delay cluster $a * 600ms for 30s"}}, Counts: []string{"part5", "R1", "R3"}},
	{Name: "leader-breaks-promise", Rule: "part5", Breaks: "a leader fences a node to which its promise stands",
		Edits: []Edit{{"ha/leader/nodes.go", "due := max(mem.LeaseGone, mem.GossipGone, r.Promises[n]).Add(r.Timing.FenceDelay + more)", "due := max(mem.LeaseGone, mem.GossipGone).Add(r.Timing.FenceDelay + more)"},
			{"ha/leader/nodes.go", "due = max(mem.LeaseGone, mem.GossipGone, r.Promises[n]).Add(max(", "due = max(mem.LeaseGone, mem.GossipGone).Add(max("},
			{"ha/leader/nodes.go", "due = max(due, r.state.Began.Add(r.Timing.LeaseTTL))", "due = max(due, r.state.Began)"},
			{"ha/leader/fence.go", "if r.now < r.Promises[n] && !r.wanted(rec) {", "if false {"}},
		Probe: probe.Probe{Site: []string{"sound", "devices=none", "watchdog=hw"}, Script: []string{"12s cut cluster $a * for 8s", "30s cut corosync $a * for 85s", "19800ms etcd-backup", "32s etcd-down for 8s", "39s~39800ms cut all $a * for 75s", "39900ms etcd-restore"}}, Counts: []string{"part5"}},
	{Name: "promise-too-short", Rule: "part5", Breaks: "a promise ends before the permit that it gives",
		Edits: []Edit{{"ha/timing.go", "return received.Add(max(t.LeaseTTL, ttl) + t.DriftMargin)", "return received.Add(max(t.LeaseTTL, ttl) / 2)"}},
		Probe: noStore("24s~28s cut all $a * for 60s"), Counts: []string{"part5"}},
	{Name: "power-not-read-again", Rule: "part5", Breaks: "a renewal without a silent peer's promise rests on an earlier reading of its power",
		Edits: []Edit{{"ha/node/power.go", "slices.Contains(p.Waiting, n) && w.Asked >= p.Sent {", "slices.Contains(p.Waiting, n) {"},
			{"ha/node/power.go", "d.NextRead, d.Confirmed = m.now, false", "d.NextRead = m.now"}},
		Probe: probe.Probe{Site: []string{"sound", "devices=bmc", "nodes=3"}, Script: []string{"25s power-off $a for 20s", "25s power-off $b for 70s", "35s power-off $a for 3s", "44s device-slow $bmc 2s for 20s"}}, Counts: []string{"part5"}},
}
