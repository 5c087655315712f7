package jinja

import (
	"math/big"
	"unicode/utf8"
)

// iter starts to go through a value; the function it returns gives ok false at
// the end, and again when called after it.
// Nothing here needs closing: what is given up half-way is left to the collector.
func (m *machine) iter(v value) func() (value, bool) {
	it, ok := m.tryIter(v)
	if !ok {
		m.fail("a %s cannot be looped over", typeName(v))
	}
	return it
}

// tryIter is iter for values that may not be iterable.
func (m *machine) tryIter(v value) (it func() (value, bool), ok bool) {
	switch v := v.(type) {
	case *list:
		return iterSlice(v.items), true
	case *dict:
		return iterSlice(v.keys), true
	case *view:
		return v.iter(), true
	case *str:
		return v.iterChars(), true
	case span:
		i := int64(-1)
		return func() (value, bool) {
			if i+1 >= v.n {
				return nil, false
			}
			i++
			return v.start + i*v.step, true
		}, true
	// The same one: what is taken is gone for all that hold it.
	case *iterator:
		return v.next, true
	// A loop over what is not there runs no turn, as in Jinja; many templates count on it.
	case *undefined:
		return iterSlice(nil), true
	// A loop goes through itself as pairs of an item and the loop, and takes its items.
	case *loop:
		return func() (value, bool) {
			x, ok := v.next()
			if !ok {
				return nil, false
			}
			return tuple(x, v), true
		}, true
	}
	return nil, false
}

// iterSlice goes through a slice.
func iterSlice(items []value) func() (value, bool) {
	i := -1
	return func() (value, bool) {
		if i+1 >= len(items) {
			return nil, false
		}
		i++
		return items[i], true
	}
}

// iterChars gives the characters; those of Markup are plain, as in Python.
// Characters of a user's text stay a user's text.
func (t *str) iterChars() func() (value, bool) {
	t = t.plain()
	at := 0
	return func() (value, bool) {
		if at >= len(t.s) {
			return nil, false
		}
		_, n := utf8.DecodeRuneInString(t.s[at:])
		at += n
		return t.sub(at-n, at), true
	}
}

// iter goes through a view in the order of the dict.
func (v *view) iter() func() (value, bool) {
	switch v.what {
	case "keys":
		return iterSlice(v.d.keys)
	case "values":
		return iterSlice(v.d.vals)
	}
	i := -1
	return func() (value, bool) {
		if i+1 >= len(v.d.keys) {
			return nil, false
		}
		i++
		return tuple(v.d.keys[i], v.d.vals[i]), true
	}
}

// items is list(v). The slice may be that of a list: it is not to be changed.
// A generator is used up.
func (m *machine) items(v value) []value {
	if l, ok := v.(*list); ok {
		return l.items
	}
	return m.collect(m.iter(v))
}

// collect takes all that is left.
// Each item costs a step, so that a generator without end meets the limit.
func (m *machine) collect(it func() (value, bool)) []value {
	var items []value
	for {
		v, ok := it()
		if !ok {
			return items
		}
		m.step()
		items = append(items, v)
	}
}

// len is len(v), if v has a length.
func (m *machine) len(v value) (int, bool) {
	switch v := v.(type) {
	case *str:
		m.spend(len(v.s))
		return v.chars(), true
	case *list:
		return len(v.items), true
	case *dict:
		return len(v.keys), true
	case *view:
		return len(v.d.keys), true
	// At most maxRange.
	case span:
		return int(v.n), true
	case *undefined:
		return 0, true
	case *loop:
		return v.len(), true
	}
	return 0, false
}

// index is a sequence's item i, counted from the end if it is negative.
func index(i, n int64) (int64, bool) {
	if i < 0 {
		i += n
	}
	return i, i >= 0 && i < n
}

// slice is x[from:to:step]; a bound that is nil or None is left out.
// Bounds behind the ends are cut to them, as in Python; only the step may not be 0.
func (m *machine) slice(x, from, to, step value) value {
	m.defined(x)
	var n int
	switch x := x.(type) {
	case *str, *list, span:
		n, _ = m.len(x)
	default:
		m.fail("a %s cannot be sliced", typeName(x))
	}
	by, ok := m.bound(step)
	if !ok {
		by = 1
	}
	if by == 0 {
		m.fail("the step of a slice cannot be zero")
	}
	// Going backwards, one before the first item is where a slice may stop.
	lo, hi := 0, n // where the bounds may lie
	if by < 0 {
		lo, hi = -1, n-1
	}
	clip := func(v value, missing int) int {
		i, ok := m.bound(v)
		if !ok {
			return missing
		}
		if i < 0 {
			i += n
		}
		return min(max(i, lo), hi)
	}
	first, last := clip(from, lo), clip(to, hi)
	if by < 0 {
		first, last = clip(from, hi), clip(to, lo)
	}
	count := 0
	if by > 0 && last > first {
		count = (last-first-1)/by + 1
	} else if by < 0 && first > last {
		count = (first-last-1)/-by + 1
	}
	if r, ok := x.(span); ok {
		at := func(i int) int64 { return r.start + int64(i)*r.step }
		return span{at(first), at(last), r.step * int64(by), int64(count)}
	}
	return m.pick(x, first, by, count)
}

// bound is a bound of a slice; ok is false if it is left out.
// What is beyond 2^40 either way is beyond every sequence here.
func (m *machine) bound(v value) (int, bool) {
	switch v := v.(type) {
	case nil, none:
		return 0, false
	case *big.Int:
		return v.Sign() << 40, true
	}
	n, ok := integer(v)
	if !ok {
		m.defined(v)
		m.fail("a bound of a slice must be an int, got %s", typeName(v))
	}
	return int(min(max(n.(int64), -1<<40), 1<<40)), true
}

// pick takes count items of a list or str: first, first+by, ...
func (m *machine) pick(x value, first, by, count int) value {
	if x, ok := x.(*list); ok {
		m.roomItems(count)
		l := &list{tuple: x.tuple, items: make([]value, count)}
		for i := range count {
			l.items[i] = x.items[first+i*by]
		}
		return l
	}
	return m.pickChars(x.(*str), first, by, count)
}

// pickChars is pick for characters, which may be several bytes.
func (m *machine) pickChars(t *str, first, by, count int) value {
	m.room(len(t.s))
	if count == 0 {
		return t.sub(0, 0)
	}
	if by == 1 {
		from := t.offset(first)
		return t.sub(from, from+byteOffset(t.s[from:], count))
	}
	// Every character's place once, as stepping through UTF-8 for each would be quadratic.
	var starts []int // of all characters, and the end
	for i := range t.s {
		starts = append(starts, i)
	}
	starts = append(starts, len(t.s))
	var b builder
	for i := range count {
		at := first + i*by
		b.write(t.sub(starts[at], starts[at+1]))
	}
	return b.text().like(t)
}
