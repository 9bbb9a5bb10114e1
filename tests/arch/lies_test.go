package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// driverDir is where code and tests of docs/lies.md stand that name no other folder.
const driverDir = "ha/proxmox"

// lie is a row of docs/lies.md.
type lie struct {
	what  string
	code  []string // as written between back-quotes
	shown []string
}

// parseLies reads the rows of all tables with four columns; what is wrong with their form is returned as well.
func parseLies(doc string) (lies []lie, wrong []string) {
	rows, wrong := tableRows(doc, "the lie", "what is done instead", "code", "shown by")
	for _, columns := range rows {
		l := lie{what: columns[0], code: inQuotes(columns[2]), shown: inQuotes(columns[3])}
		if len(columns[1]) < 10 || len(l.code) == 0 || len(l.shown) == 0 {
			wrong = append(wrong, "says not what is done, where, or what shows it: "+l.what)
		}
		lies = append(lies, l)
	}
	return lies, wrong
}

// at splits "folder.Name" and "folder.Type.Method"; without a folder it is the driver's.
func at(name string) (folder, symbol string) {
	if i := strings.LastIndex(name, "/"); i >= 0 {
		dir, rest, _ := strings.Cut(name[i:], ".")
		return name[:i] + dir, rest
	}
	return driverDir, name
}

// declaredIn lists what the non-test files of a folder declare: Func, Type, Type.Method, constants and variables.
func declaredIn(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range tree.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				out = append(out, receiver(d)+d.Name.Name)
			case *ast.GenDecl:
				for _, s := range d.Specs {
					switch s := s.(type) {
					case *ast.TypeSpec:
						out = append(out, s.Name.Name)
					case *ast.ValueSpec:
						for _, n := range s.Names {
							out = append(out, n.Name)
						}
					}
				}
			}
		}
	}
	return out
}

// receiver is "Type." of a method.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	kind := d.Recv.List[0].Type
	if star, ok := kind.(*ast.StarExpr); ok {
		kind = star.X
	}
	return fmt.Sprint(kind) + "."
}

// names keeps what was found in folders.
type names struct{ declared, tests map[string][]string }

func newNames() names { return names{declared: map[string][]string{}, tests: map[string][]string{}} }

// in lists what a folder has, looking once.
func in(known map[string][]string, t *testing.T, dir string, look func(*testing.T, string) []string) []string {
	if _, looked := known[dir]; !looked {
		known[dir] = look(t, dir)
	}
	return known[dir]
}

// check says which names of a row do not exist. Scenarios stand in the last column as folder/name.
func (n names) check(t *testing.T, l lie) (wrong []string) {
	t.Helper()
	for _, name := range l.code {
		if folder, symbol := at(name); !slices.Contains(in(n.declared, t, folder, declaredIn), symbol) {
			wrong = append(wrong, name+" is not declared in "+folder)
		}
	}
	for _, name := range l.shown {
		folder, test := at(name)
		if !isTest(test) {
			if no := noScenario(name); no != "" {
				wrong = append(wrong, no)
			}
		} else if !slices.Contains(in(n.tests, t, folder, testsIn), test) {
			wrong = append(wrong, name+" is no test of "+folder)
		}
	}
	return wrong
}

// Each lie of Proxmox and its client library has its test, and the code that the table names is there.
func TestTableOfLies(t *testing.T) {
	lies, wrong := parseLies(readDoc(t, "lies.md"))
	if len(lies) < 60 {
		t.Errorf("only %d rows were found", len(lies))
	}
	for _, w := range wrong {
		t.Error(w)
	}
	known := newNames()
	for _, l := range lies {
		for _, w := range known.check(t, l) {
			t.Errorf("%s: %s", l.what, w)
		}
	}
}

// The check notices what it is there for.
func TestTableOfLiesIsChecked(t *testing.T) {
	const head = "| the lie | what is done instead | code | shown by |\n|---|---|---|---|\n"
	known := newNames()
	for row, want := range map[string]string{
		"| x | it is not asked | `Driver.Running` | `TestMembers`, `part4/power-cut` |":         "",
		"| x | it is not asked | `ha/guard.ProcFS`, `removableLocks` | `ha/guard.TestFilter` |": "",
		"| x | it is not asked | `Driver.Runs` | `TestMembers` |":                               "Driver.Runs is not declared in ha/proxmox",
		"| x | it is not asked | `Driver.Running` | `TestThatIsNot` |":                          "TestThatIsNot is no test of ha/proxmox",
		"| x | it is not asked | `ha/guard.Running` | `ha/guard.TestThatIsNot` |":               "ha/guard.TestThatIsNot is no test of ha/guard",
		"| x | it is not asked | `Driver.Running` | `part4/that-is-not` |":                      "there is no scenario",
		"| x | it is not asked | `Driver.Running` | soon |":                                     "what shows it",
		"| x | | `Driver.Running` | `TestMembers` |":                                            "says not what is done",
		"| x | it is not asked | `Driver.Running` |":                                            "not as many columns",
	} {
		lies, wrong := parseLies(head + row + "\n\n")
		for _, l := range lies {
			wrong = append(wrong, known.check(t, l)...)
		}
		if got := strings.Join(wrong, "; "); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", row, got, want)
		}
	}
}
