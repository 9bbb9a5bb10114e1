package main

import "bascule/tests/sim/mutants/probe"

// hardware breaks what only machines with more than one of something show: power supplies, addresses, disks with times of their own.
var hardware = []Mutant{
	{Name: "one-of-two-supplies", Rule: "R3", Breaks: "one outlet that is off proves a machine off that has two",
		Edits: []Edit{{"ha/ladder/proofs.go", "if !m.Confirmed || !fresh(w.Now, m, w.Timing) || d.Unusable(w.Facts) != \"\" {\n\t\t\treturn \"\", false\n", "if !m.Confirmed || !fresh(w.Now, m, w.Timing) || d.Unusable(w.Facts) != \"\" {\n\t\t\tcontinue\n"}},
		Probe: frozen("outlet+outlet2"), Counts: []string{"R1", "R3"}},
	{Name: "first-address-only", Rule: "R3", Breaks: "storages are taken away from a node's first address only",
		Edits: []Edit{{"ha/leader/fence.go", "rep.Timing.Through(rep.WatchdogDriver), rep.Clients\n", "rep.Timing.Through(rep.WatchdogDriver), rep.Clients[:min(1, len(rep.Clients))]\n"},
			{"ha/leader/fence.go", "\t\tf.Clients = rep.Clients\n", "\t\tf.Clients = rep.Clients[:min(1, len(rep.Clients))]\n"}},
		Probe: probe.Probe{Site: []string{"watchdog=none", "devices=ceph", "clients=3", "storages=ceph", "sound"}, Script: []string{"20s freeze $a for 75s"}}, Counts: []string{"R1", "R3"}},
	{Name: "msgwait-unchecked", Rule: "R3", Breaks: "a msgwait that is shorter than the node's watchdog needs is taken",
		Edits: []Edit{{"ha/timing.go", "return 2 * t.WatchdogTimeout }", "return 1 }"}},
		Probe: probe.Probe{Site: []string{"watchdog=hw", "devices=hasty", "sound", "timing=fast"}, Script: []string{"20s cut cluster $a * for 75s", "20s cut corosync $a * for 75s", "20s cut storage $a * for 75s"}}, Counts: []string{"R1", "R3"}},
	{Name: "preview-too-dark", Rule: "part4", Breaks: "the fence test calls a device useless that works",
		Edits: []Edit{{"ha/ladder/preview.go", "if s.Why = d.Unusable(f); s.Why == \"\" {", "if s.Why = \"broken\"; s.Why == \"\" {"}},
		Probe: frozen("bmc"), Counts: []string{"part4"}},
}

// resigned breaks how a leadership is given back.
var resigned = []Mutant{
	{Name: "resigns-once", Rule: "part5", Breaks: "a leadership is given back once, whether the store heard it or not",
		Edits: []Edit{{"ha/node/lease.go", "l.ResignAt = m.now.Add(m.c.Timing.RenewEvery)", "l.ResignAt = m.now.Add(1 << 42)"}},
		Probe: probe.Probe{Site: []string{"sound"}, Script: []string{"20s etcd-down for 20s", "50s power-off $a for 60s"}}, Counts: []string{"part4", "stuck"}},
	{Name: "moves-unguarded", Rule: "R5", Breaks: "a start or move is announced whatever became of its assignment",
		Edits: []Edit{{"ha/node/verify.go", "return ha.Txn{Guards: []ha.Guard{{Key: ha.KeyGuest(rec.ID), Rev: rev}, {Key: ha.KeyNode(c.Self), Rev: ownRev},\n\t\t{Key: ha.KeyCluster, Rev: clusterRev}},\n", "return ha.Txn{\n"}},
		Probe: probe.Probe{Site: []string{"sound"}, Script: []string{"20s drain $a for 60s", "20s~23s cut cluster $a * for 60s"}}, Counts: []string{"R1", "R3", "R4", "R5"}},
}
