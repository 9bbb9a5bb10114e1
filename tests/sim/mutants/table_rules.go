package main

import "bascule/tests/sim/mutants/probe"

// cause are the judge's rules about who may be touched, by which a mutant may show itself beside its own rule.
var safety = []string{"R1", "R2", "R3", "R4", "R5", "R7", "R8", "part5", "fence"}

// oneplace breaks R1: who holds a guest, and when it may be given away.
var oneplace = []Mutant{
	{Name: "reassign-first-holder-only", Rule: "R1", Seed: 5, Breaks: "MayReassign asks about the first holder only",
		Edits: []Edit{{"ha/proof.go", "for _, h := range g.Holders {", "for _, h := range g.Holders[:min(1, len(g.Holders))] {"}},
		Probe: probe.Probe{Script: []string{"20s drain $a for 70s", "21s~26s power-off $a for 40s"}}, Counts: []string{"R1", "R3"}},
	{Name: "assign-forgets-holders", Rule: "R1", Breaks: "a new assignment forgets the holders that are neither proven nor have released",
		Edits: []Edit{{"ha/leader/recover.go", "return h.Node == n && h.Incarnation == inc || released(h) ||", "return true || released(h) ||"}},
		Probe: probe.Probe{Script: []string{"20s drain $a for 60s"}}, Counts: []string{"R1", "R3"}},
	{Name: "drain-target-no-holder", Rule: "R1", Breaks: "the target of a planned move is no holder",
		Edits: []Edit{{"ha/leader/moves.go", "\t\t{Node: m.Target, Incarnation: m.Inc, Generation: g.Generation},\n", ""}},
		Probe: probe.Probe{Script: []string{"20s drain $a for 60s"}}, Counts: []string{"R1", "R3"}},
	{Name: "generation-not-raised", Rule: "R1", Breaks: "an assignment keeps the generation of the last",
		Edits: []Edit{{"ha/leader/recover.go", "\tg.Generation++\n", ""}},
		Probe: probe.Probe{Script: []string{"20s power-off $a for 60s"}}, Counts: []string{"R1", "R3", "R5"}},
	{Name: "released-without-scan", Rule: "R1", Breaks: "an agent says released without having looked",
		Edits: []Edit{{"ha/node/guests.go", "\tm.begin(id, g, rec, StepScan)\n", "\tm.report(id, g, rec.Generation, ha.PhaseReleased, \"\")\n"}},
		Probe: probe.Probe{Script: []string{"20s drain $a for 70s", "20500ms~26s power-off $a for 40s"}}, Counts: safety},
	{Name: "released-though-unclean", Rule: "R1", Breaks: "a scan that found something ends in released all the same",
		Edits: []Edit{{"ha/node/leaving.go", "if e.Outcome != Done {\n\t\tj.Step = StepKill", "if false {\n\t\tj.Step = StepKill"}},
		Probe: probe.Probe{Script: []string{"20s drain $a for 70s", "20500ms~26s power-off $a for 40s"}}, Counts: safety},
	{Name: "proof-for-any-boot", Rule: "R1", Seed: 5, Breaks: "a proof about one boot covers every boot of the node",
		Edits: []Edit{{"ha/proof.go", "p.p.Node != h.Node || p.p.Incarnation != h.Incarnation {", "p.p.Node != h.Node {"}},
		Probe: probe.Probe{Site: []string{"nodes=3", "devices=bmc"}, Script: []string{"18s cut storage * disk:iscsi for 95s", "20s power-off $a for 5s", "65s drain $b for 40s"}}, Counts: []string{"R1", "R3"}},
	{Name: "uncommitted-proofs", Rule: "R1", Seed: 2, Breaks: "the leader counts proofs that are not in the store yet",
		Edits: []Edit{{"ha/leader/guests.go", "for _, p := range r.Store.Nodes[n].Rec.Proofs {", "for _, p := range r.nodes[n].Proofs {"}},
		Probe: probe.Probe{Script: []string{"19s lost-answers $a 60 for 90s", "19s lost-answers $b 60 for 90s", "19s lost-answers $c 60 for 90s", "22s~30s power-off $a for 60s"}}, Counts: []string{"R1", "R3", "R4"}},
}

