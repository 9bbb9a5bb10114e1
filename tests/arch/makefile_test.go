package arch

import (
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// makeVariable is what the Makefile says a variable is, in words.
func makeVariable(t *testing.T, root, name string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, name+" = "); ok {
			return strings.Fields(rest)
		}
	}
	t.Fatalf("the Makefile has no line %q", name+" = …")
	return nil
}

// What make race does not race has one thread: no go statement, nothing of sync, no channel, no parallel test, in its tests either.
func TestUnracedPackagesHaveOneThread(t *testing.T) {
	h := readHouse(t)
	unraced := makeVariable(t, h.root, "ONE_THREAD")
	for _, pkg := range pure {
		if !slices.Contains(unraced, pkg) {
			t.Errorf("%s is pure: the race detector finds nothing there; add it to the Makefile's ONE_THREAD", pkg)
		}
	}
	for _, pkg := range unraced {
		if len(h.packages[pkg]) == 0 {
			t.Errorf("the Makefile's ONE_THREAD names %s, which has no files", pkg)
		}
		for _, s := range h.packages[pkg] {
			data, err := os.ReadFile(filepath.Join(h.root, s.path))
			if err != nil {
				t.Fatal(err)
			}
			for _, what := range threads(t, s.path, string(data)) {
				t.Errorf("%s: %s: take %s out of the Makefile's ONE_THREAD, so that it runs with the race detector", s.path, what, pkg)
			}
		}
	}
}

// threads lists what makes a file one of a package with more than one thread.
func threads(t *testing.T, name, text string) (found []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range f.Imports {
		if path := strings.Trim(i.Path.Value, `"`); path == "sync" || strings.HasPrefix(path, "sync/") || strings.HasPrefix(path, "golang.org/x/sync") {
			found = append(found, "it imports "+path)
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found = append(found, "it starts a goroutine")
		case *ast.ChanType:
			found = append(found, "it has a channel")
		case *ast.SelectorExpr:
			if n.Sel.Name == "Parallel" || n.Sel.Name == "AfterFunc" {
				found = append(found, "it calls "+n.Sel.Name)
			}
		}
		return true
	})
	return found
}

func TestThreadsAreSeen(t *testing.T) {
	for text, want := range map[string]int{
		`func f() { go f() }`: 1, `import "sync"; var m sync.Mutex`: 1, `import "sync/atomic"; var n atomic.Int32`: 1, `var c chan int`: 1,
		`import "testing"; func f(t *testing.T) { t.Parallel() }`: 1, `import "time"; func f() { time.AfterFunc(1, f) }`: 1,
		`import "time"; func f(at time.Time) bool { return at.After(at) }`: 0,
	} {
		if got := threads(t, "x.go", "package x\n"+text); len(got) != want {
			t.Errorf("%s: %q, want %d", text, got, want)
		}
	}
}

// Every file with a build constraint is looked at by go vet and staticcheck with one of the Makefile's sets of tags.
func TestEveryTaggedFileIsChecked(t *testing.T) {
	h := readHouse(t)
	sets := makeVariable(t, h.root, "TAG_SETS")
	tagged := 0
	for _, pkg := range h.paths() {
		for _, s := range h.packages[pkg] {
			data, err := os.ReadFile(filepath.Join(h.root, s.path))
			if err != nil {
				t.Fatal(err)
			}
			expr := constraintOf(t, string(data))
			if expr == nil {
				continue
			}
			tagged++
			if !slices.ContainsFunc(sets, func(set string) bool {
				return expr.Eval(func(tag string) bool { return tag == "linux" || slices.Contains(strings.Split(set, ","), tag) })
			}) {
				t.Errorf("%s (%s) is in none of the Makefile's TAG_SETS %v: nothing looks at it", s.path, expr, sets)
			}
		}
	}
	if tagged < 10 {
		t.Errorf("only %d files have build constraints: this test looks in the wrong place", tagged)
	}
}

// constraintOf is a file's build constraint; nil: it has none.
func constraintOf(t *testing.T, text string) constraint.Expr {
	t.Helper()
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "package ") {
			break
		}
		if constraint.IsGoBuild(line) {
			expr, err := constraint.Parse(strings.TrimSpace(line))
			if err != nil {
				t.Fatal(err)
			}
			return expr
		}
	}
	return nil
}
