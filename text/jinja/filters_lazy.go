package jinja

import "slices"

// filterMap is map(attribute=...) or map(filter, arguments).
// What is wrong with the arguments is said when the first item is asked for: in
// Python, too, a generator does nothing before that.
func filterMap(m *machine, v value, a *args) value {
	if len(a.pos) == 0 && slices.Contains(a.keys, "attribute") {
		return m.lazy(v, func() func(value) (value, bool) {
			path, def := a.take("attribute"), a.take("default")
			a.noKeywords(m, "map")
			get := m.getter(path, def)
			return func(x value) (value, bool) { return get(x), true }
		})
	}
	return m.lazy(v, func() func(value) (value, bool) {
		if len(a.pos) == 0 {
			m.fail("map: want the name of a filter or attribute=")
		}
		name, def := m.lookUp("filter", m.lib.filters, a.pos[0])
		return func(x value) (value, bool) {
			// Binding takes arguments out of the lists, so every item gets its own.
			return m.filter(name, def, x, &args{a.pos[1:], slices.Clone(a.keys), slices.Clone(a.vals)}), true
		}
	})
}

// lookUp finds a filter or test that is named at run time.
// The tables are those of the binder: what a template cannot name, it cannot get at by a
// name that it computes either.
func (m *machine) lookUp(what string, table map[string]*filter, name value) (string, *filter) {
	t, ok := name.(*str)
	if !ok || table[t.s] == nil {
		m.defined(name)
		m.fail("unknown %s %s", what, m.repr(name).s)
	}
	return t.s, table[t.s]
}

// lazy gives fn(x) for each item of v for which it is ok, when it is asked for
// it, as a generator does. prepare runs before the first.
func (m *machine) lazy(v value, prepare func() func(value) (value, bool)) value {
	var it func() (value, bool)
	var fn func(value) (value, bool)
	return &iterator{func() (value, bool) {
		if it == nil {
			it = iterSlice(nil)
			// An empty value is never looked into, so map over None is empty and no error.
			if truth(v) {
				fn = prepare()
				it = m.iter(v)
			}
		}
		for {
			x, ok := it()
			if !ok {
				return nil, false
			}
			m.step()
			if y, ok := fn(x); ok {
				return y, true
			}
		}
	}}
}

// choose is select, reject, selectattr and rejectattr.
// Without a test, what is true is meant; with byAttr the first argument is a path.
func (m *machine) choose(name string, v value, a *args, want, byAttr bool) value {
	return m.lazy(v, func() func(value) (value, bool) {
		get := func(x value) value { return x }
		pos := a.pos
		if byAttr {
			if len(pos) == 0 {
				m.fail("%s: want the name of an attribute", name)
			}
			get = m.getter(pos[0], nil)
			pos = pos[1:]
		}
		if len(pos) == 0 {
			return func(x value) (value, bool) { return x, truth(get(x)) == want }
		}
		test, def := m.lookUp("test", m.lib.tests, pos[0])
		return func(x value) (value, bool) {
			got := m.filter(test, def, get(x), &args{pos[1:], slices.Clone(a.keys), slices.Clone(a.vals)})
			return x, truth(got) == want
		}
	})
}
