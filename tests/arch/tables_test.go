package arch

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Tables of the documents that name what shows each row, and how their names are looked up.

var quoted = regexp.MustCompile("`([^`]+)`")

// inQuotes are the names between back-quotes.
func inQuotes(s string) []string {
	var out []string
	for _, m := range quoted.FindAllStringSubmatch(s, -1) {
		out = append(out, m[1])
	}
	return out
}

// tableRows reads every table of a document that has this head; a row with another number of columns is returned as wrong.
func tableRows(doc string, head ...string) (rows [][]string, wrong []string) {
	top := "| " + strings.Join(head, " | ") + " |\n|" + strings.Repeat("---|", len(head)) + "\n"
	for _, part := range strings.Split(doc, top)[1:] {
		table, _, _ := strings.Cut(part, "\n\n")
		for line := range strings.Lines(table) {
			columns := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
			if len(columns) != len(head) {
				wrong = append(wrong, "not as many columns as the head has: "+line)
				continue
			}
			for i := range columns {
				columns[i] = strings.TrimSpace(columns[i])
			}
			rows = append(rows, columns)
		}
	}
	return rows, wrong
}

// readDoc reads a page of docs.
func readDoc(t *testing.T, name string) string {
	t.Helper()
	doc, err := os.ReadFile(filepath.Join("../../docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(doc)
}

// isTest says whether a name is a test's or a fuzz test's; else it is a scenario's.
func isTest(name string) bool {
	return strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Fuzz")
}

// noScenario says that folder/name is no scenario; empty when it is.
func noScenario(name string) string {
	if _, err := os.Stat(filepath.Join("../scenarios/testdata", name+".txt")); err != nil {
		return "there is no scenario " + name
	}
	return ""
}

// testsIn lists the tests and fuzz tests of a folder, whatever their build tags.
func testsIn(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`).FindAllStringSubmatch(testSource(t, dir), -1) {
		out = append(out, m[1])
	}
	return out
}

// testSource is the text of a folder's test files.
func testSource(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../..", dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(text)
	}
	return out.String()
}
