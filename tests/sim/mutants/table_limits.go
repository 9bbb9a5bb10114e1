package main

import "bascule/tests/sim/mutants/probe"

// two are two nodes that stand still at the same time on a site of five with power devices alone.
func two(site string) probe.Probe {
	return probe.Probe{Site: []string{"nodes=5", "watchdog=none", "devices=bmc", "sound", site}, Script: []string{"20s freeze $a for 75s", "20s freeze $b for 75s"}}
}

// comesOn is a site on which fenced machines are switched on again.
func comesOn(script ...string) probe.Probe {
	return probe.Probe{Site: []string{"watchdog=none", "devices=bmc", "sound", "after=on"}, Script: script}
}

// limited break the limits of fencing, and what becomes of a machine after its proof.
var limited = []Mutant{
	{Name: "all-at-once", Rule: "fence", Breaks: "any number of nodes is fenced at once",
		Edits: []Edit{{"ha/leader/limits.go", "case r.MaxConcurrent > 0 && len(busy) >= r.MaxConcurrent:", "case false:"}},
		Probe: two("max-concurrent=1"), Counts: []string{"fence"}},
	{Name: "turn-for-ever", Rule: "part4", Breaks: "a node whose device says that it switches off, and does not, keeps its turn",
		Edits: []Edit{{"ha/leader/limits.go", "cmp.Or(mem.Turn, r.now).Add(turnTime(r.Timing))", "cmp.Or(mem.Turn, r.now).Add(1000 * turnTime(r.Timing))"}},
		Probe: probe.Probe{Site: []string{"nodes=5", "watchdog=none", "devices=bmc", "sound", "max-concurrent=1"},
			Script: []string{"19s device-stuck $bmc for 90s", "20s freeze $a for 90s", "20s freeze $b for 90s"}}, Counts: []string{"part4"}},
	{Name: "least-important-fenced-first", Rule: "part4", Breaks: "of the nodes that wait for their turn the one with the least important guests is fenced first",
		Edits: []Edit{{"ha/leader/limits.go", "cmp.Compare(weight[b], weight[a])", "cmp.Compare(weight[a], weight[b])"}},
		Probe: two("max-concurrent=1"), Counts: []string{"part4"}},
	{Name: "fences-the-majority", Rule: "fence", Breaks: "the leader switches nodes off while too few voters are healthy",
		Edits: []Edit{{"ha/leader/limits.go", "if healthy >= need {", "if true {"}},
		Probe: two("min-healthy=80"), Counts: []string{"fence"}},
	{Name: "min-healthy-rounded-down", Rule: "fence", Breaks: "two of three voters pass for more than 66 percent",
		Edits: []Edit{{"ha/leader/limits.go", "(r.MinHealthy*all + 99) / 100", "r.MinHealthy * all / 100"}},
		Probe: probe.Probe{Site: []string{"nodes=3", "watchdog=none", "devices=bmc", "sound", "min-healthy=80"}, Script: []string{"20s freeze $a for 75s"}}, Counts: []string{"fence"}},
	{Name: "waiting-proves-nothing", Rule: "part4", Breaks: "while a fencing waits for healthy voters, no proof counts",
		Edits: []Edit{{"ha/leader/fence.go", "\tout := ladder.Step(r.input(rec, mem, f))\n\tif out.Wants", "\tif r.held(rec) && r.tooFew() != \"\" {\n\t\treturn\n\t}\n\tout := ladder.Step(r.input(rec, mem, f))\n\tif out.Wants"}},
		Probe: probe.Probe{Site: []string{"watchdog=hw", "devices=bmc", "sound", "min-healthy=100"}, Script: []string{"20s cut all $a * for 75s"}}, Counts: []string{"part4"}},
	{Name: "deaf-to-override", Rule: "part4", Breaks: "an operator's fence waits for healthy voters, too",
		Edits: []Edit{{"ha/leader/limits.go", "f.Incarnation == rec.Incarnation && f.Operator == \"\" && !ladder.Begun(f)", "f.Incarnation == rec.Incarnation && !ladder.Begun(f)"}},
		Probe: probe.Probe{Site: []string{"watchdog=none", "devices=bmc", "sound", "min-healthy=100"}, Script: []string{"20s freeze $a for 100s", "35s fence $a"}}, Counts: []string{"part4"}},
	{Name: "no-priority-delay", Rule: "fence", Breaks: "the node with the most important guests is fenced without its delay",
		Edits: []Edit{{"ha/leader/nodes.go", "more := r.priorityDelay(n)\n", "more := r.priorityDelay(n) / 100\n"}},
		Probe: probe.Probe{Site: []string{"watchdog=none", "devices=bmc", "sound", "priority-delay=20s"}, Script: []string{"20s freeze $a for 75s"}}, Counts: []string{"fence"}},
	{Name: "on-before-the-proof", Rule: "R4", Breaks: "a machine is switched on again as soon as it was told to switch off",
		Edits: []Edit{{"ha/ladder/on.go", "m.Off = r.Power == ha.PowerOff", "m.Off = true"},
			{"ha/leader/switchon.go", "f.RunsAgain || !r.recordedEnd(rec) {", "f.RunsAgain {"},
			{"ha/leader/fence.go", "\tif r.returned(rec, mem) {\n", "\tr.switchOn(rec, mem)\n\tif r.returned(rec, mem) {\n"},
			{"ha/leader/fence.go", "\tout := ladder.Step(r.input(rec, mem, f))\n\tif out.Wants", "\tf = r.fences[rec.Node]\n\tout := ladder.Step(r.input(rec, mem, f))\n\tif out.Wants"}},
		Probe: comesOn("20s freeze $a for 75s"), Counts: []string{"R4"}},
	{Name: "never-switched-on-again", Rule: "part4", Breaks: "a machine that is to be switched on again stays off",
		Edits: []Edit{{"ha/ladder/on.go", "case m.Off && w.Now >= due:", "case false:"}},
		Probe: comesOn("20s freeze $a for 75s"), Counts: []string{"part4"}},
	{Name: "on-where-it-stays-off", Rule: "fence", Breaks: "machines are switched on again although they are to stay off",
		Edits: []Edit{{"ha/leader/switchon.go", "if r.Plans[rec.Node].After != ladder.SwitchOn || f == nil", "if f == nil"}},
		Probe: frozen("bmc"), Counts: []string{"fence"}},
	{Name: "found-off-switched-on", Rule: "fence", Breaks: "a machine that somebody switched off is switched on",
		Edits: []Edit{{"ha/ladder/on.go", "d.Kind == ha.PowerDevice && commanded(r, d) && d.Unusable", "d.Kind == ha.PowerDevice && d.Unusable"}},
		Probe: comesOn("20s power-off $a for 60s"), Counts: []string{"fence"}},
	{Name: "drained-switched-on", Rule: "fence", Breaks: "a drained machine is switched on again",
		Edits: []Edit{{"ha/leader/switchon.go", "case rec.Drain:", "case false:"}},
		Probe: comesOn("14s drain $a for 100s", "45s freeze $a for 60s"), Counts: []string{"fence"}},
	{Name: "flapping-switched-on", Rule: "fence", Breaks: "a machine that was fenced again and again is switched on again and again",
		Edits: []Edit{{"ha/leader/switchon.go", "case r.flapping(rec):", "case false:"}},
		Probe: comesOn("15s freeze $a for 60s", "110s freeze $a for 60s", "205s freeze $a for 60s"), Counts: []string{"fence"}},
	{Name: "operators-fence-switched-on", Rule: "fence", Breaks: "a machine that an operator had fenced is switched on again",
		Edits: []Edit{{"ha/leader/switchon.go", "case f.Operator != \"\":", "case false:"}},
		Probe: comesOn("20s fence $a"), Counts: []string{"fence"}},
	{Name: "switched-on-for-ever", Rule: "fence", Breaks: "a machine that does not come on is told so for ever",
		Edits: []Edit{{"ha/ladder/on.go", "const onTries = 4", "const onTries = 400"}},
		Probe: comesOn("20s freeze $a for 10s", "26s~28s power-off $a for 300s"), Counts: []string{"fence"}},
}

// keepers break who keeps the store.
var keepers = []Mutant{
	{Name: "voter-lost-early", Rule: "voters", Breaks: "a voter that has been gone for a minute loses its vote",
		Edits: []Edit{{"ha/timing.go", "return max(shortestVoterGone, 2*t.BootTime)", "return time.Minute"}},
		Probe: probe.Probe{Site: []string{"nodes=4", "watchdog=hw", "devices=bmc", "sound"}, Script: []string{"20s power-off $a for 150s"}}, Seed: 2, Counts: []string{"voters"}},
	{Name: "voter-behind-a-link", Rule: "voters", Breaks: "a voter that the leader alone does not reach loses its vote",
		Edits: []Edit{{"ha/leader/voters.go", "(!lease || r.Store.Reports[v].Rec.EtcdDown) && ", "(lease || !lease) && "}},
		Probe: probe.Probe{Site: []string{"nodes=4", "watchdog=hw", "devices=bmc", "sound"}, Script: []string{"20s cut cluster $a $b for 13m"}}, Seed: 5, Counts: []string{"voters"}},
}
