package journal

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"bascule/ha"
	"bascule/ha/leader"
	"bascule/ha/node"
)

// marked lists the types of ha/node that have the marker method.
func marked(t *testing.T, method string) []string {
	t.Helper()
	files, err := filepath.Glob("../node/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("the source of ha/node was not found: %v", err)
	}
	var out []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv != nil && fn.Name.Name == method {
				out = append(out, fn.Recv.List[0].Type.(*ast.Ident).Name)
			}
		}
	}
	slices.Sort(out)
	return out
}

func TestRegistryIsComplete(t *testing.T) {
	for _, tt := range []struct {
		method string
		known  []string
	}{{"event", namesOf(events)}, {"effect", namesOf(effects)}} {
		want := marked(t, tt.method)
		if len(want) < 5 {
			t.Fatalf("only %v have the method %s: this test looks in the wrong place", want, tt.method)
		}
		if !slices.Equal(tt.known, want) {
			t.Errorf("registry.go knows as %ss %v; ha/node has %v", tt.method, tt.known, want)
		}
	}
}

func namesOf[T any](t table[T]) []string {
	var out []string
	for n := range t {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// recorded are all types that a journal holds.
func recorded() []reflect.Type {
	out := []reflect.Type{reflect.TypeFor[leader.Options](), reflect.TypeFor[leader.State](), reflect.TypeFor[leader.Observation](),
		reflect.TypeFor[leader.Decision](), reflect.TypeFor[node.Config](), reflect.TypeFor[node.State]()}
	for _, x := range events {
		out = append(out, x)
	}
	for _, x := range effects {
		out = append(out, x)
	}
	return out
}

// flaw finds the first thing in a type that JSON would not give back, or that must not be written to a disk.
func flaw(path string, t reflect.Type, seen map[reflect.Type]bool) string {
	if seen[t] || t == reflect.TypeFor[time.Time]() || t == reflect.TypeFor[ha.Proof]() { // both have their own JSON
		return ""
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Interface, reflect.Func, reflect.Chan, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128:
		return path + " is a " + t.Kind().String()
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return flaw(path+"[]", t.Elem(), seen)
	case reflect.Map:
		if k := t.Key().Kind(); k != reflect.String && k != reflect.Int && k != reflect.Int64 {
			return path + " has keys of kind " + k.String()
		}
		return flaw(path+"[]", t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			p := path + "." + f.Name
			if !f.IsExported() && !f.Anonymous {
				return p + " is not exported"
			}
			if f.Tag.Get("json") == "-" {
				return p + " is not encoded"
			}
			if secret.MatchString(f.Name) {
				return p + " sounds like a secret"
			}
			if bad := flaw(p, f.Type, seen); bad != "" {
				return bad
			}
		}
	}
	return ""
}

var secret = regexp.MustCompile(`(?i)secret|password|passwd|token|credential|setting|private`)

func TestRecordedTypesAreWholeAndHoldNoSecrets(t *testing.T) {
	seen := map[reflect.Type]bool{}
	for _, x := range recorded() {
		if bad := flaw(x.String(), x, seen); bad != "" {
			t.Errorf("%s: the journal cannot or must not hold it", bad)
		}
	}
	if len(seen) < 30 {
		t.Fatalf("only %d types were looked at", len(seen))
	}
	for name, x := range map[string]reflect.Type{
		"unexported": reflect.TypeFor[struct{ A []strings.Builder }](), "interface": reflect.TypeFor[struct{ A map[string]any }](),
		"left out": reflect.TypeFor[struct {
			A int `json:"-"`
		}](),
		"secret": reflect.TypeFor[struct{ A *struct{ TokenSecret string } }](), "key": reflect.TypeFor[map[struct{ A int }]int](),
	} {
		if flaw("x", x, map[reflect.Type]bool{}) == "" {
			t.Errorf("%s: goes through", name)
		}
	}
}
