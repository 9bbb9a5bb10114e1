package etcd

import (
	"errors"
	"strings"
	"testing"

	"bascule/ha"
)

// voters makes a list: "a b -c +d ?e" are voters a and b that answer, c that does not, a learner d, and e that never started.
func membersOf(text string) (list []Member) {
	for i, f := range strings.Fields(text) {
		m := Member{ID: uint64(i + 1), Node: ha.NodeName(strings.TrimLeft(f, "-+?")), Started: f[0] != '?', Learner: f[0] == '+', Answers: f[0] != '-' && f[0] != '?'}
		list = append(list, m)
	}
	return list
}

func TestOneChangeAtATimeAndNeverBelowTheMajority(t *testing.T) {
	add := func(n ha.NodeName) func([]Member) (step, error) {
		return func(l []Member) (step, error) { return planAdd(l, n) }
	}
	remove := func(n ha.NodeName) func([]Member) (step, error) {
		return func(l []Member) (step, error) { return planRemove(l, n) }
	}
	lost := func(old, by ha.NodeName) func([]Member) (step, error) {
		return func(l []Member) (step, error) { return newLost(l, old, by).plan(l) }
	}
	replace := func(old, by ha.NodeName) func([]Member) (step, error) {
		return func(l []Member) (step, error) {
			r, err := newReplacement(l, old, by)
			if err != nil {
				return step{}, err
			}
			return r.plan(l)
		}
	}
	for _, tt := range []struct {
		list string
		plan func([]Member) (step, error)
		kind stepKind
		says string // part of the refusal
	}{
		{"a", add("b"), stepAdd, ""},
		{"a +b", add("b"), stepPromote, ""},
		{"a b", add("b"), stepDone, ""},
		{"a ?b", add("b"), 0, "has not started yet: start basculed there"},
		{"a +b", add("c"), 0, "b is being let in: finish that (hactl etcd add b)"},
		{"a b -c", add("d"), 0, "c is not answering, and one voter more would raise the majority"},
		{"a b c d e f g", add("h"), 0, "there are 7 already"},
		{"a b c", remove("c"), stepRemove, ""},
		{"a b -c", remove("c"), stepRemove, ""},
		{"a b", remove("c"), stepDone, ""},
		{"a b -c", remove("b"), 0, "without b only 1 of 2 voters would answer, and 2 must"},
		{"a b c -d -e", remove("c"), 0, "without c only 2 of 4 voters would answer, and 3 must"},
		{"a b c -d -e", remove("e"), stepRemove, ""},
		{"a", remove("a"), 0, "is the only one"},
		{"a b +c", remove("b"), 0, "c is being let in"},
		{"a b +c", remove("c"), stepRemove, ""},
		{"a b c", replace("c", "c"), 0, "there is nothing to replace"},
		{"a b -c", replace("c", "c"), stepRemove, ""},
		{"a b", replace("c", "c"), stepAdd, ""},
		{"a b +c", replace("c", "c"), stepPromote, ""},
		{"a b -c", replace("c", "d"), stepRemove, ""},
		{"a b", replace("c", "d"), stepAdd, ""},
		{"a b c", replace("c", "d"), stepAdd, ""},
		{"a b c +d", replace("c", "d"), stepPromote, ""},
		{"a b c d", replace("c", "d"), stepRemove, ""},
		{"a b d", replace("c", "d"), stepDone, ""},
		{"a -b -c", replace("c", "d"), 0, "without c only 1 of 2 voters would answer"},
		{"a b -c", lost("c", "d"), stepRemove, ""},
		{"a b c", lost("c", "d"), 0, "c answers: it keeps its vote"},
		{"a b", lost("c", "d"), stepAdd, ""},
		{"a b +d", lost("c", "d"), stepPromote, ""},
		{"a b d", lost("c", "d"), stepDone, ""},
		{"a b c d", lost("c", "d"), 0, "c answers: it keeps its vote"},
		{"a b +c", lost("c", "d"), stepRemove, ""}, // a spare that did not come to vote
		{"a -b -c", lost("c", "d"), 0, "without c only 1 of 2 voters would answer"},
		{"a b d -e -c", lost("c", "f"), stepRemove, ""},
		{"a b d -e", lost("c", "f"), 0, "e is not answering, and one voter more would raise the majority"},
	} {
		s, err := tt.plan(membersOf(tt.list))
		if tt.says != "" {
			if !errors.Is(err, ErrMembers) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: %v, want …%s", tt.list, err, tt.says)
			}
			continue
		}
		if err != nil || s.kind != tt.kind {
			t.Errorf("%s: %v, %v, want %v", tt.list, s.kind, err, tt.kind)
		}
	}
}

