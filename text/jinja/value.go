package jinja

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
)

// value is what an expression gives, one of
//
//	none, bool, int64, *big.Int (beyond int64), float64, *str
//	*list (list or tuple), *dict, span (range), *view (of a dict), *iterator
//	*undefined, *namespace, *loop, *macro, *function, *cycler
//
// A nil value stands for "no value": an unset variable, an argument not given.
// Go's own types where they fit, so that most values cost no allocation.
type value any

// none is None: a value, unlike nil.
type none struct{}

// list is a list or a tuple. It never changes: the sandbox forbids it.
// Filters give new ones.
type list struct {
	items []value
	tuple bool
	names []string // attributes of a named tuple (groupby), else nil
}

// tuple makes a tuple.
func tuple(items ...value) *list { return &list{items: items, tuple: true} }

// span is a range: n numbers from start; stop is only for printing.
// Its numbers are computed when they are asked for.
type span struct{ start, stop, step, n int64 }

// iterator gives its values once, as a Python generator.
// next panics as a machine does: the error may come late.
type iterator struct{ next func() (value, bool) }

// view is keys(), values() or items() of a dict.
type view struct {
	d    *dict
	what string
}

// undefined is a variable or attribute that is not there. It prints as
// nothing; most other uses of it fail with its message.
type undefined struct {
	msg    string
	unsafe bool // an attribute that the sandbox hides
}

// namespace is what namespace() makes: the one thing that set can change
// from inside of a loop.
type namespace struct{ attrs *dict }

// function is a global, a filter bound to its arguments, or a method.
type function struct {
	name string
	call func(m *machine, a *args) value
}

// cycler is what cycler(a, b) makes; pos is the item that comes next.
type cycler struct {
	items []value
	pos   int
}

// typeName is what Python calls the type of v in its messages.
func typeName(v value) string {
	switch v := v.(type) {
	case none:
		return "NoneType"
	case bool:
		return "bool"
	case int64, *big.Int:
		return "int"
	case float64:
		return "float"
	case *str:
		if v.safe {
			return "Markup"
		}
		return "str"
	case *list:
		if v.tuple {
			return "tuple"
		}
		return "list"
	case *dict:
		return "dict"
	case span:
		return "range"
	case *iterator:
		return "generator"
	case *view:
		return "dict_" + v.what
	case *undefined:
		return "Undefined"
	case *namespace:
		return "Namespace"
	case *loop:
		return "LoopContext"
	case *macro:
		return "Macro"
	case *cycler:
		return "Cycler"
	}
	return "function"
}

// truth is bool(v).
// What has items is true if there is one; generators, functions and namespaces always are.
func truth(v value) bool {
	switch v := v.(type) {
	case none, *undefined, nil:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case *str:
		return v.s != ""
	case *list:
		return len(v.items) > 0
	case *dict:
		return len(v.keys) > 0
	case span:
		return v.n > 0
	case *view:
		return len(v.d.keys) > 0
	}
	return true
}

// dict is an ordered dict. Only the one who builds it changes it.
// vals[i] belongs to keys[i]; index finds i by the key's hash.
type dict struct {
	keys, vals []value
	index      map[hash]int
}

// hash identifies a key: equal keys, such as 1, 1.0 and True, have equal ones.
// It is the key itself in a form that Go compares, no digest: two keys cannot collide.
type hash struct {
	kind byte
	n    int64
	s    string
}

// newDict has room for n keys.
func newDict(n int) *dict {
	return &dict{make([]value, 0, n), make([]value, 0, n), make(map[hash]int, n)}
}

// set puts v under a key that can be hashed.
// A key that is there keeps its place and its spelling.
func (d *dict) set(key value, h hash, v value) {
	if i, ok := d.index[h]; ok {
		d.vals[i] = v
		return
	}
	d.index[h] = len(d.keys)
	d.keys = append(d.keys, key)
	d.vals = append(d.vals, v)
}

// get finds the value under a key's hash.
func (d *dict) get(h hash) (value, bool) {
	i, ok := d.index[h]
	if !ok {
		return nil, false
	}
	return d.vals[i], true
}

// name gets the value under a string.
func (d *dict) name(s string) (value, bool) { return d.get(hash{kind: 's', s: s}) }

// hash returns the identity of a key; lists and dicts have none.
func (m *machine) hash(v value) (hash, bool) {
	switch v := v.(type) {
	case none:
		return hash{kind: 'n'}, true
	case bool:
		if v {
			return hash{kind: 'i', n: 1}, true
		}
		return hash{kind: 'i'}, true
	case int64:
		return hash{kind: 'i', n: v}, true
	case *big.Int:
		return hash{kind: 'b', s: v.Text(62)}, true
	// A whole float is the int that it equals.
	case float64:
		if v == math.Trunc(v) && !math.IsInf(v, 0) {
			z, _ := big.NewFloat(v).Int(nil)
			return m.hash(normal(z))
		}
		return hash{kind: 'f', n: int64(math.Float64bits(v))}, true
	case *str:
		return hash{kind: 's', s: v.s}, true
	case *undefined:
		return hash{kind: 'u'}, true
	case span:
		return hash{kind: 'r', s: strconv.FormatInt(v.start, 36) + " " + strconv.FormatInt(v.step, 36), n: v.n}, true
	case *list:
		return m.hashTuple(v)
	case *dict, *view:
		return hash{}, false
	}
	// Functions, macros and namespaces are equal to themselves only.
	return hash{kind: 'p', s: fmt.Sprintf("%p", v)}, true // by address
}

// hashTuple joins the hashes of a tuple's items, each behind its length.
// The lengths keep ("a", "b") and ("a b",) apart.
func (m *machine) hashTuple(v *list) (hash, bool) {
	if !v.tuple {
		return hash{}, false
	}
	m.enter()
	defer m.leave()
	var b []byte
	for _, item := range v.items {
		h, ok := m.hash(item)
		if !ok {
			return hash{}, false
		}
		b = append(b, h.kind)
		b = strconv.AppendInt(b, h.n, 36)
		b = append(b, ' ')
		b = strconv.AppendInt(b, int64(len(h.s)), 36)
		b = append(append(b, ' '), h.s...)
	}
	m.spend(len(b))
	return hash{kind: 't', s: string(b), n: int64(len(v.items))}, true
}

// dictOf makes a dict with string keys, such as keyword arguments.
func dictOf(keys []string, vals []value) *dict {
	d := newDict(len(keys))
	for i, k := range keys {
		d.set(author(k), hash{kind: 's', s: k}, vals[i])
	}
	return d
}
