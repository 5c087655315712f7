package jinja

import (
	"slices"
	"strings"
)

// sequenceFilters are the filters that take lists and dicts apart.
// Parameters left out are nil in a.
// What gives a generator there is an iterator here: it runs when somebody asks for items.
func sequenceFilters() map[string]*filter {
	length := apply("", func(m *machine, v value, a []value) value {
		n, ok := m.len(v)
		if !ok {
			m.fail("length: a %s has no length", typeName(v))
		}
		return int64(n)
	})
	// default replaces what is undefined; with boolean true also what is false or empty.
	fallback := apply("default_value? boolean?", func(m *machine, v value, a []value) value {
		if _, ok := v.(*undefined); ok || a[1] != nil && truth(a[1]) && !truth(v) {
			if a[0] == nil {
				return author("")
			}
			return a[0]
		}
		return v
	})
	return map[string]*filter{
		"length": length, "count": length, "default": fallback, "d": fallback,
		"list": apply("", func(m *machine, v value, a []value) value {
			return &list{items: m.items(v)}
		}),
		"items":   apply("", filterItems),
		"first":   apply("", filterFirst),
		"last":    apply("", filterLast),
		"reverse": apply("", filterReverse),
		"join":    apply("d? attribute?", filterJoin),
		"sort":    apply("reverse? case_sensitive? attribute?", filterSort),
		"dictsort": apply("case_sensitive? by? reverse?", func(m *machine, v value, a []value) value {
			return m.dictSort(v, a)
		}),
		"unique":  apply("case_sensitive? attribute?", filterUnique),
		"min":     apply("case_sensitive? attribute?", func(m *machine, v value, a []value) value { return m.extreme("<", v, a) }),
		"max":     apply("case_sensitive? attribute?", func(m *machine, v value, a []value) value { return m.extreme(">", v, a) }),
		"sum":     apply("attribute? start?", filterSum),
		"batch":   apply("linecount fill_with?", filterBatch),
		"slice":   apply("slices fill_with?", filterSlice),
		"groupby": apply("attribute default? case_sensitive?", filterGroupBy),
		"attr":    apply("name", filterAttr),
		// These hand arguments on to a filter or test that is named at run time.
		"map":        applyRaw(filterMap),
		"select":     applyRaw(func(m *machine, v value, a *args) value { return m.choose("select", v, a, true, false) }),
		"reject":     applyRaw(func(m *machine, v value, a *args) value { return m.choose("reject", v, a, false, false) }),
		"selectattr": applyRaw(func(m *machine, v value, a *args) value { return m.choose("selectattr", v, a, true, true) }),
		"rejectattr": applyRaw(func(m *machine, v value, a *args) value { return m.choose("rejectattr", v, a, false, true) }),
	}
}

// getter looks up an attribute path such as "function.name" or 0 in an item;
// an undefined result is replaced by missing, unless that is nil.
// Path parts are looked up as items, then attributes: users' dicts have keys named
// like methods.
func (m *machine) getter(path, missing value) func(value) value {
	var parts []value
	switch p := path.(type) {
	case nil, none:
	case *str:
		for _, part := range strings.Split(p.s, ".") {
			if part != "" && strings.IndexFunc(part, func(r rune) bool { return !isDigit(r) }) < 0 {
				n, ok := parseInt(part, 10)
				if !ok {
					m.fail("attribute: bad number %s", quote(part))
				}
				parts = append(parts, n)
				continue
			}
			parts = append(parts, author(part))
		}
	default:
		parts = []value{p}
	}
	return func(v value) value {
		for _, part := range parts {
			v = m.item(v, part)
			if _, ok := v.(*undefined); ok && missing != nil && missing != (none{}) {
				v = missing
			}
		}
		return v
	}
}

// folded lower-cases strings, for comparing without case.
// The result only serves as a key; the item itself keeps its case.
func folded(v value) value {
	if t, ok := v.(*str); ok {
		return derived(lower(t.s), t)
	}
	return v
}

// keyOf is a getter for sorting; without case unless sensitive says otherwise.
// Values that are no texts are keys as they are.
func (m *machine) keyOf(path, missing, sensitive value) func(value) value {
	get := m.getter(path, missing)
	if sensitive != nil && truth(sensitive) {
		return get
	}
	return func(v value) value { return folded(get(v)) }
}

