package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// source is one Go file of the module.
type source struct {
	path    string // relative to the module's root
	test    bool
	imports []imported
}

// imported is one import of a file. Packages of the module have their path relative to its root.
type imported struct {
	pkg string
	own bool // of this module
	pos string
}

// house is the module's packages by their path relative to its root.
type house struct {
	root, module string
	packages     map[string][]source
}

// paths lists the packages in order.
func (h house) paths() []string {
	var out []string
	for p := range h.packages {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

// readHouse parses the imports of every Go file of the module.
func readHouse(t *testing.T) house {
	t.Helper()
	root, module := moduleRoot(t)
	h := house{root: root, module: module, packages: map[string][]source{}}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path != root && (skipped(d.Name()) || isModule(path)) {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(path, ".go") {
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			return h.add(rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// skipped says whether the go command looks into a directory of this name.
func skipped(name string) bool {
	return name == "testdata" || name == "vendor" || name == "bin" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")
}

// isModule says whether a directory is a module of its own, which has its own dependencies and no place in the table.
func isModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

func (h house) add(rel string) error {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, filepath.Join(h.root, rel), nil, parser.ImportsOnly)
	if err != nil {
		return err
	}
	pkg := filepath.ToSlash(filepath.Dir(rel))
	h.packages[pkg] = append(h.packages[pkg], source{path: rel, test: strings.HasSuffix(rel, "_test.go"), imports: importsOf(fset, f, h.module, rel)})
	return nil
}

func importsOf(fset *token.FileSet, f *ast.File, module, file string) []imported {
	var out []imported
	for _, spec := range f.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has refused it already
		}
		i := imported{pkg: path, pos: file + ":" + strconv.Itoa(fset.Position(spec.Pos()).Line)}
		if rest, ok := strings.CutPrefix(path, module); ok && (rest == "" || rest[0] == '/') {
			i.own, i.pkg = true, strings.TrimPrefix(rest, "/")
		}
		out = append(out, i)
	}
	return out
}

// moduleRoot finds the directory of go.mod above this test and the module's name.
func moduleRoot(t *testing.T) (root, module string) {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil {
			first, _, _ := strings.Cut(string(data), "\n")
			return dir, strings.TrimSpace(strings.TrimPrefix(first, "module"))
		}
		if filepath.Dir(dir) == dir {
			t.Fatal("no go.mod above this test")
		}
		dir = filepath.Dir(dir)
	}
}
