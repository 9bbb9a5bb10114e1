package main

import "bascule/tests/sim/mutants/probe"

// frozen is a node that stands still with its guests and is ended by nothing but a device.
func frozen(devices string, more ...string) probe.Probe {
	return probe.Probe{Site: []string{"watchdog=none", "devices=" + devices, "sound"}, Script: append(more, "20s freeze $a for 75s")}
}

// cutOff is a node without network and storage: its guests hang and cannot be killed.
func cutOff(devices string, more ...string) probe.Probe {
	return probe.Probe{Site: []string{"watchdog=hw", "devices=" + devices, "sound"}, Script: append(more, "20s cut all $a * for 75s")}
}

// unseen is a node that hears nobody and loses its slot's disk, too; its guests run on until time would end them.
func unseen(more ...string) probe.Probe {
	return probe.Probe{Site: []string{"watchdog=hw", "devices=pill", "storages=ceph", "sound", "timing=normal", "grace=30s"},
		Script: append(more, "60s cut storage $a disk:iscsi for 60s", "60s cut cluster $a * for 60s", "60s cut corosync $a * for 60s")}
}

// proofs break R3: what makes a proof of each kind.
var proofs = []Mutant{
	{Name: "one-off-is-enough", Rule: "R3", Breaks: "one reading of off that nobody commanded is a proof",
		Edits: []Edit{{"ha/ladder/read.go", "m.Confirmed = ours || r.Asked.Sub(m.FirstOff) >= w.Timing.OffReadGap", "m.Confirmed = ours || true"}},
		Probe: frozen("bmc", "22s~24s device-misreads $bmc for 700ms"), Counts: []string{"R1", "R3"}},
	{Name: "success-is-off", Rule: "R3", Breaks: "a device's word that it switched off is a proof, without the read-back",
		Edits: []Edit{{"ha/ladder/read.go", "\t\tm.Accepted, m.Problem = r.Asked, \"\"\n", "\t\tm.Accepted, m.Problem, m.FirstOff, m.Confirmed = r.Asked, \"\", r.Asked, true\n"}},
		Probe: frozen("bmc", "19s device-stuck $bmc for 70s"), Counts: []string{"R1", "R3"}},
	{Name: "powering-off-is-off", Rule: "R3", Breaks: "powering-off counts as off",
		Edits: []Edit{{"ha/ladder/read.go", "if r.Power != ha.PowerOff {", "if r.Power != ha.PowerOff && r.Power != ha.PowerPoweringOff {"}},
		Probe: frozen("bmc", "19s device-stuck $bmc for 70s"), Counts: []string{"R1", "R3"}},
	{Name: "unidentified-device", Rule: "R3", Seed: 11, Breaks: "a device that belongs to another machine, and says so, is used and believed",
		Edits: []Edit{{"ha/records.go", "return c.Incarnation == inc && c.ReadOn && (c.UUIDMatched || c.Confirmed != \"\")", "return true"}},
		Probe: frozen("bmc", "0s device-cabled-wrong $bmc $b"), Counts: []string{"R1", "R3", "fence"}},
	{Name: "off-though-it-talks", Rule: "R3", Breaks: "off is believed of a machine that gossips",
		Edits: []Edit{{"ha/ladder/proofs.go", "ok && w.believed(i, \"reads off\", !f.GossipAlive)", "ok"}},
		Probe: probe.Probe{Site: []string{"devices=bmc", "sound"}, Script: []string{"20s device-misreads $bmc for 60s", "25s fence $a"}}, Counts: []string{"R1", "R3"}},
	{Name: "old-suspicions-readings", Rule: "R3", Breaks: "what was read in a suspicion that is over counts in the next",
		Edits: []Edit{{"ha/leader/nodes.go", "\t\t\tmem.Ladder = ladder.Memory{} // what was read", "\t\t\t_ = ladder.Memory{} // what was read"},
			{"ha/ladder/walk.go", "return now.Sub(d.LastAnswer) <= t.DeviceTimeout+5*t.OffReadGap", "return true"}},
		Probe: probe.Probe{Site: []string{"devices=bmc", "sound"}, Script: []string{"19900ms gossip-false-dead * $a 700ms", "19800ms device-misreads $bmc for 900ms", "30s gossip-false-dead * $a 1200ms", "29900ms~30100ms device-misreads $bmc for 900ms"}}, Counts: []string{"R1", "R3"}},
	{Name: "new-boot-of-another-machine", Rule: "R3", Breaks: "another machine's boot under the same name is a proof",
		Edits: []Edit{{"ha/ladder/proofs.go", "if f.SystemUUID != \"\" && f.RegUUID != \"\" && !ha.SameUUID(f.SystemUUID, f.RegUUID) {", "if false {"}},
		Probe: probe.Probe{Site: []string{"watchdog=none", "devices=none", "sound"}, Script: []string{"23s new-board $a 12345678-1234-4000-8000-123456789012", "21s power-off $a for 5s"}}, Counts: []string{"R3"}},
	{Name: "some-storages-are-all", Rule: "R3", Breaks: "revoked storages free guests with disks elsewhere",
		Edits: []Edit{{"ha/proof.go", "if !slices.Contains(p.p.Storages, s) {\n\t\t\treturn false\n", "if !slices.Contains(p.p.Storages, s) {\n\t\t\tcontinue\n"}},
		Probe: probe.Probe{Site: []string{"watchdog=none", "devices=ceph", "storages=ceph+iscsi", "sound"}, Script: []string{"20s freeze $a for 75s"}}, Counts: []string{"R1", "R3"}},
	{Name: "revoke-without-check", Rule: "R3", Breaks: "a storage device's word that it took access away is a proof, without the check",
		Edits: []Edit{{"ha/ladder/read.go", "\t\tm.Accepted, m.Problem = r.Asked, \"\"\n", "\t\tm.Accepted, m.Problem, m.Revoked = r.Asked, \"\", d.Storages\n"}},
		Probe: frozen("ceph"), Counts: []string{"R1", "R3"}},
	{Name: "open-is-revoked", Rule: "R3", Breaks: "a storage of which a device reads open counts as revoked",
		Edits: []Edit{{"ha/ladder/storage.go", "\t\tcase ha.AccessOpen:\n\t\t\topen = append(open, s)\n", "\t\tcase ha.AccessOpen:\n\t\t\trevoked = append(revoked, s)\n"}},
		Probe: frozen("ceph"), Counts: []string{"R1", "R3"}},
	{Name: "msgwait-shortened", Rule: "R3", Breaks: "a poison pill proves as soon as it is read back",
		Edits: []Edit{{"ha/ladder/poison.go", "m.PillRead < m.PillSince.Add(d.MsgWait) {", "m.PillRead < m.PillSince {"}},
		Probe: probe.Probe{Site: []string{"watchdog=hw", "devices=pill", "sound", "timing=fast"}, Script: []string{"20s cut cluster $a * for 75s", "20s cut corosync $a * for 75s", "20s cut storage $a * for 75s"}}, Counts: []string{"R1", "R3"}},
	{Name: "pill-for-unarmed", Rule: "R3", Breaks: "a poison pill proves something about a boot without watchdog",
		Edits: []Edit{{"ha/ladder/device.go", "if !f.Armed {", "if false {"}},
		Probe: frozen("pill"), Counts: []string{"R1", "R3"}},
	{Name: "pill-without-watch", Rule: "R3", Breaks: "a poison pill proves something about a boot that does not watch its slot",
		Edits: []Edit{{"ha/ladder/device.go", "if !slices.Contains(f.Watches, d.Name) {", "if false {"}},
		Probe: unseen("30s cut storage $a disk:iscsi for 30s"), Counts: []string{"R1", "R3"}},
	{Name: "fed-while-blind", Rule: "R3", Breaks: "a node on whose end by message a leader counts is fed without seeing its slot",
		Edits: []Edit{{"ha/node/guard_watchdog.go", "\tif m.s.Obeys() {\n\t\tif e := m.s.slotsEnd()", "\tif false {\n\t\tif e := m.s.slotsEnd()"}},
		Probe: unseen(), Counts: []string{"R1", "R3"}},
	{Name: "released-unsaid", Rule: "R3", Breaks: "the guard is told that nobody counts on messages before the store says so",
		Edits: []Edit{{"ha/node/report.go", "return stored.Incarnation == c.Incarnation && len(stored.Watches) == 0", "return true"}},
		Probe: unseen(), Counts: []string{"R1", "R3"}},
	{Name: "watches-though-released", Rule: "R3", Breaks: "a report says that messages end the node before the guard was told so",
		Edits: []Edit{{"ha/node/report.go", "if x.Obeys && x.Guard.Connected", "if x.Guard.Connected"}, {"ha/node/report.go", "case g.SlotsSeen && !obeys:", "case false:"}},
		Probe: unseen("20s cut storage $a disk:iscsi for 20s"), Counts: []string{"R1", "R3"}},
	{Name: "message-not-obeyed", Rule: "R3", Breaks: "a guard that reads a message goes on feeding",
		Edits: []Edit{{"ha/node/guard_slots.go", "\tm.emit(GuardEndNode{how})\n", "\treturn\n"}},
		Probe: probe.Probe{Site: []string{"watchdog=hw", "devices=pill", "storages=ceph", "sound", "timing=normal", "grace=30s"},
			Script: []string{"60s cut cluster $a * for 60s", "60s cut corosync $a * for 60s"}}, Counts: []string{"R1", "R3"}},
	{Name: "self-fence-unarmed", Rule: "R3", Breaks: "time proves the end of a boot that was not armed",
		Edits: []Edit{{"ha/ladder/proofs.go", "if !f.Armed || !f.LeaseGone {", "if !f.LeaseGone {"}},
		Probe: frozen("none"), Counts: []string{"R1", "R3"}},
	{Name: "self-fence-lease-stands", Rule: "R3", Breaks: "time proves the end of a boot whose lease stands",
		Edits: []Edit{{"ha/ladder/proofs.go", "if !f.Armed || !f.LeaseGone {", "if !f.Armed {"}},
		Probe: probe.Probe{Site: []string{"watchdog=hw", "devices=none", "sound"}, Script: []string{"40s gossip-false-dead * $a 20s"}}, Counts: []string{"R1", "R3"}},
	{Name: "self-fence-by-an-older-lease", Rule: "R3", Breaks: "W counts from the end of a lease before the last one, which a lagging view never showed",
		Edits: []Edit{{"ha/leader/nodes.go", "mem.LastLease, mem.LeaseGone = last, 0", "mem.LastLease = last"}},
		Probe: probe.Probe{Site: []string{"nodes=3", "watchdog=hw", "devices=none", "timing=normal", "sound"},
			Script: []string{"20s cut cluster $a * for 16s", "26s break-watch $b 17s", "26s break-watch $c 17s", "37s~38s stop-daemon $a for 20s"}}, Counts: []string{"R1", "R3"}},
	{Name: "self-fence-without-margin", Rule: "R6", Breaks: "W has no margin",
		Edits: []Edit{{"ha/timing.go", "t.PermitGrace + t.KillTime + t.WatchdogTimeout + t.SelfFenceMargin", "t.PermitGrace + t.KillTime + t.WatchdogTimeout"}},
		Probe: cutOff("none"), Counts: []string{"R1", "R3"}},
	{Name: "self-fence-without-watchdog", Rule: "R6", Seed: 9, Breaks: "W has no term for the watchdog",
		Edits: []Edit{{"ha/timing.go", "t.PermitGrace + t.KillTime + t.WatchdogTimeout + t.SelfFenceMargin", "t.PermitGrace + t.KillTime + t.SelfFenceMargin"}},
		Probe: cutOff("none"), Counts: []string{"R1", "R3"}},
	{Name: "self-fence-forgets-promise", Rule: "R3", Breaks: "W does not count from the end of the leader's promise",
		Edits: []Edit{{"ha/leader/fence.go", "GoneSince: max(mem.LeaseGone, r.Promises[n])", "GoneSince: mem.LeaseGone"}},
		Probe: probe.Probe{Site: []string{"watchdog=hw", "devices=none", "sound"}, Script: []string{"12s cut cluster $a * for 8s", "19800ms etcd-backup", "32s etcd-down for 8s", "39s~39800ms cut all $a * for 75s", "39900ms etcd-restore"}}, Counts: []string{"R1", "R3", "part5"}},
	{Name: "confirm-off-for-any-boot", Rule: "R3", Breaks: "an operator's confirmation about another boot counts",
		Edits: []Edit{{"ha/ladder/proofs.go", "c.Node == f.Node && c.Incarnation == f.Incarnation {", "c.Node == f.Node {"},
			{"ha/leader/fence.go", "q.Kind == ha.RequestConfirmOff && q.Node == n && q.Incarnation == rec.Incarnation {", "q.Kind == ha.RequestConfirmOff && q.Node == n {"},
			{"ha/leader/requests.go", "} else if q.Incarnation != rec.Incarnation || (rec.State", "} else if (rec.State"}},
		Probe: frozen("none", "40s confirm-earlier $a boot-before"), Counts: []string{"R3"}},
}