// filterItems is items; the error about what is no dict comes when the first
// item is asked for, as from a generator.
func filterItems(m *machine, v value, a []value) value {
	switch v := v.(type) {
	case *undefined:
		return &iterator{iterSlice(nil)}
	case *dict:
		return &iterator{(&view{v, "items"}).iter()}
	}
	return &iterator{func() (value, bool) {
		m.fail("items: want a dict, got %s", typeName(v))
		return nil, false
	}}
}

// filterFirst takes one item, also of a generator, which has lost it then.
func filterFirst(m *machine, v value, a []value) value {
	if x, ok := m.iter(v)(); ok {
		return x
	}
	return &undefined{msg: "no first item, the sequence is empty"}
}

// reversed goes through what has a length and items from its end.
func (m *machine) reversed(v value) ([]value, bool) {
	switch v.(type) {
	case *list, *dict, *view, *str, span, *undefined:
		items := slices.Clone(m.items(v))
		reverse(items)
		return items, true
	}
	return nil, false
}

// filterLast is last; a generator has no end to read from.
func filterLast(m *machine, v value, a []value) value {
	items, ok := m.reversed(v)
	if !ok {
		m.fail("last: a %s cannot be read from its end: use list first", typeName(v))
	}
	if len(items) == 0 {
		return &undefined{msg: "no last item, the sequence is empty"}
	}
	return items[0]
}

// filterReverse turns texts around by character and other things lazily.
func filterReverse(m *machine, v value, a []value) value {
	if t, ok := v.(*str); ok {
		return m.slice(t, nil, nil, int64(-1))
	}
	if items, ok := m.reversed(v); ok {
		return &iterator{iterSlice(items)}
	}
	items := m.collect(m.iter(v))
	reverse(items)
	return &list{items: items}
}

// filterJoin is join: unlike str.join it spells everything as str().
func filterJoin(m *machine, v value, a []value) value {
	it := m.iter(v)
	sep := author("")
	if a[0] != nil {
		sep = m.str(a[0])
	}
	// With attribute= it joins that of the items.
	get := m.getter(a[1], nil)
	var b builder
	for i := 0; ; i++ {
		x, ok := it()
		if !ok {
			return b.text()
		}
		m.step()
		if i > 0 {
			m.add(&b, sep)
		}
		m.add(&b, m.str(get(x)))
	}
}

// sorted is the stable sort of items by their keys.
func (m *machine) sorted(items, keys []value, backwards bool) []value {
	// Places are sorted, so that keys and items stay together.
	order := make([]int, len(items))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		m.step()
		// reverse=True in Python keeps the order of equal items, too.
		if backwards {
			i, j = j, i
		}
		switch {
		case m.compare("<", keys[i], keys[j]):
			return -1
		case m.compare("<", keys[j], keys[i]):
			return 1
		}
		return 0
	})
	out := make([]value, len(items))
	for i, at := range order {
		out[i] = items[at]
	}
	return out
}

// filterSort is sort, stable both ways. Keys are compared as lists, so that
// equal ones, such as None and None, need no order.
func filterSort(m *machine, v value, a []value) value {
	items := m.items(v)
	var paths []value // "name,age" sorts by both
	if p, ok := a[2].(*str); ok {
		for part := range strings.SplitSeq(p.s, ",") {
			paths = append(paths, author(part))
		}
	} else {
		paths = []value{a[2]}
	}
	keys := make([]value, len(items))
	for i := range keys {
		keys[i] = &list{}
	}
	for _, p := range paths {
		get := m.keyOf(p, nil, a[1])
		for i, x := range items {
			k := keys[i].(*list)
			k.items = append(k.items, get(x))
		}
	}
	return &list{items: m.sorted(items, keys, m.int("sort", a[0], 0) != 0)}
}

// dictSort gives the pairs of a dict by key or value.
// Texts are compared without case unless case_sensitive says otherwise; by value it
// is the values that are.
func (m *machine) dictSort(v value, a []value) value {
	d, ok := v.(*dict)
	if !ok {
		m.defined(v)
		m.fail("dictsort: want a dict, got %s", typeName(v))
	}
	keys := d.keys
	if a[1] != nil {
		switch m.str(a[1]).s {
		case "key":
		case "value":
			keys = d.vals
		default:
			m.fail(`dictsort: by must be "key" or "value"`)
		}
	}
	if a[0] == nil || !truth(a[0]) {
		keys = slices.Clone(keys)
		for i, k := range keys {
			keys[i] = folded(k)
		}
	}
	pairs := m.collect((&view{d, "items"}).iter())
	return &list{items: m.sorted(pairs, keys, m.int("dictsort", a[2], 0) != 0)}
}

