package jinja

import "fmt"

// binder gives names their slots, scope by scope, and filters and tests their
// definitions.
// Which construct opens which scope is that of jinja2/compiler.py.
type binder struct{ lib *library }

// bind resolves a template's names; root is its outermost scope.
func bind(body []stmt, lib *library) (root *scope, err error) {
	defer catch(&err)
	root = newScope(nil, newFunc(nil))
	root.analyzeAll(body)
	b := binder{lib}
	b.stmts(root, body, false)
	return root, nil
}

// fail is an error at a node's line.
func (b binder) fail(n node, format string, args ...any) {
	panic(&Error{Line: n.pos(), Msg: fmt.Sprintf(format, args...)})
}

// stmts binds a body.
func (b binder) stmts(s *scope, list []stmt, soft bool) {
	for _, n := range list {
		b.node(s, n, soft)
	}
}

// node binds what is below n in scope s. Unknown filters are errors at once,
// but in an if or a conditional expression (soft) only when they are reached.
func (b binder) node(s *scope, n node, soft bool) {
	switch n := n.(type) {
	case *nameExpr:
		n.ref = b.ref(s, n.name)
	case *nsExpr:
		n.ref = b.ref(s, n.name)
	case *filterExpr:
		if n.def = b.lib.filters[n.name]; n.def == nil && !soft {
			b.fail(n, "unknown filter %q", n.name)
		}
		n.each(func(c node) { b.node(s, c, soft) })
	case *testExpr:
		if n.def = b.lib.tests[n.name]; n.def == nil && !soft {
			b.fail(n, "unknown test %q", n.name)
		}
		n.each(func(c node) { b.node(s, c, soft) })
	case *condExpr, *ifStmt:
		n.each(func(c node) { b.node(s, c, true) })
	case *forStmt:
		b.forLoop(s, n, soft)
	case *macroStmt:
		b.node(s, n.target, soft)
		b.macro(s, n.macro)
	case *callStmt:
		b.macro(s, n.call.block)
		b.node(s, n.call, soft)
	case *setBlockStmt:
		b.setBlock(s, n, soft)
	case *filterStmt:
		// No variable can be called "|".
		n.slot = s.fn.slot(s.level+1, "|")
		n.scope = b.inner(s, n.body, n.filter)
		setCaptured(n.filter, n.slot)
		b.stmts(n.scope, n.body, false)
		b.node(n.scope, n.filter, false)
	case *withStmt:
		n.scope = newScope(s, s.fn)
		for _, t := range n.targets {
			n.scope.analyze(t)
		}
		n.scope.analyzeAll(n.body)
		for i, t := range n.targets {
			b.node(n.scope, t, false)
			// Values belong to the scope outside: {% with x = x %} works.
			b.node(s, n.values[i], soft)
		}
		b.stmts(n.scope, n.body, false)
	case *generationStmt:
		b.macro(s, n.body)
	case *scopeStmt:
		n.scope = b.inner(s, n.body, nil)
		b.stmts(n.scope, n.body, false)
	default:
		n.each(func(c node) { b.node(s, c, soft) })
	}
}

// ref is where a name lives, seen from s.
func (b binder) ref(s *scope, name string) ref {
	l, ok := s.find(name)
	if !ok { // a name that no analysis met
		s.loadName(name)
		l, _ = s.find(name)
	}
	return s.ref(l)
}

// inner opens a scope in the same function.
func (b binder) inner(s *scope, body []stmt, filter expr) *scope {
	in := newScope(s, s.fn)
	in.analyzeAll(body)
	if filter != nil {
		in.analyze(filter)
	}
	return in
}

// setCaptured tells the innermost filter where to find what the block wrote.
func setCaptured(filter expr, slot int) {
	for {
		f, ok := filter.(*filterExpr)
		if !ok {
			filter.(*capturedExpr).v = slot
			return
		}
		filter = f.x
	}
}

