package main

import "bascule/tests/sim/mutants/probe"

// endless break the end of a fencing: each of them is safe, and leaves guests lying for ever.
var endless = []Mutant{
	{Name: "never-switches-off", Rule: "part4", Breaks: "the leader never switches anything off",
		Edits: []Edit{{"ha/ladder/climb.go", "wants = m.FirstOff == 0\n", "wants = false\n"}},
		Probe: frozen("bmc"), Counts: []string{"part4"}},
	{Name: "never-proven-by-time", Rule: "part4", Breaks: "time proves nothing about an armed node",
		Edits: []Edit{{"ha/ladder/proofs.go", "if !f.Armed || !f.LeaseGone {", "if true {"}},
		Probe: cutOff("none"), Counts: []string{"part4"}},
	{Name: "never-let-in-again", Rule: "part4", Breaks: "a node that is back in order before anything was proven is never let in",
		Edits: []Edit{{"ha/leader/fence.go", "if !r.back(rec, mem) || r.revoked(rec) {", "if true {"}},
		Probe: probe.Probe{Site: []string{"watchdog=none", "devices=none", "sound"}, Script: []string{"20s freeze $a for 30s"}}, Counts: []string{"part4"}},
	{Name: "never-revokes", Rule: "part4", Breaks: "the leader never takes a storage away",
		Edits: []Edit{{"ha/ladder/climb.go", "wants = w.wantsRevoke(d, m)\n", "wants = false && w.wantsRevoke(d, m)\n"}},
		Probe: frozen("ceph"), Counts: []string{"part4"}},
	{Name: "deaf-to-confirm-off", Rule: "part4", Breaks: "an operator's word that a node is off is never heard",
		Edits: []Edit{{"ha/leader/fence.go", "q.Kind == ha.RequestConfirmOff && q.Node == n && q.Incarnation == rec.Incarnation {", "false {"}},
		Probe: probe.Probe{Site: []string{"watchdog=none", "devices=none", "sound"}, Script: []string{"20s power-off $a for 75s", "40s confirm-off $a"}}, Counts: []string{"part4"}},
}
