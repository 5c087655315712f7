package jinja

import (
	"maps"
	"slices"
)

// library is what every template can use. It is made once per template and
// never changes.
type library struct {
	filters, tests map[string]*filter
	globals        map[string]*function
	// Ranges have the methods of tuples; no other type has any.
	// methods by type
	strings, dicts, lists, tuples, floats map[string]method
}

// filter is a filter or a test: v|name(a) or v is name(a).
// Filters and tests are one kind of thing: functions of a value and arguments.
type filter struct {
	sig  sig
	call func(m *machine, v value, a []value) value
	raw  func(m *machine, v value, a *args) value // with the signature "*"
}

// newLibrary makes the tables anew, so that no package variable holds them.
func newLibrary() *library {
	l := &library{
		filters: textFilters(), tests: tests(), globals: globals(),
		strings: stringMethods(), dicts: dictMethods(), lists: listMethods(), tuples: tupleMethods(), floats: floatMethods(),
	}
	maps.Copy(l.filters, sequenceFilters())
	maps.Copy(l.filters, numberFilters())
	return l
}

// filter applies a filter or test.
func (m *machine) filter(name string, def *filter, v value, a *args) value {
	if def.sig.any {
		return def.raw(m, v, a)
	}
	return def.call(m, v, m.bind(name, def.sig, a))
}

// apply makes a filter of a signature and a function.
func apply(spec string, call func(m *machine, v value, a []value) value) *filter {
	return &filter{sig: signature(spec), call: call}
}

// applyRaw makes a filter that reads its arguments itself.
func applyRaw(raw func(m *machine, v value, a *args) value) *filter {
	return &filter{sig: signature("*"), raw: raw}
}

// sortedKeys gives a Go map an order.
func sortedKeys(x map[string]any) []string { return slices.Sorted(maps.Keys(x)) }
