package arch

import (
	"os"
	"path/filepath"
	"regexp"
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

var quoted = regexp.MustCompile("`([^`]+)`")

// parseFaults reads the rows of the table; what is wrong with their form is returned as well.
func parseFaults(doc string) (cells []cell, wrong []string) {
	_, rest, _ := strings.Cut(doc, "| fault | method | what happens | shown by |\n|---|---|---|---|\n")
	table, _, _ := strings.Cut(rest, "\n\n")
	for line := range strings.Lines(table) {
		columns := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(columns) != 4 {
			wrong = append(wrong, "not four columns: "+line)
			continue
		}
		c := cell{fault: strings.TrimSpace(columns[0]), methods: strings.Split(strings.TrimSpace(columns[1]), ", ")}
		c.none, _ = strings.CutPrefix(strings.TrimSpace(columns[3]), "none: ")
		for _, m := range quoted.FindAllStringSubmatch(columns[3], -1) {
			c.shown, c.none = append(c.shown, m[1]), ""
		}
		if len(c.shown) == 0 && (len(c.none) < 20 || !strings.Contains(columns[3], "none: ")) {
			wrong = append(wrong, "neither a test nor a reason why there can be none: "+line)
		}
		cells = append(cells, c)
	}
	return cells, wrong
}

// testsIn lists the tests and fuzz tests of a folder, whatever their build tags.
func testsIn(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../..", dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range declared.FindAllStringSubmatch(string(text), -1) {
			out = append(out, m[1])
		}
	}
	return out
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
		case strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Fuzz"):
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
			if _, err := os.Stat(filepath.Join("../scenarios/testdata", name+".txt")); err != nil {
				wrong = append(wrong, "there is no scenario "+name)
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
	doc, err := os.ReadFile("../../docs/fencing.md")
	if err != nil {
		t.Fatal(err)
	}
	cells, wrong := parseFaults(string(doc))
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
		"| hangs | redfish |":                                              "not four columns",
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
