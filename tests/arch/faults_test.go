package arch

import (
	"slices"
	"strings"
	"testing"

	"bascule/fencing/methods"
)

// faults are those that every method's row must exist for, as the table of docs/fencing.md words them.
var faults = []string{"refuses", "hangs", "lies", "dies half-way", "wrong credentials", "already off", "power supply dead", "wrong machine"}

// everyMethod stands in a row that says the same of all methods; it is no method's own row.
const everyMethod = "all that are called"

// cell is one row of the table.
type cell struct {
	fault   string
	methods []string
	shown   []string // as written between back-quotes
	none    string   // why the fault cannot happen to the method
}

// parseFaults reads the rows of the table; what is wrong with their form is returned as well.
func parseFaults(doc string) (cells []cell, wrong []string) {
	rows, wrong := tableRows(doc, "fault", "method", "what happens", "shown by")
	for _, columns := range rows {
		c := cell{fault: columns[0], methods: strings.Split(columns[1], ", "), shown: inQuotes(columns[3])}
		if len(c.shown) == 0 {
			c.none, _ = strings.CutPrefix(columns[3], "none: ")
		}
		if len(c.shown) == 0 && (len(c.none) < 20 || !strings.HasPrefix(columns[3], "none: ")) {
			wrong = append(wrong, "neither a test nor a reason why there can be none: "+strings.Join(columns, " | "))
		}
		cells = append(cells, c)
	}
	return cells, wrong
}

// folderOf is where a method's own tests stand.
func folderOf(method string) string {
	if method == "watchdog" {
		return "ha/guard"
	}
	return "fencing/" + strings.ReplaceAll(method, "-", "")
}

// checkShown says what is wrong with what a row names: a test that is not there, a method that nothing named covers.
func checkShown(t *testing.T, c cell) (wrong []string) {
	t.Helper()
	covered := map[string]bool{}
	for _, name := range c.shown {
		folder, test, elsewhere := cutLast(name, ".")
		switch {
		case elsewhere: // package.TestName
			if !slices.Contains(testsIn(t, folder), test) {
				wrong = append(wrong, name+" is not there")
			}
		case isTest(name):
			found := false
			for _, m := range c.methods {
				if slices.Contains(testsIn(t, folderOf(m)), name) {
					found, covered[m] = true, true
				}
			}
			if !found {
				wrong = append(wrong, name+" is in no package of "+strings.Join(c.methods, ", "))
			}
			continue
		default: // a scenario
			if no := noScenario(name); no != "" {
				wrong = append(wrong, no)
			}
		}
		for _, m := range c.methods {
			covered[m] = true
		}
	}
	for _, m := range c.methods {
		if c.none == "" && !covered[m] {
			wrong = append(wrong, "none of the tests is "+m+"'s")
		}
	}
	return wrong
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// Each fault of each method is shown by a test or a scenario that exists, or it is said why it cannot happen.
func TestFaultTable(t *testing.T) {
	cells, wrong := parseFaults(readDoc(t, "fencing.md"))
	for _, w := range wrong {
		t.Error(w)
	}
	known := []string{"watchdog"}
	for _, m := range methods.All() {
		known = append(known, m.Name)
	}
	have := map[string]bool{}
	for _, c := range cells {
		if !slices.Contains(faults, c.fault) {
			t.Errorf("fault %q is not one of %q", c.fault, faults)
		}
		for _, m := range c.methods {
			if m != everyMethod && !slices.Contains(known, m) {
				t.Errorf("%s: there is no method %q", c.fault, m)
			}
			have[c.fault+"/"+m] = true
		}
		for _, w := range checkShown(t, c) {
			t.Errorf("%s, %s: %s", c.fault, strings.Join(c.methods, ", "), w)
		}
	}
	for _, f := range faults {
		for _, m := range known {
			if !have[f+"/"+m] {
				t.Errorf("the table of docs/fencing.md does not say what happens when %s %s", m, f)
			}
		}
	}
}

// The check notices what it is there for.
func TestFaultTableIsChecked(t *testing.T) {
	const head = "| fault | method | what happens | shown by |\n|---|---|---|---|\n"
	for row, want := range map[string]string{
		"| hangs | redfish | x | `TestConforms` |":                         "",
		"| hangs | redfish | x | `fencing.TestAHungDeviceHoldsUpNobody` |": "",
		"| hangs | redfish | x | `part4/power-cut` |":                      "",
		"| hangs | watchdog | x | `TestStopsFeedingWhenNotClean` |":        "",
		"| hangs | manual | – | none: nobody is called at all |":           "",
		"| hangs | redfish | x | `TestThatIsNot` |":                        "is in no package of redfish",
		"| hangs | redfish, sbd | x | `TestServantThatDiesInWrite` |":      "none of the tests is redfish's",
		"| hangs | redfish | x | `fencing.TestThatIsNot` |":                "is not there",
		"| hangs | redfish | x | `part4/that-is-not` |":                    "there is no scenario",
		"| hangs | redfish | x | soon |":                                   "neither a test nor a reason",
		"| hangs | redfish | x | none: no |":                               "neither a test nor a reason",
		"| hangs | redfish |":                                              "not as many columns",
	} {
		cells, wrong := parseFaults(head + row + "\n\n")
		for _, c := range cells {
			wrong = append(wrong, checkShown(t, c)...)
		}
		if got := strings.Join(wrong, "; "); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", row, got, want)
		}
	}
}
