package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// pureImports are all packages of the standard library that a pure package may import: none of them has a clock of its own,
// goroutines, I/O, logs or randomness, once the names in impureNames are out.
var pureImports = []string{
	"bytes", "cmp", "container/heap", "container/list", "crypto/sha256", "encoding/base64", "encoding/binary", "encoding/hex",
	"encoding/json", "errors", "fmt", "hash/fnv", "iter", "maps", "math", "math/bits", "path", "regexp", "slices", "sort", "strconv",
	"strings", "time", "unicode", "unicode/utf8",
}

// impureNames are what a pure package must not use of them, with the reason.
var impureNames = map[string]string{
	"time.Now": "reads the clock", "time.Since": "reads the clock", "time.Until": "reads the clock",
	"time.Sleep": "waits", "time.After": "waits", "time.AfterFunc": "starts a goroutine", "time.Tick": "waits",
	"time.NewTimer": "waits", "time.NewTicker": "waits",
	"time.Local": "depends on the machine", "time.LoadLocation": "reads files",
	"fmt.Print": "writes", "fmt.Printf": "writes", "fmt.Println": "writes",
	"fmt.Scan": "reads", "fmt.Scanf": "reads", "fmt.Scanln": "reads",
}

// unorderedMark, as a comment on the line of a range over a map or just above, says why its order cannot leak.
const unorderedMark = "//arch:unordered "

// checked is a type-checked package.
type checked struct {
	path  string // relative to the module's root
	fset  *token.FileSet
	files []*ast.File
	info  *types.Info
	pkg   *types.Package
}

func TestPurity(t *testing.T) {
	h := readHouse(t)
	loader := newLoader(t, h)
	for _, pkg := range append(slices.Clone(pure), "ha/pve", "ha/setup/doctor") {
		if len(h.packages[pkg]) == 0 {
			t.Logf("%s does not exist yet", pkg)
			continue
		}
		c := loader.load(pkg)
		for _, v := range c.impurities() {
			t.Error(v)
		}
	}
}

// impurities lists everything that makes the package impure.
func (c *checked) impurities() []string {
	v := &violations{c: c}
	for _, f := range c.files {
		v.imports(f)
		v.constraints(f)
		v.statements(f)
	}
	v.variables()
	return v.list
}

// violations collects what is wrong with one package.
type violations struct {
	c    *checked
	list []string
}

func (v *violations) add(pos token.Pos, format string, args ...any) {
	p := v.c.fset.Position(pos)
	v.list = append(v.list, fmt.Sprintf("%s:%d: %s is pure: ", filepath.ToSlash(p.Filename), p.Line, v.c.path)+fmt.Sprintf(format, args...))
}

func (v *violations) imports(f *ast.File) {
	for _, i := range importsOf(v.c.fset, f, moduleName, "") {
		if !i.own && !slices.Contains(pureImports, i.pkg) {
			v.add(f.Pos(), "it must not import %s; move what needs it into a shell and pass the value in (or add it to pureImports with a reason)", i.pkg)
		}
	}
}

// constraints refuses build tags: a pure package is the same in every build.
func (v *violations) constraints(f *ast.File) {
	for _, group := range f.Comments {
		for _, comment := range group.List {
			if strings.HasPrefix(comment.Text, "//go:build") || strings.HasPrefix(comment.Text, "//go:linkname") {
				v.add(comment.Pos(), "no %s in it", strings.Fields(comment.Text)[0][2:])
			}
		}
	}
}

func (v *violations) statements(f *ast.File) {
	marks := v.marks(f)
	var stack []ast.Node
	ast.Inspect(f, func(n ast.Node) bool {
		if n == nil {
			stack = stack[:len(stack)-1]
			return true
		}
		switch n := n.(type) {
		case *ast.GoStmt:
			v.add(n.Pos(), "no goroutines; return an effect and let the shell carry it out")
		case *ast.SelectStmt, *ast.SendStmt, *ast.ChanType:
			v.add(n.Pos(), "no channels; take values and return values")
		case *ast.UnaryExpr:
			if n.Op == token.ARROW {
				v.add(n.Pos(), "no channels; take values and return values")
			}
		case *ast.FuncDecl:
			if n.Recv == nil && n.Name.Name == "init" {
				v.add(n.Pos(), "no init function; build values where they are used")
			}
		case *ast.RangeStmt:
			v.rangeOver(n, marks)
		case *ast.Ident:
			v.use(n, stack)
		}
		stack = append(stack, n)
		return true
	})
}

// rangeOver refuses a range over a map unless its order cannot show: that order differs from run to run, and decisions must not.
func (v *violations) rangeOver(n *ast.RangeStmt, marks map[int]bool) {
	if _, isMap := under(v.c.info.TypeOf(n.X)).(*types.Map); !isMap {
		return
	}
	if orderFree(v.c.info, n) {
		return
	}
	if line := v.c.fset.Position(n.Pos()).Line; marks[line] || marks[line-1] {
		return
	}
	v.add(n.Pos(), "no range over a map, whose order changes from run to run; range over slices.Sorted(maps.Keys(m)), or write \"%s\" and why above it", strings.TrimSpace(unorderedMark))
}

