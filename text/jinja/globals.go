package jinja

import "strings"

// maxRange is the longest range that Jinja's sandbox allows.
const maxRange = 100_000

// globals are the functions that every template has.
// Those of jinja2/defaults.py, and the two that transformers' chat_template_utils.py adds.
func globals() map[string]*function {
	table := map[string]*function{}
	def := func(name, spec string, call func(m *machine, a []value) value) {
		// Arguments are put in order before call sees them; see bind.
		s := signature(spec)
		table[name] = &function{name, func(m *machine, a *args) value { return call(m, m.bind(name, s, a)) }}
	}
	def("range", "/ start stop? step?", makeRange)
	// transformers adds raise_exception and strftime_now to Jinja's globals.
	def("raise_exception", "message", func(m *machine, a []value) value {
		// Not fail: who renders shows these words to the author of the conversation.
		panic(&RaisedError{m.line, m.str(a[0]).s})
	})
	def("strftime_now", "format", func(m *machine, a []value) value {
		t := m.text("strftime_now", a[0])
		// The format may come out of vars, and then so does the result.
		return derived(m.strftime(t.s, m.opt.Now()), t)
	})
	// A joiner says nothing the first time it is called, and sep from then on.
	def("joiner", "sep?", func(m *machine, a []value) value {
		var sep value = author(", ")
		if a[0] != nil {
			sep = a[0]
		}
		// State of this joiner, in its closure; the table itself never changes.
		used := false
		return &function{"joiner", func(m *machine, a *args) value {
			if used {
				return sep
			}
			used = true
			return author("")
		}}
	})
	// These take any keywords, so they see their arguments as they came.
	table["dict"] = &function{"dict", func(m *machine, a *args) value { return m.makeDict("dict", a) }}
	table["namespace"] = &function{"namespace", func(m *machine, a *args) value {
		ns := &namespace{m.makeDict("namespace", a)}
		for _, k := range ns.attrs.keys {
			if k, ok := k.(*str); ok {
				m.checkAttr(k.s)
			}
		}
		return ns
	}}
	table["cycler"] = &function{"cycler", func(m *machine, a *args) value {
		if a.noKeywords(m, "cycler"); len(a.pos) == 0 {
			m.fail("cycler: no items given")
		}
		return &cycler{items: a.pos}
	}}
	table["lipsum"] = &function{"lipsum", func(m *machine, a *args) value {
		m.fail("lipsum is not supported in chat templates")
		return nil
	}}
	return table
}

// makeRange is range.
// With one argument it is the end. The count is computed without going through it.
func makeRange(m *machine, a []value) value {
	// Bounds beyond 2^40 are cut to that, which the limit below refuses anyway.
	arg := func(v value) int64 {
		if v == nil {
			m.fail("range: argument is missing")
		}
		return int64(m.int("range", v, 0))
	}
	s := span{stop: arg(a[0]), step: 1}
	// With two arguments the first is the start.
	if a[1] != nil {
		s.start, s.stop = s.stop, arg(a[1])
	}
	if a[2] != nil {
		if s.step = arg(a[2]); s.step == 0 {
			m.fail("range: the step must not be zero")
		}
	}
	switch {
	// Rounded up: the last step may go past the end.
	case s.step > 0 && s.stop > s.start:
		s.n = (s.stop-s.start-1)/s.step + 1
	case s.step < 0 && s.stop < s.start:
		s.n = (s.start-s.stop-1)/-s.step + 1
	}
	if s.n > maxRange {
		m.limit("a range of %d numbers, want at most %d", s.n, maxRange)
	}
	return s
}

// checkAttr refuses names that transformers keeps out of namespaces.
func (m *machine) checkAttr(name string) {
	if strings.HasPrefix(name, "_") {
		panic(&Error{m.line, "namespace attribute " + quote(name) + " starts with an underscore", ErrUnsafe})
	}
}

// fromKeys is dict.fromkeys(iterable, value).
func fromKeys(m *machine, a *args) value {
	v := m.bind("fromkeys", signature("/ iterable value?"), a)
	if v[1] == nil {
		v[1] = none{}
	}
	d := newDict(0)
	for _, k := range m.items(v[0]) {
		m.put(d, k, v[1])
	}
	return d
}

// makeDict is dict(mapping or pairs, **keywords).
// Keywords come behind the pairs and win over them.
func (m *machine) makeDict(name string, a *args) *dict {
	if len(a.pos) > 1 {
		m.fail("%s: got %d arguments, want at most 1", name, len(a.pos))
	}
	// A key that comes twice keeps its first place and its last value.
	d := newDict(len(a.keys))
	if len(a.pos) == 1 {
		if from, ok := a.pos[0].(*dict); ok {
			// Copying is paid for, or a loop could double a dict without end.
			m.spend(64 * len(from.keys))
			for i, k := range from.keys {
				m.put(d, k, from.vals[i])
			}
		} else {
			for i, pair := range m.items(a.pos[0]) {
				kv := m.items(pair)
				if len(kv) != 2 {
					m.fail("%s: item %d has %d values, want a pair", name, i, len(kv))
				}
				m.put(d, kv[0], kv[1])
			}
		}
	}
	for i, k := range a.keys {
		d.set(author(k), hash{kind: 's', s: k}, a.vals[i])
	}
	return d
}
