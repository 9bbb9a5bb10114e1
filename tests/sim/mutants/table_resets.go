package main

// resets break the rules of devices that can only be told to reset: once, never a boot that is known, and never as a proof.
var resets = []Mutant{
	{Name: "reset-twice-at-once", Rule: "R4", Breaks: "a reset is sent twice at once",
		Edits: []Edit{{"ha/ladder/climb.go", "	w.out.Commands = append(w.out.Commands, w.command(d, action))\n", "	w.out.Commands = append(w.out.Commands, w.command(d, action))\n	if d.Kind == ha.ResetDevice {\n		w.out.Commands = append(w.out.Commands, w.command(d, action))\n	}\n"}},
		Probe: frozen("robot"), Counts: []string{"R4"}},
	{Name: "reset-is-off", Rule: "R3", Breaks: "a reset that its service took counts as power off",
		Edits: []Edit{{"ha/ladder/reset.go", "	m.Accepted, m.Problem, m.Failures = r.Asked, \"\", 0\n", "	m.Accepted, m.Problem, m.Failures, m.Confirmed = r.Asked, \"\", 0, true\n"},
			{"ha/ladder/proofs.go", "		if d.Kind != ha.PowerDevice {\n", "		if d.Kind != ha.PowerDevice && d.Kind != ha.ResetDevice {\n"}},
		Probe: frozen("robot"), Counts: []string{"R1", "R3"}},
	{Name: "reset-of-a-new-boot", Rule: "R4", Breaks: "a reset is stored although the node may have registered with another boot meanwhile",
		Edits: []Edit{{"ha/leader/fence.go", "			r.rests[rec.Node] = true // a reset must not meet a boot that has registered meanwhile\n", "			_ = rec\n"}},
		Probe: frozen("robot"), Counts: []string{"R3", "R4"}},
	{Name: "booting-machine-is-reset", Rule: "R4", Breaks: "a machine that was reset is reset again while it boots",
		Edits: []Edit{{"ha/ladder/reset.go", "	m.ResetDue = w.Now.Add(w.Timing.BootTime)\n	w.step(", "	m.ResetDue = w.Now.Add(10 * w.Timing.OffReadGap)\n	w.step("}},
		Probe: frozen("robot"), Counts: []string{"R4"}},
	{Name: "lost-answer-is-no-reset", Rule: "R4", Breaks: "a reset whose answer was lost counts as not carried out",
		Edits: []Edit{{"ha/ladder/reset.go", "	if r.Perhaps {\n", "	if false {\n"}},
		Probe: frozen("robot", "19s device-slow $robot 6s for 70s"), Counts: []string{"R4"}},
	{Name: "new-leader-repeats-a-reset", Rule: "R4", Breaks: "a new leader tells a device again that the one before it has just told",
		Edits: []Edit{{"ha/ladder/reset.go", "if d.Kind == ha.ResetDevice && m.ResetDue == 0 && w.out.Record.Told(d.Name) > 0 {", "if false {"}},
		Probe: frozen("robot", "28s~34s power-off $b for 60s", "19s device-stuck $robot for 70s"), Counts: []string{"R4"}},
}
