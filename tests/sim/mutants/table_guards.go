package main

import "bascule/tests/sim/mutants/probe"

// unguarded take the guards of a leader's transaction away, one at a time (R4).
var unguarded = []Mutant{
	{Name: "proof-without-lease", Rule: "R4", Breaks: "what is stored of a node does not rest on its lease and report as they were read",
		Edits: []Edit{{"ha/leader/commits.go", "if r.rests[n] {", "if false {"}},
		Probe: probe.Probe{Script: []string{"20s power-off $a for 60s"}}, Counts: []string{"R4"}},
	{Name: "move-ends-unguarded", Rule: "R4", Breaks: "the end of a move does not rest on what both sides said",
		Edits: []Edit{{"ha/leader/moves.go", "\tr.rest(g.ID, ha.KeyGuestReport(m.From, g.ID), src.Rev)\n\tr.rest(g.ID, ha.KeyGuestReport(m.Target, g.ID), dst.Rev)\n", ""}},
		Probe: probe.Probe{Site: []string{"sound"}, Script: []string{"20s drain $a for 60s"}}, Counts: []string{"R4"}},
	{Name: "holder-dropped-unguarded", Rule: "R4", Breaks: "a holder is dropped without resting on what it said",
		Edits: []Edit{{"ha/leader/guests.go", "\t\tr.rest(g.ID, ha.KeyGuestReport(h.Node, g.ID), r.Store.GuestReports[h.Node][g.ID].Rev)\n\t\treturn released(ha.Holder", "\t\treturn released(ha.Holder"}},
		Probe: probe.Probe{Site: []string{"sound"}, Script: []string{"20s drain $a for 60s"}}, Counts: []string{"R4"}},
	{Name: "target-not-guarded", Rule: "R4", Breaks: "a planned move does not rest on its target's record",
		Edits: []Edit{{"ha/leader/moves.go", "\tr.rest(g.ID, ha.KeyNode(m.Target), r.Store.Nodes[m.Target].Rev)\n", ""}},
		Probe: probe.Probe{Site: []string{"sound"}, Script: []string{"20s drain $a for 60s"}}, Counts: []string{"R4"}},
	{Name: "fence-removed-unguarded", Rule: "R4", Breaks: "a fence record is removed without a guard on its revision",
		Edits: []Edit{{"ha/leader/commits.go", "\t\tc.Txn.Guards = append(c.Txn.Guards, ha.Guard{Key: ha.KeyFence(n), Rev: old.Rev})\n", "\t\tif f != nil {\n\t\t\tc.Txn.Guards = append(c.Txn.Guards, ha.Guard{Key: ha.KeyFence(n), Rev: old.Rev})\n\t\t}\n"}},
		Probe: probe.Probe{Site: []string{"devices=bmc"}, Script: []string{"20s power-off $a for 20s"}}, Counts: []string{"R4"}},
}
