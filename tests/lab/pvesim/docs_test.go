package pvesim

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentedTestsExist: docs/lab.md names a test for every misleading part, and each of them is there.
func TestDocumentedTestsExist(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/lab.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(doc), "\n## What misleads\n")
	if !ok {
		t.Fatal("docs/lab.md has no part \"What misleads\"")
	}
	table, _, _ = strings.Cut(table, "\n## ")
	var source strings.Builder
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasSuffix(f.Name(), "_test.go") {
			data, err := os.ReadFile(f.Name())
			if err != nil {
				t.Fatal(err)
			}
			source.Write(data)
		}
	}
	rows, test := 0, regexp.MustCompile("`(Test[A-Za-z0-9]+)`")
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| what ") {
			continue
		}
		rows++
		names := test.FindAllStringSubmatch(line, -1)
		if len(names) == 0 {
			t.Errorf("no test is named: %s", line)
		}
		for _, n := range names {
			if !strings.Contains(source.String(), "func "+n[1]+"(") {
				t.Errorf("docs/lab.md names %s, which does not exist", n[1])
			}
		}
		for _, name := range regexp.MustCompile(`group "([^"]+)"`).FindAllStringSubmatch(line, -1) {
			if !strings.Contains(source.String(), `{name: "`+name[1]+`"`) {
				t.Errorf("docs/lab.md names the group %q, which does not exist", name[1])
			}
		}
	}
	if rows < 15 {
		t.Errorf("%d rows", rows)
	}
}
