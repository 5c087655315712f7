package jinja

import "fmt"

// exec writes what every part prints as.
func (s *outputStmt) exec(m *machine, f *frame) flow {
	for _, e := range s.parts {
		v := e.eval(m, f)
		m.line = e.pos()
		m.write(m.str(v))
	}
	return next
}

// exec opens no scope: what an if sets stays.
func (s *ifStmt) exec(m *machine, f *frame) flow {
	if truth(s.test.eval(m, f)) {
		return m.run(s.then, f)
	}
	for _, e := range s.elifs {
		e := e.(*ifStmt)
		m.step()
		if truth(e.test.eval(m, f)) {
			return m.run(e.then, f)
		}
	}
	return m.run(s.otherwise, f)
}

// exec of break and continue only says so: the loop hears of it through run.
func (s *flowStmt) exec(m *machine, f *frame) flow { return s.flow }

// exec computes the value before any name changes: set a, b = b, a swaps them.
func (s *setStmt) exec(m *machine, f *frame) flow {
	checkNamespaces(m, f, s.target)
	m.assign(f, s.target, s.value.eval(m, f))
	return next
}

// checkNamespaces fails before the value is computed, as Jinja does, if a
// target is an attribute of something that is no namespace.
func checkNamespaces(m *machine, f *frame, target expr) {
	switch t := target.(type) {
	case *nsExpr:
		if _, ok := (*f.at(t.ref)).(*namespace); !ok {
			m.line = t.pos()
			m.fail("cannot set %s.%s: %s is not a namespace", t.name, t.attr, t.name)
		}
	case *listExpr:
		for _, item := range t.items {
			checkNamespaces(m, f, item)
		}
	}
}

// assign sets a name, a namespace's attribute, or a tuple of them.
func (m *machine) assign(f *frame, target expr, v value) {
	switch t := target.(type) {
	case *nameExpr:
		*f.at(t.ref) = v
	case *nsExpr:
		ns, ok := (*f.at(t.ref)).(*namespace)
		if !ok {
			m.fail("cannot set %s.%s: %s is not a namespace", t.name, t.attr, t.name)
		}
		m.checkAttr(t.attr)
		ns.attrs.set(author(t.attr), hash{kind: 's', s: t.attr}, v)
	case *listExpr:
		m.line = t.pos()
		// Any iterable unpacks, one item at a time; a missing or a further one is an error.
		it := m.iter(v)
		for i, item := range t.items {
			x, ok := it()
			if !ok {
				m.fail("not enough values to unpack: got %d, want %d", i, len(t.items))
			}
			m.assign(f, item, x)
		}
		if _, more := it(); more {
			m.fail("too many values to unpack, want %d", len(t.items))
		}
	default:
		panic(fmt.Sprintf("jinja: target %T", target))
	}
}

// exec assigns what the body wrote; a break inside of it assigns nothing.
func (s *setBlockStmt) exec(m *machine, f *frame) flow {
	s.scope.enter(m, f)
	text, how := m.capture(func() flow { return m.run(s.body, f) })
	if how != next {
		return how
	}
	var v value = text
	if s.filter != nil {
		f.slots[s.slot] = text
		v = s.filter.eval(m, f)
	}
	m.line = s.pos()
	checkNamespaces(m, f, s.target)
	m.assign(f, s.target, v)
	s.scope.leave(f)
	return next
}

// exec writes what the filter makes of the body.
func (s *filterStmt) exec(m *machine, f *frame) flow {
	s.scope.enter(m, f)
	text, how := m.capture(func() flow { return m.run(s.body, f) })
	if how != next {
		return how
	}
	f.slots[s.slot] = text
	v := s.filter.eval(m, f)
	m.write(m.str(v))
	s.scope.leave(f)
	return next
}

