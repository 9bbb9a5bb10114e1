package arch

import (
	"go/ast"
	"go/token"
	"go/types"
)

// orderFree says whether a range over a map cannot show the map's order: its body only counts, or writes what belongs to the
// key at hand, without calling anything. It says no in doubt. Writing through two names of one map goes unseen.
func orderFree(info *types.Info, loop *ast.RangeStmt) bool {
	key, _ := loop.Key.(*ast.Ident)
	if loop.Key != nil && key == nil || loop.Tok == token.ASSIGN {
		return false
	}
	o := &orderCheck{info: info, loop: loop, ok: true, counters: map[types.Object]bool{}, written: map[string]bool{}}
	if key != nil {
		o.key = info.Defs[key]
	}
	o.block(loop.Body)
	ast.Inspect(loop.Body, o.reads)
	return o.ok
}

type orderCheck struct {
	info     *types.Info
	loop     *ast.RangeStmt
	key      types.Object
	ok       bool
	counters map[types.Object]bool // counted across rounds: must not be read in the body
	written  map[string]bool       // maps written at the key, as text: must be read at the key only
	counting map[*ast.Ident]bool   // the counters' own mentions
}

func (o *orderCheck) block(b *ast.BlockStmt) {
	for _, s := range b.List {
		o.statement(s)
	}
}

func (o *orderCheck) statement(s ast.Stmt) {
	switch s := s.(type) {
	case nil, *ast.EmptyStmt:
	case *ast.BlockStmt:
		o.block(s)
	case *ast.IfStmt:
		o.statement(s.Init)
		o.block(s.Body)
		o.statement(s.Else)
	case *ast.BranchStmt:
		o.ok = o.ok && s.Tok == token.CONTINUE && s.Label == nil
	case *ast.IncDecStmt:
		o.count(s.X)
	case *ast.ExprStmt:
		call, ok := s.X.(*ast.CallExpr)
		if !ok || !o.isBuiltin(call, "delete") || len(call.Args) != 2 || !o.isKey(call.Args[1]) {
			o.ok = false
			return
		}
		o.written[types.ExprString(call.Args[0])] = true
	case *ast.AssignStmt:
		for _, lhs := range s.Lhs {
			o.assign(lhs, s.Tok)
		}
	default:
		o.ok = false
	}
}

// assign allows variables of the body, the element of a map that belongs to the key, and sums of whole numbers.
func (o *orderCheck) assign(lhs ast.Expr, tok token.Token) {
	if id := root(lhs); id != nil && (id.Name == "_" || o.inBody(id)) {
		if _, through := lhs.(*ast.StarExpr); !through {
			return
		}
	}
	if x, ok := lhs.(*ast.IndexExpr); ok && o.isKey(x.Index) {
		if _, isMap := under(o.info.TypeOf(x.X)).(*types.Map); isMap {
			o.written[types.ExprString(x.X)] = true
			return
		}
	}
	if tok == token.ADD_ASSIGN || tok == token.SUB_ASSIGN {
		o.count(lhs)
		return
	}
	o.ok = false
}

// count allows counting in a whole number, whose sum has no order.
func (o *orderCheck) count(e ast.Expr) {
	id, ok := e.(*ast.Ident)
	basic, isBasic := under(o.info.TypeOf(e)).(*types.Basic)
	if !ok || !isBasic || basic.Info()&types.IsInteger == 0 {
		o.ok = false
		return
	}
	if !o.inBody(id) {
		o.counters[o.info.Uses[id]] = true
		if o.counting == nil {
			o.counting = map[*ast.Ident]bool{}
		}
		o.counting[id] = true
	}
}

// inBody says whether a variable of value type is declared in the body, so that each round has its own.
func (o *orderCheck) inBody(id *ast.Ident) bool {
	obj := o.info.Defs[id]
	if obj == nil {
		obj = o.info.Uses[id]
	}
	if obj == nil || obj.Pos() < o.loop.Pos() || obj.Pos() >= o.loop.End() {
		return false
	}
	switch under(obj.Type()).(type) {
	case *types.Basic, *types.Struct, *types.Array:
		return true
	}
	return o.info.Defs[id] != nil // declared here; what it refers to may not be changed through it
}

func (o *orderCheck) isKey(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && o.key != nil && o.info.Uses[id] == o.key
}

func (o *orderCheck) isBuiltin(call *ast.CallExpr, names ...string) bool {
	id, ok := call.Fun.(*ast.Ident)
	if !ok {
		return false
	}
	b, ok := o.info.Uses[id].(*types.Builtin)
	if !ok {
		return false
	}
	for _, n := range names {
		if b.Name() == n {
			return true
		}
	}
	return false
}

// reads refuses calls, and looks at what another round may have written.
func (o *orderCheck) reads(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.FuncLit:
		o.ok = false
	case *ast.CallExpr:
		conversion := o.info.Types[n.Fun].IsType()
		if !conversion && !o.isBuiltin(n, "delete", "len", "cap", "min", "max") {
			o.ok = false
		}
	case *ast.Ident:
		if obj := o.info.Uses[n]; obj != nil && o.counters[obj] && !o.counting[n] {
			o.ok = false
		}
		if o.written[n.Name] && !o.deleted(n) {
			o.ok = false
		}
	case *ast.IndexExpr:
		if o.written[types.ExprString(n.X)] {
			if !o.isKey(n.Index) {
				o.ok = false
			}
			return false // its map is mentioned at the key, as it should be
		}
	case *ast.SelectorExpr:
		if o.written[types.ExprString(n)] {
			o.ok = o.ok && o.deleted(n)
		}
	}
	return true
}

// deleted says whether a mention of a written map is delete's own argument.
func (o *orderCheck) deleted(e ast.Expr) bool {
	found := false
	ast.Inspect(o.loop.Body, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && o.isBuiltin(call, "delete") && call.Args[0] == e {
			found = true
		}
		return !found
	})
	return found
}