// setBlock binds the body and the filter inside, the target outside.
// The name must not be a variable of the block that computes it.
func (b binder) setBlock(s *scope, n *setBlockStmt, soft bool) {
	n.slot = s.fn.slot(s.level+1, "|")
	n.scope = b.inner(s, n.body, n.filter)
	b.stmts(n.scope, n.body, false)
	b.node(s, n.target, soft)
	if n.filter != nil {
		setCaptured(n.filter, n.slot)
		b.node(n.scope, n.filter, false)
	}
}

// forLoop binds a loop: its body, its else part and its condition are scopes of
// their own; a recursive one is a function, and so is the condition, which runs
// as a generator.
func (b binder) forLoop(s *scope, n *forStmt, soft bool) {
	// Other loops run in the frame around them; their level keeps their names apart.
	fn := s.fn
	if n.recursive {
		n.fn = newFunc(s.fn)
		fn = n.fn
	}
	n.scope = newScope(s, fn)
	if n.recursive || usesFree(n.body, "loop")["loop"] {
		n.loop = n.scope.declare("loop")
	}
	checkLoopName(n)
	declareTarget(n.scope, n.target)
	n.scope.analyzeAll(n.body)
	if n.otherwise != nil {
		n.other = newScope(s, fn)
		n.other.analyzeAll(n.otherwise)
	}
	b.node(s, n.iter, soft)
	if n.test != nil {
		n.testFn = newFunc(s.fn)
		n.filter = newScope(s, n.testFn)
		n.testTarget = cloneTarget(n.target)
		declareTarget(n.filter, n.target)
		n.filter.analyze(n.test)
		b.node(n.filter, n.testTarget, false)
		b.node(n.filter, n.test, false)
	}
	b.node(n.scope, n.target, false)
	b.stmts(n.scope, n.body, false)
	b.stmts(n.other, n.otherwise, false)
}

// declareTarget makes the names of a loop's target parameters of its scope.
func declareTarget(s *scope, target expr) {
	switch t := target.(type) {
	case *nameExpr:
		s.declare(t.name)
	case *listExpr:
		for _, item := range t.items {
			declareTarget(s, item)
		}
	}
}

// cloneTarget copies a target, for the condition of a loop has its own
// variables.
func cloneTarget(target expr) expr {
	switch t := target.(type) {
	case *nameExpr:
		c := *t
		return &c
	case *listExpr:
		c := *t
		c.items = make([]expr, len(t.items))
		for i, item := range t.items {
			c.items[i] = cloneTarget(item)
		}
		return &c
	}
	return target
}

// checkLoopName refuses {% set loop = ... %} in a loop, as Jinja does.
func checkLoopName(n node) {
	n.each(func(c node) {
		if e, ok := c.(*nameExpr); ok && e.name == "loop" && e.access == store {
			panic(&Error{Line: e.pos(), Msg: "cannot assign to the special variable loop inside of a loop"})
		}
		checkLoopName(c)
	})
}

// macro binds a macro. caller, kwargs and varargs are parameters only where the
// body asks for them: without, extra arguments are errors.
func (b binder) macro(s *scope, n *macroExpr) {
	n.fn = newFunc(s.fn)
	n.scope = newScope(s, n.fn)
	n.each(n.scope.analyze)
	free := usesFree(n.body, "caller", "kwargs", "varargs")
	// has is the place of a parameter, -1 if there is none of the name.
	has := func(name string) int {
		for i, p := range n.params {
			if p.name == name {
				return i
			}
		}
		return -1
	}
	// special makes a hidden parameter, if the body asks for it and there is no open one.
	special := func(name string) int {
		if !free[name] || has(name) >= 0 {
			return -1
		}
		return n.scope.declare(name)
	}
	if i := has("caller"); free["caller"] && i >= 0 && i < len(n.params)-len(n.defaults) {
		b.fail(n, "the special parameter caller of a macro needs a default")
	}
	n.caller, n.kwargs, n.varargs = special("caller"), special("kwargs"), special("varargs")
	n.each(func(c node) { b.node(n.scope, c, false) })
}