// filterUnique gives the first of items with equal keys.
// Equal means equal as keys of a dict: 1 and True are one.
func filterUnique(m *machine, v value, a []value) value {
	get := m.keyOf(a[1], nil, a[0])
	seen := map[hash]bool{}
	var it func() (value, bool)
	return &iterator{func() (value, bool) {
		if it == nil {
			it = m.iter(v)
		}
		for {
			x, ok := it()
			if !ok {
				return nil, false
			}
			m.step()
			k := get(x)
			h, ok := m.hash(k)
			if !ok {
				m.fail("unique: a %s cannot be compared this way", typeName(k))
			}
			if !seen[h] {
				seen[h] = true
				return x, true
			}
		}
	}}
}

// extreme is min and max: the first item that no other one is beyond.
// Of equal ones the first wins, as with Python's min and max.
func (m *machine) extreme(op string, v value, a []value) value {
	items := m.items(v)
	if len(items) == 0 {
		return &undefined{msg: "no smallest or largest item, the sequence is empty"}
	}
	get := m.keyOf(a[1], nil, a[0])
	best, bestKey := items[0], get(items[0])
	for _, x := range items[1:] {
		if k := get(x); m.compare(op, k, bestKey) {
			best, bestKey = x, k
		}
	}
	return best
}

// filterSum adds from the left, without compensation of rounding.
// It begins with start, 0 if that is not given.
func filterSum(m *machine, v value, a []value) value {
	get := m.getter(a[0], nil)
	var sum value = int64(0)
	if a[1] != nil {
		sum = a[1]
	}
	if _, ok := sum.(*str); ok {
		m.fail("sum: texts are not summed: use join")
	}
	it := m.iter(v)
	for {
		x, ok := it()
		if !ok {
			return sum
		}
		m.step()
		sum = m.binary("+", sum, get(x))
	}
}

// filterBatch cuts into rows of n.
// The last row is filled up with fill_with if that is given.
func filterBatch(m *machine, v value, a []value) value {
	n := 0
	var it func() (value, bool)
	ended := false
	return &iterator{func() (value, bool) {
		if it == nil {
			n = m.int("batch", a[0], 0)
			it = m.iter(v)
		}
		var row []value
		for !ended && (n <= 0 || len(row) < n) {
			x, ok := it()
			if !ok {
				ended = true
				break
			}
			m.step()
			row = append(row, x)
		}
		if len(row) == 0 {
			return nil, false
		}
		if a[1] != nil && a[1] != (none{}) && len(row) < n {
			m.roomItems(n)
			for len(row) < n {
				row = append(row, a[1])
			}
		}
		return &list{items: row}, true
	}}
}

// filterSlice cuts into n rows, the first ones longer by one.
// With fill_with every row that is not longer gets one more.
func filterSlice(m *machine, v value, a []value) value {
	var items []value
	n, i, at := 0, 0, 0
	return &iterator{func() (value, bool) {
		if i == 0 {
			items = m.items(v)
			n = m.int("slice", a[0], 0)
			if n == 0 {
				m.fail("slice: division by zero")
			}
		}
		if i >= n {
			return nil, false
		}
		m.step()
		size := len(items) / n
		extra := i < len(items)%n
		if extra {
			size++
		}
		row := slices.Clone(items[at : at+size])
		if a[1] != nil && a[1] != (none{}) && !extra {
			row = append(row, a[1])
		}
		i++
		at += size
		return &list{items: row}, true
	}}
}

// filterGroupBy sorts by an attribute and groups what is equal.
// A group is a tuple (grouper, list) with these names as attributes. Groups come in
// the order of their keys.
func filterGroupBy(m *machine, v value, a []value) value {
	get := m.keyOf(a[0], a[1], a[2])
	items := m.items(v)
	keys := make([]value, len(items))
	for i, x := range items {
		keys[i] = get(x)
	}
	items = m.sorted(items, keys, false)
	groups := &list{}
	var last *list
	var lastKey value
	for _, x := range items {
		k := get(x)
		if last == nil || !m.same(k, lastKey) {
			last, lastKey = &list{}, k
			name := m.getter(a[0], a[1])(x) // as spelled in the first item
			groups.items = append(groups.items, &list{items: []value{name, last}, tuple: true, names: []string{"grouper", "list"}})
		}
		last.items = append(last.items, x)
	}
	return groups
}

// filterAttr is attr: like a dot, but never an item.
func filterAttr(m *machine, v value, a []value) value {
	name := m.text("attr", a[0]).s
	if x := m.member(v, name); x != nil {
		return x
	}
	return missing(v, quote(name))
}
