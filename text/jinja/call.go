package jinja

import (
	"slices"
	"strings"
)

// args are the arguments of a call, computed.
// keys and vals go together; a method or macro may take from them, so a call that is
// repeated, such as that of map, needs its own copy.
type args struct {
	pos  []value
	keys []string
	vals []value
}

// args computes the arguments of a call.
// What stands by place is computed first, then by name, then behind * and **.
func (m *machine) args(l *argList, f *frame) *args {
	a := &args{pos: m.evalAll(l.pos, f), keys: slices.Clone(l.keys), vals: m.evalAll(l.vals, f)}
	if l.star != nil {
		a.pos = append(a.pos, m.items(l.star.eval(m, f))...)
	}
	if l.starstar != nil {
		v := l.starstar.eval(m, f)
		d, ok := v.(*dict)
		if !ok {
			m.defined(v)
			m.fail("argument behind ** must be a dict, got %s", typeName(v))
		}
		for i, k := range d.keys {
			key, ok := k.(*str)
			if !ok || slices.Contains(a.keys, key.s) {
				m.fail("argument behind **: bad or repeated key %s", m.repr(k).s)
			}
			a.keys = append(a.keys, key.s)
			a.vals = append(a.vals, d.vals[i])
		}
	}
	return a
}

// take removes a keyword argument and returns it; nil if it was not given.
func (a *args) take(key string) value {
	i := slices.Index(a.keys, key)
	if i < 0 {
		return nil
	}
	v := a.vals[i]
	a.keys = slices.Delete(a.keys, i, i+1)
	a.vals = slices.Delete(a.vals, i, i+1)
	return v
}

// noKeywords fails if any keyword argument was given.
func (a *args) noKeywords(m *machine, name string) {
	if len(a.keys) > 0 {
		m.fail("%s: unexpected keyword argument %q", name, a.keys[0])
	}
}

// sig are the parameters of something built in.
// required counts from the front: an optional parameter is never followed by one that is not.
type sig struct {
	names    []string
	required int
	posOnly  bool // keywords are refused
	any      bool // takes what comes
}

// signature reads "a b c?": names in order, optional ones with a question mark.
// "/" in front refuses keywords, "*" alone takes all arguments unchecked.
func signature(spec string) sig {
	if spec == "*" {
		return sig{any: true}
	}
	var s sig
	for _, name := range strings.Fields(spec) {
		if name == "/" {
			s.posOnly = true
			continue
		}
		name, optional := strings.CutSuffix(name, "?")
		s.names = append(s.names, name)
		if !optional {
			s.required = len(s.names)
		}
	}
	return s
}

// bind puts arguments in the order of a signature; what is not given is nil.
// The values have the length of the signature, so that a function may look at any of
// its parameters.
func (m *machine) bind(name string, s sig, a *args) []value {
	if len(a.pos) > len(s.names) {
		m.fail("%s: got %d arguments, want at most %d", name, len(a.pos), len(s.names))
	}
	if s.posOnly {
		a.noKeywords(m, name)
	}
	vals := make([]value, len(s.names))
	copy(vals, a.pos)
	for i, key := range a.keys {
		at := slices.Index(s.names, key)
		if at < 0 {
			m.fail("%s: unexpected keyword argument %q", name, key)
		}
		if vals[at] != nil {
			m.fail("%s: argument %q given twice", name, key)
		}
		vals[at] = a.vals[i]
	}
	for i := range s.required {
		if vals[i] == nil {
			m.fail("%s: argument %q is missing", name, s.names[i])
		}
	}
	return vals
}

// call calls a value.
func (m *machine) call(fn value, a *args) value {
	switch fn := fn.(type) {
	case *function:
		return fn.call(m, a)
	case *macro:
		return fn.call(m, a)
	case *loop:
		return fn.call(m, a)
	}
	m.defined(fn)
	m.fail("a %s cannot be called", typeName(fn))
	return nil
}

// macro is a macro with the variables around its definition.
// How arguments find their parameters is Macro.__call__ of jinja2/runtime.py.
type macro struct {
	def *macroExpr
	up  *frame
}

// call runs a macro and returns what it wrote.
// Defaults are computed at each call, in the frame of the macro, so that a default
// may use a parameter in front of it.
func (c *macro) call(m *machine, a *args) *str {
	m.enter()
	defer m.leave()
	// An error behind the call should name the line of the call, not the macro's last.
	line := m.line
	d := c.def
	f := &frame{slots: make([]value, d.fn.n), up: c.up}
	c.bind(m, f, a)
	d.scope.enter(m, f)
	for i, p := range d.params {
		slot := f.at(p.ref)
		if *slot != nil {
			continue
		}
		// defaults belong to the last parameters.
		if at := i - (len(d.params) - len(d.defaults)); at >= 0 {
			*slot = d.defaults[at].eval(m, f)
		} else {
			*slot = &undefined{msg: "parameter " + quote(p.name) + " was not provided"}
		}
	}
	text, _ := m.capture(func() flow { return m.run(d.body, f) })
	m.line = line
	return text
}

// bind gives the parameters their arguments, where there are any.
func (c *macro) bind(m *machine, f *frame, a *args) {
	d := c.def
	// A caller that is a declared parameter is an argument like any other; otherwise
	// the macro sees it only if its body asks for it.
	n := min(len(a.pos), len(d.params))
	gotCaller := n == len(d.params) && slices.ContainsFunc(d.params, func(p *nameExpr) bool { return p.name == "caller" })
	for i, p := range d.params {
		if i < n {
			*f.at(p.ref) = a.pos[i]
			continue
		}
		*f.at(p.ref) = a.take(p.name)
		gotCaller = gotCaller || p.name == "caller"
	}
	if d.caller >= 0 && !gotCaller {
		if f.slots[d.caller] = a.take("caller"); f.slots[d.caller] == nil {
			f.slots[d.caller] = &undefined{msg: "no caller defined: the macro was not used by a call block"}
		}
	}
	name := d.name
	if name == "" {
		name = "caller"
	}
	if d.kwargs >= 0 {
		f.slots[d.kwargs] = dictOf(a.keys, a.vals)
	} else if len(a.keys) > 0 {
		m.fail("macro %s takes no argument %q", name, a.keys[0])
	}
	if d.varargs >= 0 {
		f.slots[d.varargs] = tuple(a.pos[n:]...)
	} else if len(a.pos) > n {
		m.fail("macro %s: got %d arguments, want at most %d", name, len(a.pos), len(d.params))
	}
}

// attr is an attribute of a macro; nil if there is none of that name.
func (c *macro) attr(name string) value {
	switch name {
	case "name":
		if c.def.name == "" {
			return none{}
		}
		return author(c.def.name)
	case "arguments":
		names := make([]value, len(c.def.params))
		for i, p := range c.def.params {
			names[i] = author(p.name)
		}
		return tuple(names...)
	case "caller":
		return c.def.caller >= 0
	case "catch_kwargs":
		return c.def.kwargs >= 0
	case "catch_varargs":
		return c.def.varargs >= 0
	case "explicit_caller":
		return slices.ContainsFunc(c.def.params, func(p *nameExpr) bool { return p.name == "caller" })
	}
	return nil
}
