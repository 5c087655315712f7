package jinja

import "math/big"

// tests are what may stand behind "is".
// A test is a filter of whose result the truth is asked.
// They are those of jinja2/tests.py, with their aliases.
func tests() map[string]*filter {
	ask := func(test func(v value) bool) *filter {
		return apply("", func(m *machine, v value, a []value) value { return test(v) })
	}
	compare := func(op string) *filter {
		return apply("other", func(m *machine, v value, a []value) value { return m.compare(op, v, a[0]) })
	}
	// By the operator %, so that an odd text fails as it does in Python.
	remainder := func(want int64) *filter {
		return apply("", func(m *machine, v value, a []value) value {
			return m.equal(m.binary("%", v, int64(2)), want)
		})
	}
	word := func(test func(string) bool) *filter {
		return apply("", func(m *machine, v value, a []value) value { return test(m.str(v).s) })
	}
	chars := charTests()
	return map[string]*filter{
		"defined":   ask(func(v value) bool { return !is[*undefined](v) }),
		"undefined": ask(is[*undefined]),
		"none":      ask(is[none]),
		"boolean":   ask(is[bool]),
		// Only the bools themselves: 1 is no true.
		"true":    ask(func(v value) bool { return v == true }),
		"false":   ask(func(v value) bool { return v == false }),
		"integer": ask(func(v value) bool { return is[int64](v) || is[*big.Int](v) }),
		"float":   ask(is[float64]),
		// A bool is a number, as it is in Python.
		"number": ask(func(v value) bool {
			_, ok := number(v)
			return ok
		}),
		"string":   ask(is[*str]),
		"mapping":  ask(is[*dict]),
		"sequence": ask(isSequence),
		"iterable": apply("", func(m *machine, v value, a []value) value {
			_, ok := m.tryIter(v)
			return ok
		}),
		"callable": ask(func(v value) bool {
			return is[*function](v) || is[*macro](v) || is[*loop](v) || is[*undefined](v)
		}),
		// Marked as Markup, that is.
		"escaped": ask(func(v value) bool {
			t, ok := v.(*str)
			return ok && t.safe
		}),
		"sameas": apply("other", func(m *machine, v value, a []value) value { return sameAs(v, a[0]) }),
		"lower":  word(chars["islower"]),
		"upper":  word(chars["isupper"]),
		"odd":    remainder(1),
		"even":   remainder(0),
		"divisibleby": apply("num", func(m *machine, v value, a []value) value {
			return m.equal(m.binary("%", v, a[0]), int64(0))
		}),
		"in": apply("seq", func(m *machine, v value, a []value) value { return m.contains(a[0], v) }),
		"filter": apply("", func(m *machine, v value, a []value) value {
			t, ok := v.(*str)
			return ok && m.lib.filters[t.s] != nil
		}),
		"test": apply("", func(m *machine, v value, a []value) value {
			t, ok := v.(*str)
			return ok && m.lib.tests[t.s] != nil
		}),
		"==": compare("=="), "eq": compare("=="), "equalto": compare("=="),
		"!=": compare("!="), "ne": compare("!="),
		">": compare(">"), "gt": compare(">"), "greaterthan": compare(">"),
		"<": compare("<"), "lt": compare("<"), "lessthan": compare("<"),
		">=": compare(">="), "ge": compare(">="),
		"<=": compare("<="), "le": compare("<="),
	}
}

// is reports whether v is of one type.
func is[T any](v value) bool {
	_, ok := v.(T)
	return ok
}

// isSequence asks for a length and subscripts; an undefined value has both.
func isSequence(v value) bool {
	switch v.(type) {
	case *str, *list, *dict, span, *undefined:
		return true
	}
	return false
}

// sameAs is Python's "is": the same object. Small ints and equal constants are
// one object in Python, larger ones are not worth relying on.
func sameAs(a, b value) bool {
	if x, ok := a.(*str); ok {
		y, ok := b.(*str)
		return ok && x.s == y.s
	}
	return a == b
}
