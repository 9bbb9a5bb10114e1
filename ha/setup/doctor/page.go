package doctor

import (
	"fmt"
	"strings"
)

// Page renders docs/findings.md: a table of everything that may be found, then each with why it matters and what to do.
func Page() string {
	var b strings.Builder
	b.WriteString(`# Findings of hactl doctor

Every finding has a stable id. ` + "`hactl doctor explain ID`" + ` prints its entry. Severities: ` + "`ok`" + ` (looked at, as it should be; shown with ` + "`--severity ok`" + `), ` + "`info`" + `, ` + "`warning`" + `, ` + "`critical`" + `.
Exit status of ` + "`hactl doctor`" + `: 0 nothing above info, 1 warnings, 2 critical, 3 nothing could be examined.

This page is made from the checks themselves: ` + "`go test ./ha/setup/doctor -update`" + ` writes it.

| id | severity | found |
|---|---|---|
`)
	for _, k := range Kinds() {
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s |\n", k.ID, k.ID, k.grades(), k.Title)
	}
	for _, k := range Kinds() {
		fmt.Fprintf(&b, "\n## %s\n\n%s (%s).\n\n**Why it matters**: %s.\n\n**What to do**: %s.\n", k.ID, k.Title, k.grades(), k.Why, k.Do)
	}
	return b.String()
}

// grades lists what a finding of the kind may be graded.
func (k Kind) grades() string {
	var out []string
	for _, g := range k.Grades {
		if g != OK {
			out = append(out, string(g))
		}
	}
	return strings.Join(out, " or ")
}
