package peer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"bascule/ha"
)

// Mismatch is a difference between the peer's end and Bascule's.
type Mismatch struct {
	Guest     string // "" for the recovered nodes
	Expected  string // node
	Got       string // node
	Placement bool   // only the node differs: the guest is in order on another one
	Waits     bool   // the peer's manager leaves it waiting because no node is allowed
	Text      string
	Reason    string // Bascule's own, of the guest's record
	State     ha.GuestState
}

// equivalent are Bascule's words for the peer's.
var equivalent = map[string][]ha.GuestState{
	"started":       {ha.GuestStarted},
	"request_start": {ha.GuestStarting, ha.GuestStarted},
	"stopped":       {ha.GuestStopped},
	"request_stop":  {ha.GuestStopping, ha.GuestStopped},
	"error":         {ha.GuestError},
	"freeze":        {ha.GuestFrozen},
	"fence":         {ha.GuestFence, ha.GuestRecovery},
	"recovery":      {ha.GuestRecovery, ha.GuestFence},
	"migrate":       {ha.GuestMigrating, ha.GuestRelocating},
	"relocate":      {ha.GuestRelocating, ha.GuestMigrating},
}

// actual is the end of one guest in the world.
type actual struct {
	managed bool
	state   ha.GuestState
	reason  string
	node    string   // by its record, or where its config lies when it has none
	config  string   // under which node's directory its config lies
	runsOn  []string // truth
}

func (r *run) actual(id string) actual {
	v := r.ids[id]
	a := actual{runsOn: r.scene.RunsOn(v), config: r.scene.ConfigUnder(v)}
	a.node = a.config
	if g, ok := r.scene.Truth().Guests[v]; ok && g.Rec.Requested != ha.RequestedIgnored {
		a.managed, a.state, a.reason, a.node = true, g.Rec.State, g.Rec.Reason, string(g.Rec.Node)
		if r.disarmed != "" { // the last daemon that stopped could not write that of its own guests
			a.managed, a.state = r.disarmed != "ignore", ha.GuestFrozen
		}
	}
	return a
}

// compare lists the differences at the end of a run.
func (r *run) compare() []Mismatch {
	var out []Mismatch
	for _, id := range slices.Sorted(maps.Keys(r.s.Expected.Guests)) {
		if m, ok := differs(id, r.s.Expected.Guests[id], r.actual(id)); ok {
			out = append(out, m)
		}
	}
	for _, g := range r.s.Guests {
		if _, ok := r.s.Expected.Guests[g.ID]; !ok && r.actual(g.ID).managed {
			out = append(out, Mismatch{Guest: g.ID, Text: g.ID + " is protected, and should not be managed any more"})
		}
	}
	got := slices.Sorted(maps.Keys(r.recovered))
	want := slices.Sorted(slices.Values(r.s.Expected.Recovered))
	if !slices.Equal(got, want) {
		out = append(out, Mismatch{Text: fmt.Sprintf("recovered from %v, should be %v", got, want)})
	}
	return out
}

// differs compares one guest.
func differs(id string, want ExpectedGuest, got actual) (Mismatch, bool) {
	m := Mismatch{Guest: id, Expected: want.Node, Got: got.node, Reason: got.reason, State: got.state}
	if want.State == nil {
		m.Text = fmt.Sprintf("%s is %s on %s, should not be managed on %s", id, got.state, got.node, want.Node)
		return m, got.managed || got.config != want.Node
	}
	m.Text = fmt.Sprintf("%s is %s on %s (%s) and runs on %v, should be %s on %s", id, firstOf(string(got.state), "unprotected"), got.node, got.reason, got.runsOn, *want.State, want.Node)
	m.Waits = *want.State == "recovery"
	states := equivalent[*want.State]
	if states == nil {
		states = []ha.GuestState{ha.GuestState(*want.State)}
	}
	inOrder := got.managed && got.config == got.node && slices.Contains(states, got.state) && runsAsItShould(want, got)
	m.Placement = inOrder && got.node != want.Node
	return m, !inOrder || m.Placement
}

// runsAsItShould compares with the truth: what is started runs on its node and nowhere else, unless the peer's runs nowhere either
// (its node is cut off or down); what is not, does not run, unless the peer's does (a guest that never stops).
func runsAsItShould(want ExpectedGuest, got actual) bool {
	here := slices.Equal(got.runsOn, []string{got.node})
	if len(want.Running) == 0 {
		return len(got.runsOn) == 0
	}
	return here
}

func texts(diff []Mismatch) string {
	var out []string
	for _, m := range diff {
		out = append(out, m.Text)
	}
	return strings.Join(out, "; ")
}
