package scenarios

import (
	"strings"
	"testing"
)

// story is a node's death that ends well: 102 runs again some seconds later, node2 is off to the end.
const story = "20s power-off node2\nuntil 60s\nallow fence\n"

// Each kind of expectation is met and is missed on the same story.
func TestExpectationsCanFail(t *testing.T) {
	for _, c := range []struct{ met, missed string }{
		{"by 30s node node2 fenced", "by 20.5s node node2 fenced"},
		{"by 30s guest 102 runs on node1|node3", "by 30s guest 102 runs on node2"},
		{"by 21s guest 102 runs nowhere", "by 21s guest 101 runs nowhere"},
		{"by 30s all guests run", "by 21s no guest runs"},
		{"at 40s machine node2 off", "at 40s machine node2 up"},
		{"at 15s permit node2 lease", "at 40s permit node2 lease"},
		{"at 40s lease node2 gone", "at 15s lease node2 gone"},
		{"at 15s watchdog node2 armed", "at 40s watchdog node2 armed"},
		{"at 15s device node2-bmc usable", "at 1s device node2-bmc usable"},
		{"at 40s guest 102 config node1|node3", "at 40s guest 102 config node2"},
		{"at 40s guest 102 assigned node1|node3", "at 40s guest 102 assigned node2"},
		{"at 40s node node2 says read off", "at 40s node node2 says nothing of the sort"},
		{"at 40s leader node1", "at 40s leader none"},
		{"between 20s and 30s node node2 suspect", "between 30s and 40s node node2 fenced"},
		{"between 20s and 30s guest 102 writes on node1|node3", "between 30s and 40s guest 102 writes on node2"},
		{"from 30s to 60s node node2 fenced", "from 20s to 60s node node2 fenced"},
		{"not before 20.5s guest 102 runs on node1|node3", "not before 30s guest 102 runs on node1|node3"},
		{"never node node1 suspect", "never node node2 suspect"},
		{"always guest 101 runs", "always guest 102 runs"},
		{"end node node2 fenced", "end node node2 online"},
		{"expect node node2: online -> suspect -> fenced", "expect node node2: online -> fenced"},
		{"expect guest 102: started -> ... -> started", "expect guest 102: started"},
		{"expect guest 102 runs: node2 -> nowhere -> node1|node3", "expect guest 102 runs: node2 -> nowhere"},
		{"proof node2 PowerOffConfirmed", "proof node2 none"},
		{"proof node1 none", "proof node1 NewBoot"},
		{"commands node2-bmc: read*", "commands node2-bmc: read* off read*"},
		{"count starts 2", "count starts 0"},
		{"count starts >= 2", "count starts <= 1"},
		{"count fenced node2 1", "count fenced 0"},
		{"count elections 1", "count elections 2"},
		{"count stopped-guests 0", "count suspects 0"},
		{"count resets 0", "count resets >= 1"},
		{"count power-offs 0", "count power-offs node2 1"},
	} {
		for text, want := range map[string]bool{c.met: true, c.missed: false} {
			s, err := Parse("x", story+text)
			if err != nil {
				t.Fatal(err)
			}
			rep := s.Run(nil, 0)
			if rep.OK() != want {
				t.Errorf("%q: met %v, want %v\n%s", text, rep.OK(), want, rep)
			}
			if !want && !strings.Contains(rep.String(), "line 4: "+text+"\n  seen instead: ") {
				t.Errorf("the report does not say what was seen instead of %q:\n%s", text, rep)
			}
		}
	}
}

// A fact that was so all the time did not become so.
func TestByWantsAChange(t *testing.T) {
	s, err := Parse("x", story+"by 30s guest 101 runs on node1")
	if err != nil {
		t.Fatal(err)
	}
	if rep := s.Run(nil, 0); rep.OK() || !strings.Contains(rep.String(), "so all the time") {
		t.Errorf("%s", rep)
	}
}

// What the judge finds fails a scenario that does not allow it: here a node that never comes back.
func TestViolationsFail(t *testing.T) {
	const forever = "site\n  watchdog all none\n  bmc none\n20s cut all node2 *\nby 40s node node2 fencing\nuntil 60s\n"
	for text, want := range map[string]bool{forever: false, forever + "allow stuck\n": true} {
		s, err := Parse("x", text)
		if err != nil {
			t.Fatal(err)
		}
		if rep := s.Run(nil, 0); rep.OK() != want || !want && len(rep.Violations) == 0 {
			t.Errorf("%q: %s", text, rep)
		}
	}
}

func TestRefusedCanFail(t *testing.T) {
	for text, want := range map[string]bool{
		"site\n  timing lease_ttl 1s\nrefused renew_timeout": true,
		"site\n  timing lease_ttl 1s\nrefused gossip_probe":  false,
		"site\n  timing lease_ttl 6s\nrefused renew_timeout": false,
		"site\n  timing lease_ttl 1s\nalways all guests run": false,
	} {
		s, err := Parse("x", text)
		if err != nil {
			t.Fatal(err)
		}
		if rep := s.Run(nil, 0); rep.OK() != want {
			t.Errorf("%q: %s", text, rep)
		}
	}
}

func TestRows(t *testing.T) {
	for _, c := range []struct {
		row, values string
		want        bool
	}{
		{"a -> b", "a b", true}, {"a -> b", "a", false}, {"a -> b", "a b c", false}, {"a b*", "a", true}, {"a b* c", "a b b c", true},
		{"a b* c", "a b b", false}, {"a|b c", "b c", true}, {"... c", "a b c", true}, {"a ...", "a", true}, {"...", "", true}, {"a ... a", "a", false},
	} {
		r, err := pattern(strings.Fields(c.row), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.matches(strings.Fields(c.values)); got != c.want {
			t.Errorf("%q matches %q: %v", c.row, c.values, got)
		}
	}
}

// The same scenario gives the same result, line by line.
func TestScenariosAreDeterministic(t *testing.T) {
	var first string
	for range 2 {
		s, err := Parse("x", "20s freeze node2 for 60s\nby 20.1s node node2 fenced")
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		rep := s.Run(&b, 0).String()
		if first == "" {
			first = b.String() + rep
		} else if first != b.String()+rep {
			t.Error("two runs of one scenario differ")
		}
	}
}
