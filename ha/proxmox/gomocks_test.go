package proxmox

import (
	"encoding/json"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// mock is one canned answer of go-proxmox's own tests for a major version of Proxmox VE, read out of its source where that lies.
type mock struct {
	method string
	path   string            // a regular expression there; anchors and escapes taken off
	params map[string]string // of the query that it wants
	code   int
	body   string
}

// goMocks reads the canned answers of a version ("pve9x"), or skips.
func goMocks(t *testing.T, version string) []mock {
	t.Helper()
	pkg, err := build.Import("github.com/luthermonson/go-proxmox", ".", build.FindOnly)
	dir := filepath.Join(pkg.Dir, "tests/mocks", version)
	if _, stat := os.Stat(dir); err != nil || stat != nil {
		t.Skipf("go-proxmox's own test data for %s is not in the module cache: %v, %v", version, err, stat)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all []mock
	for _, file := range files {
		if filepath.Base(file) == "ceph.go" { // half a megabyte that nothing here asks for
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && calls(call) == "JSON" {
				all = append(all, readMock(call))
			}
			return true
		})
	}
	return all
}

// calls is the name of the method that is called; "" when it is something else.
func calls(c *ast.CallExpr) string {
	if s, ok := c.Fun.(*ast.SelectorExpr); ok {
		return s.Sel.Name
	}
	return ""
}

// readMock walks a chain like gock.New(…).Get("^/x$").Reply(200).JSON(`…`) from its end.
func readMock(call *ast.CallExpr) mock {
	m := mock{params: map[string]string{}}
	for call != nil {
		switch name := calls(call); name {
		case "JSON":
			m.body = literal(call.Args, 0)
		case "Reply":
			m.code, _ = strconv.Atoi(literal(call.Args, 0))
		case "Get", "Post", "Put", "Delete":
			m.method = strings.ToUpper(name)
			m.path = strings.NewReplacer("^", "", "$", "", `\`, "").Replace(literal(call.Args, 0))
		case "MatchParam":
			m.params[literal(call.Args, 0)] = literal(call.Args, 1)
		case "MatchParams":
			maps.Copy(m.params, pairs(call.Args))
		}
		next, _ := call.Fun.(*ast.SelectorExpr)
		if next == nil {
			break
		}
		call, _ = next.X.(*ast.CallExpr)
	}
	return m
}

// literal is the value of a literal argument; "" of anything else.
func literal(args []ast.Expr, i int) string {
	if i >= len(args) {
		return ""
	}
	lit, ok := args[i].(*ast.BasicLit)
	if !ok {
		return ""
	}
	if s, err := strconv.Unquote(lit.Value); err == nil {
		return s
	}
	return lit.Value
}

// pairs reads a map literal of strings.
func pairs(args []ast.Expr) map[string]string {
	out := map[string]string{}
	if len(args) == 0 {
		return out
	}
	lit, ok := args[0].(*ast.CompositeLit)
	if !ok {
		return out
	}
	for _, e := range lit.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			out[literal([]ast.Expr{kv.Key}, 0)] = literal([]ast.Expr{kv.Value}, 0)
		}
	}
	return out
}

func (m mock) answer() answer { return answer{code: m.code, reason: "x", body: m.body} }

// data is the answer's data, as plain JSON.
func (m mock) data(t *testing.T) any {
	t.Helper()
	var body struct {
		Data any `json:"data"`
	}
	decoder := json.NewDecoder(strings.NewReader(m.body))
	decoder.UseNumber()
	if err := decoder.Decode(&body); err != nil {
		t.Fatalf("%s %s: %v", m.method, m.path, err)
	}
	return body.Data
}

// object is the data where it is an object.
func (m mock) object(t *testing.T) map[string]any {
	t.Helper()
	o, ok := m.data(t).(map[string]any)
	if !ok {
		t.Fatalf("%s %s holds no object", m.method, m.path)
	}
	return o
}

// rows is the data where it is a list of objects.
func (m mock) rows(t *testing.T) []map[string]any {
	t.Helper()
	list, ok := m.data(t).([]any)
	if !ok {
		t.Fatalf("%s %s holds no list", m.method, m.path)
	}
	var out []map[string]any
	for _, e := range list {
		o, ok := e.(map[string]any)
		if !ok {
			t.Fatalf("%s %s: a row is no object", m.method, m.path)
		}
		out = append(out, o)
	}
	return out
}
