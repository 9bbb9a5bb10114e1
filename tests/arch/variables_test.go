package arch

import (
	"go/ast"
	"go/token"
	"go/types"
)

// variables refuses package-level variables that can change: exported ones other than errors, and those that the package itself writes,
// takes the address of or calls a pointer method on. A table that nobody writes is allowed.
func (v *violations) variables() {
	written := v.writes()
	for _, f := range v.c.files {
		for _, decl := range f.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.VAR {
				continue
			}
			for _, spec := range gen.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					v.variable(name, written)
				}
			}
		}
	}
}

func (v *violations) variable(name *ast.Ident, written map[types.Object]token.Pos) {
	obj := v.c.info.Defs[name]
	if name.Name == "_" || obj == nil {
		return
	}
	if pos, ok := written[obj]; ok {
		v.add(pos, "package variable %s is changed; keep state in a value that is passed in and returned", name.Name)
		return
	}
	if name.IsExported() && !types.Identical(obj.Type(), types.Universe.Lookup("error").Type()) {
		v.add(name.Pos(), "package variable %s can be changed by any package; make it a constant, a function or unexported", name.Name)
	}
}

// writes finds where package-level variables of the package are written.
func (v *violations) writes() map[types.Object]token.Pos {
	out := map[types.Object]token.Pos{}
	note := func(e ast.Expr) {
		if id := root(e); id != nil {
			if obj := v.c.info.Uses[id]; obj != nil && v.c.pkg != nil && obj.Parent() == v.c.pkg.Scope() {
				out[obj] = e.Pos()
			}
		}
	}
	for _, f := range v.c.files {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for _, e := range n.Lhs {
					note(e)
				}
			case *ast.IncDecStmt:
				note(n.X)
			case *ast.RangeStmt:
				note(n.Key)
				note(n.Value)
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					note(n.X)
				}
			case *ast.CallExpr:
				if id, ok := n.Fun.(*ast.Ident); ok && len(n.Args) > 0 && (id.Name == "delete" || id.Name == "clear" || id.Name == "copy") {
					note(n.Args[0])
				}
			case *ast.SelectorExpr:
				if s := v.c.info.Selections[n]; s != nil && pointerMethodOnValue(s) {
					note(n.X)
				}
			}
			return true
		})
	}
	return out
}

// pointerMethodOnValue says whether a call takes the address of its receiver by itself.
func pointerMethodOnValue(s *types.Selection) bool {
	if s.Kind() != types.MethodVal {
		return false
	}
	sig, ok := s.Obj().Type().(*types.Signature)
	if !ok || sig.Recv() == nil {
		return false
	}
	_, wantsPointer := sig.Recv().Type().(*types.Pointer)
	_, isPointer := s.Recv().Underlying().(*types.Pointer)
	return wantsPointer && !isPointer
}

// root is the variable that an expression such as v.f[i].g lies in; nil where there is none.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}
