package main

import "bascule/tests/sim/mutants/probe"

// loses is a site whose nodes look at their storages, and one of them loses one for long.
func loses(more ...string) probe.Probe {
	return probe.Probe{Site: []string{"devices=bmc", "sound", "looks", "storages=ceph"}, Script: append([]string{"20s~24s fail-storage ceph $a for 100s"}, more...)}
}

// fled break what follows from a storage that a living node has lost.
var fled = []Mutant{
	{Name: "leaves-at-once", Rule: "storage", Breaks: "a guest leaves for a node that has had no time to say that it has lost the storage, too",
		Edits: []Edit{{"ha/timing.go", "return t.StorageEvery() + t.StorageLook() + t.LeaseTTL", "return 0"}},
		Probe: probe.Probe{Site: []string{"devices=bmc", "sound", "looks", "storages=ceph"}, Script: []string{"20s~24s cut storage disk:ceph * for 100s", "20s~22s fail-storage ceph $a for 100s"}}, Counts: []string{"storage"}},
	{Name: "leaves-for-the-unknown", Rule: "storage", Breaks: "a guest leaves for a node that does not say that the storage is good there",
		Edits: []Edit{{"ha/leader/flee.go", "if s.Active && s.State == ha.StorageGood && r.now >= r.settledBy(n, s.Name) {", "if true {"}},
		Probe: loses("20s~24s fail-storage ceph $b for 100s", "26s~40s cut storage $c disk:ceph for 60s"), Counts: []string{"storage"}},
	{Name: "chased-around", Rule: "storage", Breaks: "a guest follows a storage that comes and goes from node to node",
		Edits: []Edit{{"ha/leader/flee.go", "r.Wall.Sub(fled[len(fled)-1]) < fleeAgain", "false"}},
		Probe: loses("105s fail-storage ceph $b for 100s", "105s fail-storage ceph $c for 100s", "20s~24s fail-storage ceph $b for 55s"), Counts: []string{"storage"}},
	{Name: "everybody-leaves", Rule: "storage", Breaks: "guests leave whose storages work",
		Edits: []Edit{{"ha/leader/flee.go", "s.State.Lost() && slices.Contains(g.Storages, s.Name)", "s.State.Lost()"}},
		Probe: probe.Probe{Site: []string{"devices=bmc", "sound", "looks", "storages=iscsi"}, Script: []string{"20s~24s fail-storage ceph $a for 100s"}}, Counts: []string{"storage"}},
	{Name: "released-by-its-stop", Rule: "R1", Breaks: "a guest that leaves a lost storage is called released by what its stop says",
		Edits: []Edit{{"ha/node/steps.go", "\t\t\tj.Step, j.Failure = StepScan, \"its storage is lost here\"\n\t\t\treturn\n", "\t\t\tr := ha.GuestReport{Guest: rec.ID, Node: m.c.Self, Incarnation: m.c.Incarnation, Generation: rec.Generation, Phase: ha.PhaseReleased}\n\t\t\tm.write(g, r)\n\t\t\treturn\n"}},
		Probe: probe.Probe{Site: []string{"devices=bmc", "sound", "looks", "storages=ceph"}, Script: []string{"20s~24s cut storage $a disk:ceph for 100s"}}, Counts: []string{"R1", "R3"}},
	{Name: "leaves-for-the-first-that-sees-it-back", Rule: "storage", Breaks: "a guest leaves for the first node that sees a storage come back for all",
		Edits: []Edit{{"ha/leader/flee.go", " && r.now >= r.settledBy(n, s.Name)", ""}},
		Probe: probe.Probe{Site: []string{"devices=bmc", "sound", "looks", "storages=ceph"}, Script: []string{"20s~24s cut storage disk:ceph * for 80s"}}, Counts: []string{"storage"}},
	{Name: "all-leave-at-once", Rule: "storage", Breaks: "all guests leave a node at the same time",
		Edits: []Edit{{"ha/leader/flee.go", "case under < max(1, r.ParallelMoves) && r.flee(g, lost):", "case r.flee(g, lost):"}},
		Probe: probe.Probe{Site: []string{"nodes=2", "devices=bmc", "sound", "looks", "storages=ceph"}, Script: []string{"20s~24s fail-storage ceph $a for 100s"}}, Counts: []string{"storage"}},
}