// exec computes every value outside of the new scope.
func (s *withStmt) exec(m *machine, f *frame) flow {
	s.scope.enter(m, f)
	for i, t := range s.targets {
		m.assign(f, t, s.values[i].eval(m, f))
	}
	how := m.run(s.body, f)
	s.scope.leave(f)
	return how
}

// exec does nothing but open a scope: nothing is ever escaped.
func (s *scopeStmt) exec(m *machine, f *frame) flow {
	s.scope.enter(m, f)
	how := m.run(s.body, f)
	s.scope.leave(f)
	return how
}

// exec marks what the body writes as learned, wherever it ends up.
func (s *generationStmt) exec(m *machine, f *frame) flow {
	m.write((&macro{s.body, f}).call(m, &args{}).marked(learned))
	return next
}

// exec sets the name; the macro remembers the frame around it.
func (s *macroStmt) exec(m *machine, f *frame) flow {
	*f.at(s.target.ref) = &macro{s.macro, f}
	return next
}

// exec writes what the macro returned.
func (s *callStmt) exec(m *machine, f *frame) flow {
	v := s.call.eval(m, f)
	m.write(m.str(v))
	return next
}

// exec of a recursive loop writes what its function returns.
func (s *forStmt) exec(m *machine, f *frame) flow {
	over := s.iter.eval(m, f)
	m.line = s.pos()
	if !s.recursive {
		return s.run(m, f, f, over, nil)
	}
	m.write(s.recurse(m, f, over, 0))
	return next
}

// recurse runs a recursive loop over v, in a frame of its own.
func (s *forStmt) recurse(m *machine, f *frame, v value, depth int) *str {
	m.enter()
	defer m.leave()
	// The parent is the frame of the template around the loop, not of the turn that calls
	// it again: names of an outer turn are not seen inside.
	in := &frame{slots: make([]value, s.fn.n), up: f}
	text, _ := m.capture(func() flow {
		return s.run(m, in, f, v, &loop{depth: depth, again: func(v value) *str {
			return s.recurse(m, f, v, depth+1)
		}})
	})
	return text
}

// run executes the loop over v. f is the frame of its body, out that of the
// template around it; lp is given for recursive loops only.
func (s *forStmt) run(m *machine, f, out *frame, v value, lp *loop) flow {
	it := m.iter(v)
	if s.test != nil {
		// Items are tested as they are asked for, so that a condition sees what earlier
		// turns changed in a namespace.
		it = s.filtered(m, out, it)
		v = nil // its length is not known any more
	}
	if s.loop >= 0 {
		if lp == nil {
			lp = &loop{}
		}
		lp.start(m, v, it)
		it = lp.next
	}
	ended := false // a turn ran to its end: continue and break do not count, as in Jinja
	for {
		item, ok := it()
		if !ok {
			break
		}
		m.step()
		if lp != nil {
			f.slots[s.loop] = lp
		}
		m.line = s.pos()
		m.assign(f, s.target, item)
		s.scope.enter(m, f)
		how := m.run(s.body, f)
		if how == breakLoop {
			break
		}
		ended = ended || how == next
	}
	// Unset, for a macro defined in the loop may be called behind it.
	s.scope.leave(f)
	if !ended && s.otherwise != nil {
		s.other.enter(m, f)
		how := m.run(s.otherwise, f)
		s.other.leave(f)
		return how
	}
	return next
}

// filtered gives the items for which the loop's condition holds.
func (s *forStmt) filtered(m *machine, f *frame, it func() (value, bool)) func() (value, bool) {
	// The condition runs in a function of its own: its loop variable is not that of the
	// body.
	in := &frame{slots: make([]value, s.testFn.n), up: f}
	entered := false
	return func() (value, bool) {
		if !entered {
			s.filter.enter(m, in)
			entered = true
		}
		for {
			item, ok := it()
			if !ok {
				return nil, false
			}
			m.step()
			m.assign(in, s.testTarget, item)
			if truth(s.test.eval(m, in)) {
				return s.testTarget.eval(m, in), true
			}
		}
	}
}
