package arch

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Each way in which the lab's Proxmox misleads has its test, or its group of recorded answers.
func TestTableOfWhatMisleads(t *testing.T) {
	const dir = "tests/lab/pvesim"
	rows, wrong := tableRows(readDoc(t, "lab.md"), "what", "where", "shown by")
	if len(rows) < 15 {
		t.Errorf("only %d rows were found", len(rows))
	}
	tests, source, group := testsIn(t, dir), testSource(t, dir), regexp.MustCompile(`group "([^"]+)"`)
	for _, row := range rows {
		shown := inQuotes(row[2])
		if !slices.ContainsFunc(shown, isTest) {
			wrong = append(wrong, "no test is named: "+row[0])
		}
		for _, name := range shown {
			if isTest(name) && !slices.Contains(tests, name) {
				wrong = append(wrong, name+" is no test of "+dir)
			}
		}
		for _, g := range group.FindAllStringSubmatch(row[2], -1) {
			if !strings.Contains(source, `{name: "`+g[1]+`"`) {
				wrong = append(wrong, "there is no group "+g[1])
			}
		}
	}
	for _, w := range wrong {
		t.Error(w)
	}
}
