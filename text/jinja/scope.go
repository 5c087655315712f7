package jinja

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

// newFunc begins a function inside of another, nil for the template itself.
func newFunc(parent *scopeFunc) *scopeFunc {
	return &scopeFunc{parent: parent, slots: map[slotKey]int{}}
}

// ref is a variable: hops functions out, then a slot.
// Most variables are in the frame at hand; macros and recursive loops reach out of theirs.
type ref struct{ hops, slot int }

// how a variable starts when its scope is entered.
type how uint8

const (
	byParam   how = iota // assigned by the construct that opens the scope
	byResolve            // the render variable or global of that name
	byAlias              // the variable outside
	byNothing            // unset
)

// entry is what a scope does for one of its slots when it is entered.
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
// refs are the names that it keeps itself, stores those of them that it sets.
type scope struct {
	parent *scope
	fn     *scopeFunc
	level  int
	refs   map[string]local
	loads  map[int]entry // by slot
	order  []int         // slots in the order of their first load
	stores map[string]bool
}

// newScope opens a scope one level deeper, of the same function or another.
func newScope(parent *scope, fn *scopeFunc) *scope {
	s := &scope{parent: parent, fn: fn, refs: map[string]local{}, loads: map[int]entry{}, stores: map[string]bool{}}
	if parent != nil {
		s.level = parent.level + 1
	}
	return s
}

// find looks for a name from here outwards.
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

// define gives a name a slot of this scope.
func (s *scope) define(name string, e entry) int {
	e.slot = s.fn.slot(s.level, name)
	s.refs[name] = local{s.fn, e.slot}
	s.enterBy(e)
	return e.slot
}

// enterBy replaces how a slot starts, but not its turn.
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
// A name read before it is set here starts as the one outside: {% set x = x + 1 %}.
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

// copy is a scope for one branch of an if, which later joins s again.
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
// Otherwise {% if a %}{% set x = 1 %}{% endif %}{{ x }} could not print the x that render
// was given.
func (s *scope) branches(list ...*scope) {
	// The order does not matter: each name has its own slot.
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
// It follows jinja2.idtracking, whose order of visits decides what a name means.
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
	// Their bodies alone have names.
	case *generationStmt, *scopeStmt:
	default:
		n.each(s.analyze)
	}
}

// analyzeAll is analyze for a body.
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
	// A name that the body sets itself is not free behind that.
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
