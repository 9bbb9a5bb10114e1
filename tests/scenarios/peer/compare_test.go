package peer

import (
	"testing"

	"bascule/ha"
)

func TestDiffers(t *testing.T) {
	started, stopped, freeze, recovery := "started", "stopped", "freeze", "recovery"
	on := func(n string) []string { return []string{n} }
	in := actual{managed: true, state: ha.GuestStarted, node: "a", config: "a", runsOn: on("a")}
	with := func(f func(*actual)) actual {
		a := in
		f(&a)
		return a
	}
	for name, c := range map[string]struct {
		want             ExpectedGuest
		got              actual
		differs, onlyWay bool
	}{
		"in order":              {ExpectedGuest{"a", &started, on("a")}, in, false, false},
		"on another node":       {ExpectedGuest{"b", &started, on("b")}, in, true, true},
		"stands still":          {ExpectedGuest{"a", &started, on("a")}, with(func(a *actual) { a.runsOn = nil }), true, false},
		"runs elsewhere":        {ExpectedGuest{"a", &started, on("a")}, with(func(a *actual) { a.runsOn = on("b") }), true, false},
		"runs twice":            {ExpectedGuest{"a", &started, []string{"a", "b"}}, with(func(a *actual) { a.runsOn = []string{"a", "b"} }), true, false},
		"the peer's runs twice": {ExpectedGuest{"a", &started, []string{"a", "b"}}, in, false, false},
		"cut off":               {ExpectedGuest{"a", &started, nil}, with(func(a *actual) { a.runsOn = nil }), false, false},
		"config elsewhere":      {ExpectedGuest{"a", &started, on("a")}, with(func(a *actual) { a.config = "b" }), true, false},
		"in error":              {ExpectedGuest{"a", &started, on("a")}, with(func(a *actual) { a.state = ha.GuestError }), true, false},
		"in error elsewhere":    {ExpectedGuest{"b", &started, on("b")}, with(func(a *actual) { a.state = ha.GuestError }), true, false},
		"stopped":               {ExpectedGuest{"a", &stopped, nil}, with(func(a *actual) { a.state, a.runsOn = ha.GuestStopped, nil }), false, false},
		"runs on":               {ExpectedGuest{"a", &stopped, nil}, with(func(a *actual) { a.state = ha.GuestStopped }), true, false},
		"frozen":                {ExpectedGuest{"a", &freeze, on("a")}, with(func(a *actual) { a.state = ha.GuestFrozen }), false, false},
		"waits":                 {ExpectedGuest{"a", &recovery, nil}, with(func(a *actual) { a.state, a.runsOn = ha.GuestRecovery, nil }), false, false},
		"not managed":           {ExpectedGuest{"a", nil, nil}, actual{node: "a", config: "a"}, false, false},
		"managed":               {ExpectedGuest{"a", nil, nil}, in, true, false},
		"lost":                  {ExpectedGuest{"a", &started, on("a")}, actual{node: "a", config: "a", runsOn: on("a")}, true, false},
	} {
		if m, d := differs("vm:1", c.want, c.got); d != c.differs || m.Placement != c.onlyWay {
			t.Errorf("%s: differs %v, only the node %v (%s)", name, d, m.Placement, m.Text)
		}
	}
}

func TestWhatAFeatureMayExplain(t *testing.T) {
	r := &run{s: Scenario{Rules: []Rule{{Name: "r", Kind: "apart"}}}, bound: map[string]bool{}}
	moved, lost := Mismatch{Guest: "vm:1", Placement: true}, Mismatch{Guest: "vm:2", State: ha.GuestError}
	names, open := r.waits([]Mismatch{moved, lost})
	if len(names) != 1 || len(open) != 1 || open[0].Guest != "vm:2" {
		t.Errorf("a rule explains a place and not a guest in error: waits for %v, open %v", names, open)
	}
	if names, _ = r.waits(nil); len(names) > 0 {
		t.Errorf("a rule that was kept and changes nothing is not waited for: %v", names)
	}
	r.bound["r"] = true
	if names, _ = r.waits(nil); len(names) != 1 {
		t.Errorf("the rule was not kept on the way, the same end is luck: %v", names)
	}
	if _, open = r.waits([]Mismatch{lost}); len(open) != 1 {
		t.Error("a rule that was not kept does not excuse a guest in error either")
	}
	r.lack(Feature{Name: "command wobble", Unplayed: true})
	if names, open = r.waits([]Mismatch{lost}); len(names) != 1 || len(open) > 0 {
		t.Errorf("a command was left out, the end says nothing: waits for %v, open %v", names, open)
	}
}

func TestExceptionsExplainProperties(t *testing.T) {
	word := func(s string) *string { return &s }
	r := &run{s: Scenario{Name: "own", Guests: []Guest{{ID: "fa:10001", Fault: faultOf("fa:10001")}}, Steps: [][]Command{{ParseCommand("service vm:4 migrate b"), ParseCommand("crm a disarm-ha freeze")}},
		Expected: Expected{Guests: map[string]ExpectedGuest{"vm:1": {State: word("error")}, "vm:2": {State: word("started")}, "vm:3": {State: word("stopped"), Running: []string{"a"}}, "vm:4": {State: word("started")}}}}}
	for name, c := range map[string]struct {
		m       Mismatch
		excused bool
	}{
		"goes on":             {Mismatch{Guest: "vm:1", State: ha.GuestStarted}, true},
		"is lost":             {Mismatch{Guest: "vm:1", State: ha.GuestRecovery}, false},
		"no memory":           {Mismatch{Guest: "vm:2", State: ha.GuestRecovery, Reason: "no place: a: needs 5 MiB, 3 MiB free"}, true},
		"no place otherwise":  {Mismatch{Guest: "vm:2", State: ha.GuestRecovery, Reason: "no place: a: not registered"}, false},
		"cannot be stopped":   {Mismatch{Guest: "vm:3", State: ha.GuestStarted, Expected: "a", Got: "a"}, true},
		"ran away":            {Mismatch{Guest: "vm:3", State: ha.GuestStarted, Expected: "a", Got: "b"}, false},
		"moved while so":      {Mismatch{Guest: "vm:4", Placement: true, Expected: "a", Got: "b"}, true},
		"moved another way":   {Mismatch{Guest: "vm:4", Placement: true, Expected: "a", Got: "c"}, false},
		"has no config":       {Mismatch{Guest: "fa:10001"}, true},
		"the recovered nodes": {Mismatch{}, false},
	} {
		if why, open := r.excused([]Mismatch{c.m}); (len(open) == 0) != c.excused || c.excused != (len(why) == 1) {
			t.Errorf("%s: reasons %v, open %v", name, why, open)
		}
	}
}
