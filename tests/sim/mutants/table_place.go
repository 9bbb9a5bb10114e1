package main

import "bascule/tests/sim/mutants/probe"

// places break where guests are put, and what is tried too often (DESIGN parts 2, 4 and 6).
var places = []Mutant{
	{Name: "memory-overcommitted", Rule: "R5", Breaks: "a node is given guests beyond its memory",
		Edits: []Edit{{"ha/placement/rule_memory.go", "if g.Memory <= n.MemoryFree {", "if true {"}},
		Probe: probe.Probe{Site: []string{"devices=bmc", "memory=tight"}, Script: []string{"20s power-off $a for 60s"}}, Counts: []string{"R5"}},
	{Name: "storage-not-there", Rule: "R5", Breaks: "a node is given guests whose storages are not active there",
		Edits: []Edit{{"ha/placement/rule_storages.go", "!strings.HasPrefix(s, \"/\") && !slices.Contains(n.Storages, s)", "!strings.HasPrefix(s, \"/\") && !slices.Contains(n.Storages, s) && false"}},
		Probe: probe.Probe{Site: []string{"devices=bmc", "sound"}, Script: []string{"15s cut storage $b * for 60s", "40s power-off $a for 60s"}}, Counts: []string{"R5"}},
	{Name: "pinned-guest-moved", Rule: "R5", Breaks: "a guest that is tied to a node is given to another",
		Edits: []Edit{{"ha/placement/rule_pinned.go", "if g.Pinned == \"\" ||", "if true ||"}},
		Probe: probe.Probe{Site: []string{"devices=bmc", "sound"}, Script: []string{"20s power-off $a for 60s"}}, Counts: []string{"R5"}},
	{Name: "least-important-first", Rule: "part4", Breaks: "the least important guests are given the last places",
		Edits: []Edit{{"ha/leader/recover.go", "cmp.Compare(b.Priority, a.Priority)", "cmp.Compare(a.Priority, b.Priority)"}},
		Probe: probe.Probe{Site: []string{"nodes=2", "devices=bmc", "memory=tight", "sound"}, Script: []string{"20s power-off $a for 90s"}}, Counts: []string{"part4"}},
	{Name: "never-quarantined", Rule: "R5", Breaks: "a node that is fenced again and again is given guests again and again",
		Edits: []Edit{{"ha/leader/quarantine.go", "return len(r.recentFences(rec)) >= quarantineAfter", "return false"}},
		Probe: probe.Probe{Site: []string{"devices=bmc", "sound", "timing=fast"}, Script: []string{"15s power-off $a for 5s", "75s power-off $a for 5s", "135s power-off $a for 5s", "195s power-off $b for 60s"}}, Counts: []string{"R5"}},
	{Name: "relocated-for-ever", Rule: "part4", Breaks: "a guest that starts nowhere is tried again and again",
		Edits: []Edit{{"ha/leader/guests.go", "if g.Relocations >= r.MaxRelocate {", "if false {"}},
		Probe: probe.Probe{Site: []string{"sound"}, Script: []string{"15s fail-start node1 $g 20", "15s fail-start node2 $g 20", "15s fail-start node3 $g 20", "20s crash-guest $g"}}, Counts: []string{"part4"}},
}
