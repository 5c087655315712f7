package jinja

import (
	"math"
	"slices"
	"strings"
)

// mutator reports a method that the sandbox hides, for it would change v.
// The names are those of jinja2.sandbox's ImmutableSandboxedEnvironment.
func mutator(v value, name string) bool {
	switch v := v.(type) {
	case *dict:
		return slices.Contains([]string{"clear", "pop", "popitem", "setdefault", "update"}, name)
	case *list:
		return !v.tuple && slices.Contains([]string{"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"}, name)
	}
	return false
}

// attr is v.name: an attribute, else the item of that name, else undefined.
// Environment.getattr of jinja2/environment.py; item is getitem there. They differ in what
// is looked at first, so that d.items is the method and d["items"] the value.
func (m *machine) attr(v value, name string) value {
	if a := m.member(v, name); a != nil {
		return a
	}
	if d, ok := v.(*dict); ok {
		if x, ok := d.name(name); ok {
			return x
		}
	}
	return missing(v, quote(name))
}

// item is v[key]: an item, else for a string the attribute of that name, else
// undefined.
func (m *machine) item(v, key value) value {
	m.defined(v)
	switch v := v.(type) {
	case *dict:
		if h, ok := m.hash(key); ok {
			if x, ok := v.get(h); ok {
				return x
			}
		}
	// An index out of range is undefined, as a missing key is; only slices
	// and methods raise.
	case *list, *str, span:
		if n, ok := integer(key); ok {
			i, small := n.(int64)
			size, _ := m.len(v)
			if i, ok := index(i, int64(size)); ok && small {
				return m.at(v, int(i))
			}
		}
	}
	name, ok := key.(*str)
	if !ok {
		return missing(v, m.repr(key).s)
	}
	if a := m.member(v, name.s); a != nil {
		return a
	}
	return missing(v, quote(name.s))
}

// at is the item of a sequence at an index that it has.
func (m *machine) at(v value, i int) value {
	switch v := v.(type) {
	case *list:
		return v.items[i]
	case span:
		return v.start + int64(i)*v.step
	}
	t := v.(*str)
	from := t.offset(i)
	return t.sub(from, from+byteOffset(t.s[from:], 1))
}

// missing is what an attribute or item that is not there gives.
func missing(v value, name string) *undefined {
	what := typeName(v) + " object"
	if _, ok := v.(none); ok {
		what = "None"
	}
	return &undefined{msg: "'" + what + "' has no attribute " + name}
}

// member is an attribute or method of v, as Python's getattr; nil if there is
// none. What the sandbox hides is undefined, and unsafe to use.
// Names with two underscores on both sides lead to Python's inside, which is how
// sandboxes are left: none of them is there.
func (m *machine) member(v value, name string) value {
	m.defined(v)
	if strings.HasPrefix(name, "__") && strings.HasSuffix(name, "__") && len(name) > 4 || mutator(v, name) {
		return &undefined{msg: "access to attribute " + quote(name) + " of a " + typeName(v) + " is unsafe", unsafe: true}
	}
	switch v := v.(type) {
	case *namespace:
		if x, ok := v.attrs.name(name); ok {
			return x
		}
		return nil
	case *loop:
		return v.attr(name)
	case *macro:
		return v.attr(name)
	case *cycler:
		return v.attr(name)
	case span:
		switch name {
		case "start":
			return v.start
		case "stop":
			return v.stop
		case "step":
			return v.step
		}
	case *list:
		if i := slices.Index(v.names, name); i >= 0 {
			return v.items[i]
		}
	case *function:
		if v == m.lib.globals["dict"] && name == "fromkeys" {
			return &function{name, fromKeys}
		}
	}
	// A method is a value: {% set f = x.strip %}{{ f() }} works, as in Python.
	def, ok := m.methods(v)[name]
	if !ok {
		return nil
	}
	return &function{name, func(m *machine, a *args) value {
		if def.sig.any {
			return def.raw(m, v, a)
		}
		return def.call(m, v, m.bind(name, def.sig, a))
	}}
}

// methods are the methods of a value's type.
func (m *machine) methods(v value) map[string]method {
	switch v := v.(type) {
	case *str:
		return m.lib.strings
	case *dict:
		return m.lib.dicts
	case *list:
		if v.tuple {
			return m.lib.tuples
		}
		return m.lib.lists
	case span:
		return m.lib.tuples
	case float64:
		return m.lib.floats
	}
	return nil
}

// method is a method of a built-in type.
// Either call gets arguments in the order of the signature, or raw all as they came.
type method struct {
	sig  sig
	call func(m *machine, self value, a []value) value
	raw  func(m *machine, self value, a *args) value
}

// dictMethods are the methods of dict that change nothing.
func dictMethods() map[string]method {
	viewOf := func(what string) method {
		return method{sig: signature("/"), call: func(m *machine, self value, a []value) value {
			return &view{self.(*dict), what}
		}}
	}
	return map[string]method{
		"keys": viewOf("keys"), "values": viewOf("values"), "items": viewOf("items"),
		// Nothing can change it, so a copy and the dict itself cannot be told apart.
		"copy": {sig: signature("/"), call: func(m *machine, self value, a []value) value { return self }},
		"get":  {sig: signature("/ key default?"), call: dictGet},
	}
}

// dictGet is dict.get: an unhashable key is an error, a missing one None.
func dictGet(m *machine, self value, a []value) value {
	h, ok := m.hash(a[0])
	if !ok {
		m.fail("a %s cannot be the key of a dict", typeName(a[0]))
	}
	if v, ok := self.(*dict).get(h); ok {
		return v
	}
	if a[1] != nil {
		return a[1]
	}
	return none{}
}

// listMethods are those of tuples and copy.
func listMethods() map[string]method {
	methods := tupleMethods()
	methods["copy"] = method{sig: signature("/"), call: func(m *machine, self value, a []value) value { return self }}
	return methods
}

// tupleMethods are those of tuples and ranges.
func tupleMethods() map[string]method {
	return map[string]method{
		"index": {sig: signature("/ value start? stop?"), call: listIndex},
		"count": {sig: signature("/ value"), call: func(m *machine, self value, a []value) value {
			n := int64(0)
			for _, x := range m.items(self) {
				if m.same(x, a[0]) {
					n++
				}
			}
			return n
		}},
	}
}

// listIndex is index(value, start, stop); a value that is not there is an error.
func listIndex(m *machine, self value, a []value) value {
	items := m.items(self)
	// A range as long as the list, sliced, has the bounds as list.index clips them.
	bounds := m.slice(span{step: 1, n: int64(len(items))}, a[1], a[2], nil).(span)
	for i := bounds.start; i < bounds.start+bounds.n; i++ {
		if m.same(items[i], a[0]) {
			return i
		}
	}
	m.fail("%s is not in the %s", m.repr(a[0]).s, typeName(self))
	return nil
}

// floatMethods has the one method of float that templates use.
func floatMethods() map[string]method {
	return map[string]method{
		"is_integer": {sig: signature("/"), call: func(m *machine, self value, a []value) value {
			f := self.(float64)
			return f == math.Trunc(f) && !math.IsInf(f, 0)
		}},
	}
}

// attr of a cycler: current, next and reset.
func (c *cycler) attr(name string) value {
	switch name {
	case "current":
		return c.items[c.pos]
	case "next":
		return &function{name, func(m *machine, a *args) value {
			v := c.items[c.pos]
			c.pos = (c.pos + 1) % len(c.items)
			return v
		}}
	case "reset":
		return &function{name, func(m *machine, a *args) value {
			c.pos = 0
			return none{}
		}}
	}
	return nil
}
