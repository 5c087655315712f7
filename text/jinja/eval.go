package jinja

// eval computes an expression in frame f. It pays for what can be repeated in a loop
// or grows, and sets the machine's line where it may fail, since parts of an
// expression may lie on lines of their own.
func (e *constExpr) eval(m *machine, f *frame) value { return e.v }

// eval gives what the block wrote, which its statement has put into the slot.
func (e *capturedExpr) eval(m *machine, f *frame) value { return f.slots[e.v] }

// eval of a name that is unset gives undefined, which fails later, where it is used:
// {% if x %} of a missing x is false.
func (e *nameExpr) eval(m *machine, f *frame) value {
	if v := *f.at(e.ref); v != nil {
		return v
	}
	return &undefined{msg: quote(e.name) + " is undefined"}
}

// eval is never reached: an nsExpr is only a target.
func (e *nsExpr) eval(m *machine, f *frame) value { return none{} }

// eval makes a new list each time: nothing can change one, but its items may differ.
func (e *listExpr) eval(m *machine, f *frame) value {
	m.spend(16 * len(e.items))
	return &list{items: m.evalAll(e.items, f), tuple: e.tuple}
}

// evalAll computes from left to right.
func (m *machine) evalAll(list []expr, f *frame) []value {
	vals := make([]value, len(list))
	for i, e := range list {
		vals[i] = e.eval(m, f)
	}
	return vals
}

// eval keeps the order of the keys; of equal ones the last value counts.
func (e *dictExpr) eval(m *machine, f *frame) value {
	m.spend(64 * len(e.keys))
	d := newDict(len(e.keys))
	for i := range e.keys {
		k := e.keys[i].eval(m, f)
		v := e.vals[i].eval(m, f)
		m.line = e.keys[i].pos()
		m.put(d, k, v)
	}
	return d
}

// put sets a key of a dict that is being built.
func (m *machine) put(d *dict, k, v value) {
	h, ok := m.hash(k)
	if !ok {
		m.fail("a %s cannot be the key of a dict", typeName(k))
	}
	d.set(k, h, v)
}

// eval of an if without else gives an undefined value, which prints as nothing.
func (e *condExpr) eval(m *machine, f *frame) value {
	m.step()
	if truth(e.test.eval(m, f)) {
		return e.then.eval(m, f)
	}
	if e.other != nil {
		return e.other.eval(m, f)
	}
	return &undefined{msg: "the inline if is false and has no else"}
}

// eval of and, or gives one of the values, not a bool, and stops where it is decided.
func (e *logicExpr) eval(m *machine, f *frame) value {
	m.step()
	v := e.left.eval(m, f)
	if truth(v) == e.or {
		return v
	}
	return e.right.eval(m, f)
}

// eval is always a bool, unlike and, or.
func (e *notExpr) eval(m *machine, f *frame) value { return !truth(e.x.eval(m, f)) }

// eval of a sign makes an int of a bool, as Python does.
func (e *signExpr) eval(m *machine, f *frame) value {
	v := e.x.eval(m, f)
	m.line = e.pos()
	n, ok := number(v)
	if !ok {
		m.defined(v)
		m.fail("bad operand for unary %s: %s", e.op, typeName(v))
	}
	if e.op == "+" {
		return n
	}
	if x, ok := n.(float64); ok {
		return -x
	}
	// Negating int64's least value does not fit: arithmetic goes over to big ints.
	return m.arithmetic("-", int64(0), n)
}

// eval of ~ spells every part as str() and never escapes.
// The origin of every byte is kept: this is how templates put messages together.
func (e *concatExpr) eval(m *machine, f *frame) value {
	var b builder
	for _, p := range e.parts {
		v := p.eval(m, f)
		m.line = e.pos()
		m.add(&b, m.str(v))
	}
	return b.text()
}

// eval computes both sides first; the error is about the operator's line.
func (e *binExpr) eval(m *machine, f *frame) value {
	m.step()
	a := e.left.eval(m, f)
	b := e.right.eval(m, f)
	m.line = e.pos()
	return m.binary(e.op, a, b)
}

