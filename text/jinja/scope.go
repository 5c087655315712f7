package jinja

import "fmt"

// Jinja compiles a template to Python functions, and what a name means follows
// from that: a loop body, a with block or a captured block opens a scope, a
// macro a function. Names are resolved once, before anything runs, to slots of
// a function's frame. What a scope sets is its own: on entry a variable that
// it sets starts as the one outside, or unset, and is gone after it.

// scopeFunc is a function: the template itself, a macro, a recursive loop or
// the condition of a loop.
type scopeFunc struct {
	parent *scopeFunc
	slots  map[slotKey]int
	n      int // slots in use
}

// slotKey names a variable of a function. Scopes of one level that follow each
// other share their slots, as they share Python variables.
type slotKey struct {
	level int
	name  string
}

// slot is the place of a variable, the same one for scopes of one level.
func (fn *scopeFunc) slot(level int, name string) int {
	k := slotKey{level, name}
	i, ok := fn.slots[k]
	if !ok {
		i = fn.n
		fn.n++
		fn.slots[k] = i
	}
	return i
}

func newFunc(parent *scopeFunc) *scopeFunc {
	return &scopeFunc{parent: parent, slots: map[slotKey]int{}}
}

// ref is a variable: hops functions out, then a slot.
type ref struct{ hops, slot int }

// how a variable starts when its scope is entered.
type how uint8

const (
	byParam   how = iota // assigned by the construct that opens the scope
	byResolve            // the render variable or global of that name
	byAlias              // the variable outside
	byNothing            // unset
)

type entry struct {
	slot  int
	how   how
	name  string // of byResolve
	alias ref    // of byAlias
}

// local is where a scope keeps a name.
type local struct {
	fn   *scopeFunc
	slot int
}

// scope is a region of names.
type scope struct {
	parent *scope
	fn     *scopeFunc
	level  int
	refs   map[string]local
	loads  map[int]entry // by slot
	order  []int         // slots in the order of their first load
	stores map[string]bool
}

func newScope(parent *scope, fn *scopeFunc) *scope {
	s := &scope{parent: parent, fn: fn, refs: map[string]local{}, loads: map[int]entry{}, stores: map[string]bool{}}
	if parent != nil {
		s.level = parent.level + 1
	}
	return s
}

func (s *scope) find(name string) (local, bool) {
	for ; s != nil; s = s.parent {
		if l, ok := s.refs[name]; ok {
			return l, true
		}
	}
	return local{}, false
}

// ref is how the function of s reaches a variable.
func (s *scope) ref(l local) ref {
	hops := 0
	for fn := s.fn; fn != l.fn; fn = fn.parent {
		hops++
	}
	return ref{hops, l.slot}
}

func (s *scope) define(name string, e entry) int {
	e.slot = s.fn.slot(s.level, name)
	s.refs[name] = local{s.fn, e.slot}
	s.enterBy(e)
	return e.slot
}

func (s *scope) enterBy(e entry) {
	if _, ok := s.loads[e.slot]; !ok {
		s.order = append(s.order, e.slot)
	}
	s.loads[e.slot] = e
}

// loadName notes that a name is read.
func (s *scope) loadName(name string) {
	if _, ok := s.find(name); !ok {
		s.define(name, entry{how: byResolve, name: name})
	}
}

// storeName notes that a name is set.
func (s *scope) storeName(name string) {
	s.stores[name] = true
	if _, ok := s.refs[name]; ok {
		return
	}
	if s.parent != nil {
		if outer, ok := s.parent.find(name); ok {
			s.define(name, entry{how: byAlias, alias: s.ref(outer)})
			return
		}
	}
	s.define(name, entry{how: byNothing})
}

// declare makes a name a parameter.
func (s *scope) declare(name string) int {
	s.stores[name] = true
	return s.define(name, entry{how: byParam})
}

func (s *scope) copy() *scope {
	c := newScope(s.parent, s.fn)
	c.level = s.level
	c.merge(s)
	return c
}

// merge takes over what a copy learned.
func (s *scope) merge(from *scope) {
	for k, v := range from.refs {
		s.refs[k] = v
	}
	for _, slot := range from.order {
		s.enterBy(from.loads[slot])
	}
	for k := range from.stores {
		s.stores[k] = true
	}
}

// branches joins what the branches of an if do to names: one that only some of
// them set starts as the one outside or the render variable, not unset.
func (s *scope) branches(list ...*scope) {
	var names []string
	seen := map[string]bool{}
	for _, b := range list {
		for name := range b.stores {
			if !s.stores[name] && !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	for _, b := range list {
		s.merge(b)
	}
	for _, name := range names {
		l := s.refs[name]
		e := entry{slot: l.slot, how: byResolve, name: name}
		if s.parent != nil {
			if outer, ok := s.parent.find(name); ok {
				e = entry{slot: l.slot, how: byAlias, alias: s.ref(outer)}
			}
		}
		s.enterBy(e)
	}
}

// analyze notes the names that a node uses in this scope; the bodies of inner
// scopes are not its own.
func (s *scope) analyze(n node) {
	switch n := n.(type) {
	case *nameExpr:
		switch n.access {
		case param:
			s.declare(n.name)
		case store:
			s.storeName(n.name)
		default:
			s.loadName(n.name)
		}
	case *nsExpr:
		s.loadName(n.name)
	case *ifStmt:
		s.analyze(n.test)
		then, elifs, otherwise := s.copy(), s.copy(), s.copy()
		then.analyzeAll(n.then)
		elifs.analyzeAll(n.elifs)
		otherwise.analyzeAll(n.otherwise)
		s.branches(then, elifs, otherwise)
	case *setStmt:
		s.analyze(n.value)
		s.analyze(n.target)
	case *setBlockStmt:
		s.analyze(n.target)
	case *forStmt:
		s.analyze(n.iter)
	case *macroStmt:
		s.analyze(n.target)
	case *callStmt:
		s.analyze(n.call)
	case *withStmt:
		for _, v := range n.values {
			s.analyze(v)
		}
	case *filterStmt:
		s.analyze(n.filter)
	case *generationStmt, *scopeStmt:
	default:
		n.each(s.analyze)
	}
}

func (s *scope) analyzeAll(list []stmt) {
	for _, n := range list {
		s.analyze(n)
	}
}

// usesFree reports which names a body reads, anywhere below, before it sets
// them itself.
func usesFree(body []stmt, names ...string) map[string]bool {
	open, used := map[string]bool{}, map[string]bool{}
	for _, n := range names {
		open[n] = true
	}
	var visit func(node)
	visit = func(n node) {
		if e, ok := n.(*nameExpr); ok {
			if e.access == load && open[e.name] {
				used[e.name] = true
			} else if e.access != load {
				delete(open, e.name)
			}
		}
		if len(used) < len(names) {
			n.each(visit)
		}
	}
	eachStmt(body, visit)
	return used
}

// binder gives names their slots, scope by scope, and filters and tests their
// definitions.
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

func (b binder) fail(n node, format string, args ...any) {
	panic(&Error{Line: n.pos(), Msg: fmt.Sprintf(format, args...)})
}

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
	has := func(name string) int {
		for i, p := range n.params {
			if p.name == name {
				return i
			}
		}
		return -1
	}
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