func TestWhoMayFormACluster(t *testing.T) {
	c := Config{Self: "b", Voters: []Voter{{Name: "a"}, {Name: "b"}, {Name: "c"}}}
	later := c
	later.Initial = []ha.NodeName{"a"}
	spare := Config{Self: "b", Voters: []Voter{{Name: "a"}, {Name: "b", Spare: true}, {Name: "c"}}}
	static := membersOf("a b c")
	static[1].Started = false
	let := membersOf("a +b")
	let[1].Started = false
	for what, tt := range map[string]struct {
		c       Config
		list    []Member
		before  past
		stopped uint64
		want    admission
		says    string // "-": nothing
	}{
		"the first start of all":         {c, nil, neverMember, 0, admitForm, ""},
		"the others are first":           {c, static, neverMember, 0, admitForm, ""},
		"data gone, nobody there":        {c, nil, wasMember, 0, admitWait, "bring the others back"},
		"data gone":                      {c, membersOf("a b c"), neverMember, 0, admitWait, "hactl etcd replace b"},
		"later voter, nobody there":      {later, nil, neverMember, 0, admitWait, "none of the initial voters"},
		"later voter, not let in":        {later, membersOf("a"), neverMember, 0, admitWait, "hactl etcd add b"},
		"later voter, let in":            {later, let, neverMember, 0, admitJoin, ""},
		"let in again":                   {c, let, wasMember, 77, admitJoin, ""},
		"removed":                        {c, membersOf("a c"), wasMember, 77, admitWait, "hactl etcd add b"},
		"stopped, not removed":           {c, membersOf("a b c"), wasMember, 2, admitWait, "restart basculed"},
		"new voter of a forming cluster": {later, static, neverMember, 0, admitJoin, ""},
		"spare, nobody there":            {spare, nil, neverMember, 0, admitWait, "-"},
		"spare":                          {spare, membersOf("a c"), neverMember, 0, admitWait, "-"},
		"spare, the data are gone":       {spare, nil, wasMember, 0, admitWait, "bring the others back"},
		"spare, let in":                  {spare, let, neverMember, 0, admitJoin, ""},
		"spare of a forming cluster":     {spare, membersOf("?a ?c"), neverMember, 0, admitWait, "-"},
		"replaced":                       {c, membersOf("a c d"), takenOut, 0, admitWait, "-"},
		"replaced, nobody there":         {c, nil, takenOut, 0, admitWait, "-"},
		"taken out, and too few vote":    {c, membersOf("a c"), takenOut, 0, admitWait, "hactl etcd add b"},
		"taken out, and let in again":    {c, let, takenOut, 0, admitJoin, ""},
	} {
		got, why := tt.c.admit(tt.list, tt.before, tt.stopped)
		if tt.says == "-" {
			tt.says = why // and it must be nothing
			if why != "" {
				t.Errorf("%s: says %q", what, why)
			}
		} else if (why == "") != (tt.want != admitWait) {
			t.Errorf("%s: says %q", what, why)
		}
		if got != tt.want || !strings.Contains(why, tt.says) {
			t.Errorf("%s: %v, %q", what, got, why)
		}
	}
}