// ownership breaks R5: what an agent may start, claim and unlock.
var ownership = []Mutant{
	{Name: "no-recheck-before-start", Rule: "R5", Seed: 21, Breaks: "the assignment is not read again before the start",
		Edits:  []Edit{{"ha/node/starting.go", "\t\tj.Step = StepRecheck\n", "\t\tj.Step = StepStart\n"}},
		Probe:  probe.Probe{Site: []string{"nodes=3", "sound", "watchdog=none", "devices=ceph", "storages=ceph"}, Script: []string{"20s power-off $a for 80s", "20s lag-watch $b 3s for 80s", "20s block-pmxcfs $b 25s", "36s~42s fence $b"}},
		Counts: []string{"R1", "R2", "R3", "R5", "R8", "part5"}},
	{Name: "claim-from-living", Rule: "R5", Breaks: "a config is taken from a node that nobody proved dead",
		Edits: []Edit{{"ha/node/verify.go", "case slices.Contains(rec.ConfigFrom, at) && !runsAt(store, at, rec.ID):", "case at != \"\":"}},
		Probe: probe.Probe{Site: []string{"sound"}, Script: []string{"20s move-guest $g $b", "50s move-guest $g $c"}}, Counts: []string{"R1", "R3", "R5"}},
	{Name: "unlock-before-rename", Rule: "R5", Breaks: "a lock is cleared while the config lies under another node",
		Edits: []Edit{{"ha/node/starting.go", "\t\t\tj.Step = StepClaim\n", "\t\t\tj.Step = StepUnlock\n"}},
		Probe: probe.Probe{Script: []string{"20s power-off $a for 60s"}}, Counts: []string{"R5"}},
	{Name: "target-without-quorum", Rule: "R5", Breaks: "a node without corosync quorum is given guests",
		Edits: []Edit{{"ha/leader/recover.go", "case !rep.Quorate:", "case false:"}},
		Probe: probe.Probe{Site: []string{"nodes=3", "sound"}, Script: []string{"15s cut corosync $b * for 70s", "30s power-off $a for 60s"}}, Counts: []string{"R5"}},
	{Name: "kills-what-came-by-hand", Rule: "R5", Seed: 6, Breaks: "a guest that an operator moved here, with its config, is killed",
		Edits: []Edit{{"ha/node/guests.go", "case g.Seen.ConfigHere && g.Seen.Running:\n\t\tmsg := \"\"", "case false:\n\t\tmsg := \"\""}},
		Probe: probe.Probe{Site: []string{"sound"}, Script: []string{"20s move-guest $g $b"}}, Counts: safety},
}

// terms break R4: what a leader may write and command.
var terms = []Mutant{
	{Name: "commit-without-term", Rule: "R4", Breaks: "a leader's write is not guarded by its term",
		Edits: []Edit{{"ha/leader/commits.go", "\tc.Txn.Term = r.Term\n", ""}}, Probe: probe.Probe{Script: []string{"20s power-off $a for 60s"}}, Counts: []string{"R4"}},
	{Name: "guest-without-own-revision", Rule: "R4", Breaks: "a guest's record is written without a guard on its revision",
		Edits: []Edit{{"ha/leader/commits.go", "c.Txn.Guards = append([]ha.Guard{{Key: ha.KeyGuest(id), Rev: r.Store.Guests[id].Rev}}, r.guards[id]...)", "c.Txn.Guards = slices.Clone(r.guards[id])"}},
		Probe: probe.Probe{Script: []string{"20s power-off $a for 60s"}}, Counts: []string{"R4"}},
	{Name: "holders-not-guarded", Rule: "R4", Breaks: "a recovery does not rest on the holders' records being as they were read",
		Edits: []Edit{{"ha/leader/recover.go", "\t\tr.rest(g.ID, ha.KeyGuestReport(h.Node, g.ID), r.Store.GuestReports[h.Node][g.ID].Rev)\n\t\tif old, ok := r.Store.Nodes[h.Node]; ok", "\t\tif old, ok := r.Store.Nodes[h.Node]; ok && false"}},
		Probe: probe.Probe{Script: []string{"20s power-off $a for 60s"}}, Counts: []string{"R1", "R3", "R4"}},
	{Name: "command-without-intent", Rule: "R4", Breaks: "a device is told before the intent is stored",
		Edits: []Edit{{"ha/ladder/climb.go", "\t\tr.Commanded = append(r.Commanded, d.Name)\n", "\t\t_ = r\n"}},
		Probe: probe.Probe{Site: []string{"devices=bmc"}, Script: []string{"20s freeze $a for 60s"}}, Counts: []string{"R4"}},
	{Name: "command-after-deadline", Rule: "R4", Breaks: "a device command may be sent, and take its time, after the leader's own deadline",
		Edits: []Edit{{"ha/ladder/climb.go", "if w.Now.Add(w.Timing.DeviceTimeout) >= w.Deadline {", "if false {"},
			{"ha/ladder/climb.go", "c.Deadline = w.Deadline", "c.Deadline = w.Now.Add(20 * w.Timing.LeaseTTL)"}},
		Probe: probe.Probe{Site: []string{"devices=bmc"}, Script: []string{"20s freeze $a for 60s"}}, Counts: []string{"R4"}},
	{Name: "cycle-instead-of-off", Rule: "R4", Breaks: "a machine is power-cycled, not switched off",
		Edits: []Edit{{"ha/device.go", "return DeviceOff", "return \"cycle\""}},
		Probe: probe.Probe{Site: []string{"devices=bmc"}, Script: []string{"20s freeze $a for 60s"}}, Counts: []string{"R4"}},
}

