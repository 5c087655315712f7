package jinja

import "strings"

// equal is a == b.
// Values of different types are unequal, never an error: only numbers compare across
// their types, and True is 1.
func (m *machine) equal(a, b value) bool {
	m.step()
	if x, ok := number(a); ok {
		y, ok := number(b)
		if !ok {
			return false
		}
		c, ok := compareNumbers(x, y)
		return ok && c == 0
	}
	switch x := a.(type) {
	case none:
		_, ok := b.(none)
		return ok
	case *str:
		y, ok := b.(*str)
		return ok && x.s == y.s
	case *list:
		y, ok := b.(*list)
		return ok && x.tuple == y.tuple && m.equalItems(x.items, y.items)
	case *dict:
		y, ok := b.(*dict)
		return ok && m.equalDicts(x, y)
	case *undefined:
		_, ok := b.(*undefined)
		return ok
	// Two ranges are equal if they give the same numbers, however they were written.
	case span:
		y, ok := b.(span)
		return ok && x.n == y.n && (x.n == 0 || x.start == y.start && (x.n == 1 || x.step == y.step))
	// Two values() are never equal in Python, whatever they hold.
	case *view:
		y, ok := b.(*view)
		return ok && x.what != "values" && x.what == y.what && m.equalViews(x, y)
	}
	return a == b // the same function, macro, iterator
}

// equalItems compares lists and tuples item by item.
func (m *machine) equalItems(a, b []value) bool {
	if len(a) != len(b) {
		return false
	}
	m.enter()
	defer m.leave()
	for i := range a {
		if !m.same(a[i], b[i]) {
			return false
		}
	}
	return true
}

// same is how lists compare their items: what is the same thing is equal.
// Python asks "is" before "==", so that a list with a NaN in it may equal itself.
func (m *machine) same(a, b value) bool {
	if x, ok := a.(float64); ok && x != x {
		return false // two NaNs are hardly ever the same object
	}
	return m.equal(a, b)
}

// equalDicts compares keys and values; the order does not count.
func (m *machine) equalDicts(a, b *dict) bool {
	if len(a.keys) != len(b.keys) {
		return false
	}
	m.enter()
	defer m.leave()
	// The index is a Go map, and so has no order: an answer that does not depend on it.
	for h, i := range a.index {
		v, ok := b.get(h)
		if !ok || !m.same(a.vals[i], v) {
			return false
		}
	}
	return true
}

// equalViews compares keys() and items() as the sets that they are.
func (m *machine) equalViews(a, b *view) bool {
	if a.what == "items" {
		return m.equalDicts(a.d, b.d)
	}
	for h := range a.d.index {
		if _, ok := b.d.get(h); !ok {
			return false
		}
	}
	return len(a.d.keys) == len(b.d.keys)
}

// compare is a op b of the comparison operators.
// None, dicts and values of different types have no order: an error, as in Python 3.
func (m *machine) compare(op string, a, b value) bool {
	switch op {
	case "==":
		return m.equal(a, b)
	case "!=":
		return !m.equal(a, b)
	case "in":
		return m.contains(b, a)
	case "not in":
		return !m.contains(b, a)
	}
	// NaN is neither less nor equal nor greater.
	if x, ok := number(a); ok {
		if y, ok := number(b); ok {
			c, ok := compareNumbers(x, y)
			return ok && ordered(op, c)
		}
	}
	switch x := a.(type) {
	// By code points; in UTF-8 the order of bytes is the same.
	case *str:
		if y, ok := b.(*str); ok {
			m.spend(min(len(x.s), len(y.s)))
			return ordered(op, strings.Compare(x.s, y.s))
		}
	case *list:
		if y, ok := b.(*list); ok && x.tuple == y.tuple {
			return m.compareLists(op, x.items, y.items)
		}
	}
	m.defined(a)
	m.defined(b)
	m.fail("%s is not possible between %s and %s", op, typeName(a), typeName(b))
	return false
}

// ordered turns the result of a three-way comparison into that of op.
func ordered(op string, c int) bool {
	switch op {
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	}
	return c >= 0
}

// compareLists compares the first items that differ.
func (m *machine) compareLists(op string, a, b []value) bool {
	m.enter()
	defer m.leave()
	for i := range min(len(a), len(b)) {
		if !m.same(a[i], b[i]) {
			return m.compare(op, a[i], b[i])
		}
	}
	return ordered(op, len(a)-len(b))
}

// contains is v in c.
// Text is looked for in text, keys in a dict, and items in everything else that can
// be gone through; a generator is used up as far as the item.
func (m *machine) contains(c, v value) bool {
	switch c := c.(type) {
	case *str:
		t, ok := v.(*str)
		if !ok {
			m.fail("in a str there can only be a str, got %s", typeName(v))
		}
		m.spend(len(c.s))
		return strings.Contains(c.s, t.s)
	case *dict:
		return m.hasKey(c, v)
	case *view:
		if c.what == "keys" {
			return m.hasKey(c.d, v)
		}
	case span:
		n, ok := number(v)
		return ok && c.has(n)
	}
	it, ok := m.tryIter(c)
	if !ok {
		m.fail("a %s has nothing in it to look for", typeName(c))
	}
	for {
		x, ok := it()
		if !ok {
			return false
		}
		if m.same(x, v) {
			return true
		}
	}
}

// hasKey is key in dict.
func (m *machine) hasKey(d *dict, v value) bool {
	h, ok := m.hash(v)
	if !ok {
		m.fail("a %s cannot be the key of a dict", typeName(v))
	}
	_, ok = d.get(h)
	return ok
}

// has reports whether a number is in the range.
// A float counts if it is whole: 2.0 in range(3).
func (s span) has(n value) bool {
	x, ok := n.(int64)
	if f, float := n.(float64); float {
		x = int64(f)
		ok = float64(x) == f
	}
	if !ok || s.n <= 1 {
		return ok && s.n == 1 && x == s.start
	}
	d := x - s.start
	return d%s.step == 0 && d/s.step >= 0 && d/s.step < s.n
}
