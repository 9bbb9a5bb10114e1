package peer

import (
	"strings"
	"testing"
)

// nodes3 are three nodes that are switched off, as the peer's scenarios begin.
func nodes3() []Node {
	return []Node{{Name: "a", Memory: nodeMemory}, {Name: "b", Memory: nodeMemory}, {Name: "c", Memory: nodeMemory}}
}

func guest(id, node, state string) Guest {
	return Guest{ID: id, Node: node, State: state, MaxRestart: 1, MaxRelocate: 1, Failback: true, Memory: defaultMemory, Fault: faultOf(id)}
}

// scene is a scenario from lines: one per step, commands separated by ";". The nodes are on from the first step.
func scene(steps ...string) Scenario {
	s := Scenario{Name: "own", Nodes: nodes3(), Expected: Expected{Guests: map[string]ExpectedGuest{}}}
	for _, line := range append([]string{"power a on; power b on; power c on"}, steps...) {
		var step []Command
		for _, c := range strings.Split(line, ";") {
			step = append(step, ParseCommand(strings.TrimSpace(c)))
		}
		s.Steps = append(s.Steps, step)
	}
	return s
}

func (s Scenario) with(g Guest, node, state string, running ...string) Scenario {
	s.Guests = append(s.Guests, g)
	s.Expected.Guests[g.ID] = ExpectedGuest{Node: node, State: &state, Running: running}
	return s
}

// TestRun plays small scenarios of its own; each that passes is also shown to fail with another expectation.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("plays whole worlds")
	}
	cut := scene("network c off").with(guest("vm:7", "c", "started"), "a", "started", "a").with(guest("vm:8", "b", "started"), "b", "started", "b")
	cut.Expected.Recovered = []string{"c"}
	elsewhere := scene("network c off").with(guest("vm:7", "c", "started"), "b", "started", "b").with(guest("vm:8", "b", "started"), "b", "started", "b")
	elsewhere.Expected.Recovered = []string{"c"}
	ruled := elsewhere
	ruled.Rules = []Rule{{Name: "near", Kind: "together", Guests: []string{"vm:7", "vm:8"}, Strict: true, Failback: true}}
	off := scene("power c off").with(guest("ct:7", "c", "started"), "a", "started", "a")
	off.Expected.Recovered = []string{"c"}
	unrecovered := scene("power c off").with(guest("ct:7", "c", "started"), "a", "started", "a")
	odd := scene("wobble c").with(guest("vm:7", "c", "started"), "c", "started", "c")
	stranger := scene("service vm:99 stopped; power nowhere off").with(guest("vm:7", "c", "started"), "c", "started", "c")
	stops := scene("service vm:7 disabled").with(guest("vm:7", "c", "started"), "c", "stopped")
	never := scene("service fa:1001 disabled").with(guest("fa:1001", "c", "started"), "c", "stopped", "c")
	added := scene("service vm:9 add b").with(Guest{ID: "vm:9", Later: true, State: "started", Memory: defaultMemory}, "b", "started", "b")
	drained := scene("crm c enable-node-maintenance").with(guest("vm:7", "c", "started"), "a", "started", "a")
	disarmed := scene("crm a disarm-ha freeze").with(guest("vm:7", "c", "started"), "c", "freeze", "c")
	cold := scene("network a off; network b off; network c off").with(guest("vm:7", "c", "started"), "c", "started")
	for name, c := range map[string]struct {
		s    Scenario
		word string
		says string
	}{
		"a node is cut off":               {cut, Pass, ""},
		"recovered to another place":      {elsewhere, Fail, "should be started on b"},
		"a rule wants another place":      {ruled, Waiting, "resource affinity (together)"},
		"a node loses its power":          {off, Pass, ""},
		"nobody should have recovered":    {unrecovered, Fail, "recovered from [c], should be []"},
		"a command that nobody knows":     {odd, Waiting, "command wobble"},
		"a guest that nobody knows":       {stranger, Waiting, "vm:99"},
		"stopped by an operator":          {stops, Pass, ""},
		"cannot be stopped":               {never, Differs, "cannot be stopped"},
		"created and protected":           {added, Pass, ""},
		"a maintenance":                   {drained, Pass, ""},
		"everything disarmed":             {disarmed, Pass, ""},
		"everybody cut off from everyone": {cold, Pass, ""},
	} {
		if v := Run(c.s, 1, nil); v.Word != c.word || !strings.Contains(v.Reason, c.says) {
			t.Errorf("%s: %s", name, v)
		}
	}
}

// TestFaultsOfOneNode: a guest whose starts fail on node2 only is started on node1 as if nothing were wrong, and given up elsewhere
// when they fail everywhere.
func TestFaultsOfOneNode(t *testing.T) {
	for id, want := range map[string]string{"fa:150002": Pass, "fa:150001": Fail, "fa:150": Fail} {
		s := Scenario{Name: "own", Steps: [][]Command{{ParseCommand("power node1 on"), ParseCommand("power node2 on")}},
			Nodes: []Node{{Name: "node1", Memory: nodeMemory}, {Name: "node2", Memory: nodeMemory}}, Expected: Expected{Guests: map[string]ExpectedGuest{}}}
		s = s.with(guest(id, "node1", "started"), "node1", "started", "node1")
		if v := Run(s, 1, nil); v.Word != want {
			t.Errorf("%s: %s, want %s", id, v, want)
		}
	}
}

// TestRunIsTheSameAgain: equal seeds, equal worlds.
func TestRunIsTheSameAgain(t *testing.T) {
	s := scene("network c off", "power c on").with(guest("vm:7", "c", "started"), "a", "started", "a")
	var first, second strings.Builder
	Run(s, 3, &first)
	Run(s, 3, &second)
	if first.String() != second.String() || first.Len() == 0 {
		t.Errorf("two runs of the same seed differ: %d and %d bytes of trace", first.Len(), second.Len())
	}
}