// brains break R7 and R8.
var brains = []Mutant{
	{Name: "managed-by-both", Rule: "R7", Breaks: "a guest that Proxmox's own HA manages is not frozen",
		Edits: []Edit{{"ha/leader/adopt.go", "\t\tg.Refused = seen.Refused\n", "\t\tg.Refused = \"\"\n"},
			{"ha/node/guests.go", " || g.Seen.ConfigHere && g.Seen.Refused || slices.Contains(m.s.Managed, id) {", " {"},
			{"ha/leader/guests.go", "case g.Refused != \"\" || r.managed(g.ID):", "case g.Refused != \"\":"},
			{"ha/node/starting.go", "if g.Seen.Refused {\n\t\t\tj.Step = StepNone", "if false {\n\t\t\tj.Step = StepNone"}},
		Probe: probe.Probe{Site: []string{"sound"}, Script: []string{"15s managed $g for 100s", "60s crash-guest $g"}}, Counts: []string{"R7"}},
	{Name: "acts-on-old-epoch", Rule: "R8", Breaks: "an agent acts on assignments of before the store was restored",
		Edits: []Edit{{"ha/node/guests.go", "case m.s.Epoch.WentBack || rec.Epoch != m.s.Epoch.Taken:", "case false:"},
			{"ha/node/guests.go", " || m.s.Epoch.WentBack || m.s.Epoch.Taken != m.s.Epoch.Known || ", " || "},
			{"ha/node/verify.go", "case epoch.WentBack || rec.Epoch != epoch.Taken:", "case false:"}},
		Probe:  probe.Probe{Site: []string{"sound"}, Script: []string{"15s etcd-backup", "25s stop-daemon $a for 20s", "26s etcd-restore", "28s~40s crash-guest $g", "28s~40s crash-guest 101", "28s~40s crash-guest 102", "28s~40s crash-guest 103"}},
		Counts: []string{"R8", "R1"}},
	{Name: "rebuild-without-all", Rule: "R8", Breaks: "guests are assigned anew before every member has reported or is proven off",
		Edits: []Edit{{"ha/leader/rebuild.go", "if missing != \"\" {", "if false {"}},
		Probe: probe.Probe{Site: []string{"sound"}, Script: []string{"15s etcd-backup", "20s leave $a for 70s", "35s etcd-restore"}}, Counts: []string{"R8", "R1", "R3"}},
	{Name: "rebuild-same-generation", Rule: "R8", Breaks: "what is assigned anew after a restore does not lie above every generation that is known",
		Edits: []Edit{{"ha/leader/rebuild.go", "r.epoch(), max(g.Generation+1, r.nextGeneration(g.ID)), n, inc, nil", "r.epoch(), g.Generation, n, inc, nil"}},
		Probe: probe.Probe{Site: []string{"sound"}, Script: []string{"15s etcd-backup", "35s etcd-restore"}}, Counts: []string{"R8"}},
	{Name: "rebuild-drops-holders", Rule: "R8", Breaks: "only the new place holds a guest after a restore",
		Edits: []Edit{{"ha/leader/rebuild.go", "if rep, reg := r.registered(m.Name); reg && !m.Witness {", "if rep, reg := r.registered(m.Name); reg && !m.Witness && m.Name == n {"}},
		Probe: probe.Probe{Site: []string{"sound"}, Script: []string{"15s etcd-backup", "17s drain $a for 90s", "18s~40s etcd-restore"}}, Counts: []string{"R8", "R1", "R3", "R4"}},
	{Name: "old-epoch-proofs-count", Rule: "R8", Seed: 4, Breaks: "proofs of before a restore stand for a member's report",
		Edits: []Edit{{"ha/leader/rebuild.go", "\t\tif rec.Epoch == r.epoch() {\n\t\t\tcontinue\n\t\t}\n\t\trec.Epoch, rec.Proofs", "\t\tif rec.Epoch == r.epoch() || rec.State == ha.NodeFenced {\n\t\t\trec.Epoch = r.epoch()\n\t\t\tcontinue\n\t\t}\n\t\trec.Epoch, rec.Proofs"}},
		Probe: probe.Probe{Site: []string{"sound", "devices=bmc"}, Script: []string{"12s power-off $a for 12s", "24500ms etcd-backup", "75s cut cluster $a * for 40s", "77s~85s etcd-restore"}}, Counts: []string{"R8", "R1", "R3"}},
}
