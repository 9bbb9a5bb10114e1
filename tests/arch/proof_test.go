package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"testing"
)

// proofMaker is the only package that may build proofs (R3).
const proofMaker = "ha/ladder"

// proofUses lists where a file of package pkg refers to ha.NewProof. From outside of ha there are two ways to: a selector on the
// import's name, and a dot import, which is refused as such.
func proofUses(fset *token.FileSet, f *ast.File, pkg string) []string {
	var out []string
	add := func(pos token.Pos, what string) {
		p := fset.Position(pos)
		out = append(out, fmt.Sprintf("%s:%d: %s %s; proofs are built in %s only, from raw readings (R3)", filepath.ToSlash(p.Filename), p.Line, pkg, what, proofMaker))
	}
	if pkg == "ha" {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Name.Name == "NewProof" {
					return false // its declaration
				}
			case *ast.Ident:
				if n.Name == "NewProof" {
					add(n.Pos(), "uses NewProof")
				}
			}
			return true
		})
		return out
	}
	names := map[string]bool{}
	for _, spec := range f.Imports {
		if path, _ := strconv.Unquote(spec.Path.Value); path != moduleName+"/ha" {
			continue
		}
		switch {
		case spec.Name == nil:
			names["ha"] = true
		case spec.Name.Name == ".":
			add(spec.Pos(), "imports ha with a dot, which hides uses of NewProof")
		default:
			names[spec.Name.Name] = true
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "NewProof" {
			if x, ok := sel.X.(*ast.Ident); ok && names[x.Name] {
				add(sel.Pos(), "uses ha.NewProof")
			}
		}
		return true
	})
	return out
}

func TestProofsAreBuiltInOnePlace(t *testing.T) {
	h := readHouse(t)
	for _, pkg := range h.paths() {
		if pkg == proofMaker {
			continue
		}
		for _, s := range h.packages[pkg] {
			if s.test {
				continue // tests of other packages need proofs as input
			}
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, filepath.Join(h.root, s.path), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range proofUses(fset, f, pkg) {
				t.Error(v)
			}
		}
	}
}

func TestProofRuleIsEnforced(t *testing.T) {
	tests := []struct {
		name, pkg, text string
		want            int
	}{
		{"a call", "ha/leader", `package leader; import "bascule/ha"; var p = ha.NewProof("", "", "", nil, "", t)`, 1},
		{"under another name", "ha/agent", `package agent; import h "bascule/ha"; func f() { mk := h.NewProof; _ = mk }`, 1},
		{"a dot import", "ha/agent", `package agent; import . "bascule/ha"; var p = NewProof`, 1},
		{"in ha itself", "ha", `package ha; func NewProof() {}; func f() { NewProof() }`, 1},
		{"its declaration", "ha", `package ha; func NewProof() Proof { return Proof{} }`, 0},
		{"another NewProof", "ha/agent", `package agent; import "bascule/ha"; var p = other.NewProof(ha.PowerOff)`, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, "x.go", tt.text, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			if got := proofUses(fset, f, tt.pkg); len(got) != tt.want {
				t.Errorf("%d uses, want %d: %v", len(got), tt.want, got)
			}
		})
	}
}