// marks lists the lines with an unorderedMark and a reason.
func (v *violations) marks(f *ast.File) map[int]bool {
	out := map[int]bool{}
	for _, group := range f.Comments {
		for _, comment := range group.List {
			if why, ok := strings.CutPrefix(comment.Text, unorderedMark); ok && strings.TrimSpace(why) != "" {
				out[v.c.fset.Position(comment.Pos()).Line] = true
			}
		}
	}
	return out
}

// use refuses impure names of allowed packages and iterators over maps that nothing sorts.
func (v *violations) use(id *ast.Ident, stack []ast.Node) {
	obj := v.c.info.Uses[id]
	if obj == nil {
		return
	}
	if b, ok := obj.(*types.Builtin); ok && (b.Name() == "print" || b.Name() == "println") {
		v.add(id.Pos(), "no %s, it writes", b.Name())
	}
	if obj.Pkg() == nil || obj.Parent() != obj.Pkg().Scope() {
		if obj.Name() == "Local" && obj.Pkg() != nil && obj.Pkg().Path() == "time" {
			v.add(id.Pos(), "no Time.Local, it depends on the machine; use UTC")
		}
		return
	}
	name := obj.Pkg().Path() + "." + obj.Name()
	if why, bad := impureNames[name]; bad {
		v.add(id.Pos(), "no %s, it %s; take the time or the value as an argument", name, why)
	}
	switch name {
	case "maps.Keys", "maps.Values", "maps.All":
		if !v.sorted(stack) {
			v.add(id.Pos(), "no %s outside of slices.Sorted, SortedFunc or SortedStableFunc: its order changes from run to run", name)
		}
	}
}

// sorted says whether the call whose function lies on top of the stack is an argument of a sorting function: the stack ends with
// the outer call, the inner call and its selector.
func (v *violations) sorted(stack []ast.Node) bool {
	for i := len(stack) - 1; i > 0; i-- {
		if inner, ok := stack[i].(*ast.CallExpr); ok {
			outer, ok := stack[i-1].(*ast.CallExpr)
			if !ok || !slices.Contains(outer.Args, ast.Expr(inner)) {
				return false
			}
			fun, ok := ast.Unparen(outer.Fun).(*ast.SelectorExpr)
			if !ok {
				return false
			}
			obj := v.c.info.Uses[fun.Sel]
			return obj != nil && obj.Pkg() != nil && obj.Pkg().Path() == "slices" && strings.HasPrefix(obj.Name(), "Sorted")
		}
	}
	return false
}

// under is the type that a range sees: through names, aliases and type parameters.
func under(t types.Type) types.Type {
	if t == nil {
		return nil
	}
	if p, ok := types.Unalias(t).(*types.TypeParam); ok {
		if i, ok := p.Constraint().Underlying().(*types.Interface); ok && i.NumEmbeddeds() == 1 {
			if u, ok := i.EmbeddedType(0).(*types.Union); ok && u.Len() == 1 {
				return u.Term(0).Type().Underlying()
			}
			return i.EmbeddedType(0).Underlying()
		}
	}
	return t.Underlying()
}

// loader type-checks packages of the module from source and takes the standard library from the build cache.
type loader struct {
	t      *testing.T
	h      house
	fset   *token.FileSet
	std    types.Importer
	loaded map[string]*checked
}

const moduleName = "bascule"

func newLoader(t *testing.T, h house) *loader {
	t.Helper()
	if h.module != moduleName {
		t.Fatalf("go.mod says module %s, this test %s: change moduleName", h.module, moduleName)
	}
	fset := token.NewFileSet()
	return &loader{t: t, h: h, fset: fset, std: stdImporter(t, fset), loaded: map[string]*checked{}}
}

// Import is types.Importer: the module's packages from source, all else from the standard library.
func (l *loader) Import(path string) (*types.Package, error) {
	if rest, ok := strings.CutPrefix(path, moduleName+"/"); ok {
		return l.load(rest).pkg, nil
	}
	return l.std.Import(path)
}

// load parses and checks a package's non-test files.
func (l *loader) load(pkg string) *checked {
	if c := l.loaded[pkg]; c != nil {
		return c
	}
	var files []*ast.File
	for _, s := range l.h.packages[pkg] {
		if s.test {
			continue
		}
		data, err := os.ReadFile(filepath.Join(l.h.root, s.path))
		if err != nil {
			l.t.Fatal(err)
		}
		files = append(files, l.parse(s.path, string(data)))
	}
	c := l.check(pkg, files)
	l.loaded[pkg] = c
	return c
}

func (l *loader) parse(name, text string) *ast.File {
	f, err := parser.ParseFile(l.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		l.t.Fatal(err)
	}
	return f
}

// check runs the type checker; what does not compile is reported once and checked as far as it is known.
func (l *loader) check(pkg string, files []*ast.File) *checked {
	c := &checked{path: pkg, fset: l.fset, files: files, info: &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{},
		Selections: map[*ast.SelectorExpr]*types.Selection{},
	}}
	var first error
	conf := types.Config{Importer: l, Error: func(err error) {
		if first == nil {
			first = err
		}
	}}
	c.pkg, _ = conf.Check(moduleName+"/"+pkg, l.fset, files, c.info)
	if first != nil {
		l.t.Errorf("package %s does not compile, so its purity is not known: %v", strconv.Quote(pkg), first)
	}
	return c
}