// binary computes a op b with Python's rules.
func (m *machine) binary(op string, a, b value) value {
	if x, ok := number(a); ok {
		if y, ok := number(b); ok {
			return m.arithmetic(op, x, y)
		}
	}
	switch x := a.(type) {
	case *str:
		y, ok := b.(*str)
		switch {
		case op == "%":
			return m.percent(x, b)
		case op == "+" && ok:
			m.room(len(x.s) + len(y.s))
			if x.safe || y.safe {
				return concat(escapeHTML(x), escapeHTML(y)).markup()
			}
			return concat(x, y)
		}
	// The capacity is cut to the length, so that append copies: x stays as it is.
	case *list:
		if y, ok := b.(*list); ok && op == "+" && x.tuple == y.tuple {
			m.roomItems(len(x.items) + len(y.items))
			return &list{items: append(x.items[:len(x.items):len(x.items)], y.items...), tuple: x.tuple}
		}
	}
	if op == "*" {
		// 3 * "ab" and "ab" * 3 are the same.
		if n, ok := integer(b); ok {
			if v := m.repeat(a, n); v != nil {
				return v
			}
		} else if n, ok := integer(a); ok {
			if v := m.repeat(b, n); v != nil {
				return v
			}
		}
	}
	m.defined(a)
	m.defined(b)
	m.fail("bad operands for %s: %s and %s", op, typeName(a), typeName(b))
	return nil
}

// repeat is a sequence times n; nil if v is none.
// A negative number of times is none. How long the result may be is asked before it
// is built, and without overflow.
func (m *machine) repeat(v value, n value) value {
	k, ok := n.(int64)
	k = max(k, 0)
	if !ok {
		m.fail("cannot repeat a %s %s times", typeName(v), formatInt(n))
	}
	switch v := v.(type) {
	case *str:
		if k > 0 && int64(len(v.s)) > int64(m.opt.MaxOutput)/k {
			m.room(m.opt.MaxOutput + 1)
		}
		m.room(len(v.s) * int(k))
		var b builder
		// An empty text repeated a billion times takes no turn at all.
		for range min(k, k*int64(len(v.s))) {
			b.write(v)
		}
		return b.text().like(v)
	case *list:
		if k > 0 && int64(len(v.items)) > int64(m.opt.MaxOutput)/k {
			m.roomItems(m.opt.MaxOutput)
		}
		m.roomItems(len(v.items) * int(k))
		l := &list{tuple: v.tuple}
		for range min(k, k*int64(len(v.items))) {
			l.items = append(l.items, v.items...)
		}
		return l
	}
	return nil
}

// defined fails with the message of an undefined value.
// Whoever is about to say that a type is wrong asks this first: "x is undefined" tells
// a template's author more than "got Undefined".
func (m *machine) defined(v value) {
	u, ok := v.(*undefined)
	if !ok {
		return
	}
	if u.unsafe {
		panic(&Error{m.line, u.msg, ErrUnsafe})
	}
	m.fail("%s", u.msg)
}

// eval of a < b < c computes b once and stops at the first that fails.
func (e *compareExpr) eval(m *machine, f *frame) value {
	m.step()
	a := e.first.eval(m, f)
	for i, op := range e.ops {
		b := e.rest[i].eval(m, f)
		m.line = e.pos()
		if !m.compare(op, a, b) {
			return false
		}
		a = b
	}
	return true
}

// eval never fails for a name that is not there: it gives undefined.
func (e *attrExpr) eval(m *machine, f *frame) value {
	m.step()
	x := e.x.eval(m, f)
	m.line = e.pos()
	return m.attr(x, e.name)
}

// eval computes the key even if x has no items.
func (e *itemExpr) eval(m *machine, f *frame) value {
	m.step()
	x := e.x.eval(m, f)
	key := e.key.eval(m, f)
	m.line = e.pos()
	return m.item(x, key)
}

// eval of a slice goes past the lenient lookup of items: what has no slices
// is an error, not undefined.
func (e *sliceExpr) eval(m *machine, f *frame) value {
	x := e.x.eval(m, f)
	var bounds [3]value
	for i, b := range []expr{e.from, e.to, e.step} {
		if b != nil {
			bounds[i] = b.eval(m, f)
		}
	}
	m.line = e.pos()
	return m.slice(x, bounds[0], bounds[1], bounds[2])
}

// eval of a filter, and of a test, which is the same thing with other words.
func (e *filterExpr) eval(m *machine, f *frame) value { return e.apply("filter", m, f) }

func (e *testExpr) eval(m *machine, f *frame) value { return (*filterExpr)(e).apply("test", m, f) }

// apply computes the input first, then the arguments, as Python orders a call.
// Most tests give a bool.
func (e *filterExpr) apply(what string, m *machine, f *frame) value {
	m.step()
	if e.def == nil {
		m.line = e.pos()
		m.fail("unknown %s %q", what, e.name)
	}
	v := e.x.eval(m, f)
	a := m.args(&e.args, f)
	m.line = e.pos()
	return m.filter(e.name, e.def, v, a)
}

// eval of a call block hands its body over as the keyword argument caller.
func (e *callExpr) eval(m *machine, f *frame) value {
	m.step()
	fn := e.fn.eval(m, f)
	a := m.args(&e.args, f)
	if e.block != nil {
		a.keys = append(a.keys, "caller")
		a.vals = append(a.vals, &macro{e.block, f})
	}
	m.line = e.pos()
	return m.call(fn, a)
}
