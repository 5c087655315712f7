package jinja

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// stringMethods are the methods of str. Those that cut or join keep the origin
// of every byte; of Markup they give Markup.
// In signatures, "/" refuses keywords as Python does for most of them. Positions and
// widths are in characters.
// testdata/cases.json has what CPython 3.11 makes of their corners.
func stringMethods() map[string]method {
	// Every method pays for reading its text once.
	def := func(spec string, call func(m *machine, t *str, a []value) value) method {
		return method{sig: signature(spec), call: func(m *machine, self value, a []value) value {
			t := self.(*str)
			m.spend(len(t.s))
			return call(m, t, a)
		}}
	}
	trim := func(left, right bool) method {
		return def("/ chars?", func(m *machine, t *str, a []value) value { return m.strip(t, a[0], left, right) })
	}
	is := func(test func(string) bool) method {
		return def("/", func(m *machine, t *str, a []value) value { return test(t.s) })
	}
	// Where case changes, characters may change their number: the origins are joined.
	cased := func(fn func(string) string) method {
		return def("/", func(m *machine, t *str, a []value) value { return derived(fn(t.s), t).like(t) })
	}
	methods := map[string]method{
		"strip": trim(true, true), "lstrip": trim(true, false), "rstrip": trim(false, true),
		"upper": cased(upper), "lower": cased(lower), "title": cased(title), "capitalize": cased(capitalize),
		"swapcase": cased(swapcase), "casefold": cased(casefold),
		"split":      def("sep? maxsplit?", func(m *machine, t *str, a []value) value { return m.split(t, a, false) }),
		"rsplit":     def("sep? maxsplit?", func(m *machine, t *str, a []value) value { return m.split(t, a, true) }),
		"splitlines": def("keepends?", strSplitLines),
		"partition":  def("/ sep", func(m *machine, t *str, a []value) value { return m.partition(t, a[0], false) }),
		"rpartition": def("/ sep", func(m *machine, t *str, a []value) value { return m.partition(t, a[0], true) }),
		"startswith": def("/ prefix start? end?", func(m *machine, t *str, a []value) value { return m.affix(t, a, strings.HasPrefix) }),
		"endswith":   def("/ suffix start? end?", func(m *machine, t *str, a []value) value { return m.affix(t, a, strings.HasSuffix) }),
		"find":       def("/ sub start? end?", func(m *machine, t *str, a []value) value { return m.find(t, a, false) }),
		"rfind":      def("/ sub start? end?", func(m *machine, t *str, a []value) value { return m.find(t, a, true) }),
		"index":      def("/ sub start? end?", func(m *machine, t *str, a []value) value { return m.mustFind(t, a, false) }),
		"rindex":     def("/ sub start? end?", func(m *machine, t *str, a []value) value { return m.mustFind(t, a, true) }),
		"count":      def("/ sub start? end?", strCount),
		"replace":    def("/ old new count?", strReplace),
		"join":       def("/ iterable", strJoin),
		"removeprefix": def("/ prefix", func(m *machine, t *str, a []value) value {
			n := len(t.s) - len(strings.TrimPrefix(t.s, m.text("removeprefix", a[0]).s))
			return t.sub(n, len(t.s))
		}),
		"removesuffix": def("/ suffix", func(m *machine, t *str, a []value) value {
			return t.sub(0, len(strings.TrimSuffix(t.s, m.text("removesuffix", a[0]).s)))
		}),
		"zfill":      def("/ width", strZfill),
		"ljust":      def("/ width fillchar?", func(m *machine, t *str, a []value) value { return m.justify(t, a, '<') }),
		"rjust":      def("/ width fillchar?", func(m *machine, t *str, a []value) value { return m.justify(t, a, '>') }),
		"center":     def("/ width fillchar?", func(m *machine, t *str, a []value) value { return m.justify(t, a, '^') }),
		"expandtabs": def("tabsize?", strExpandTabs),
		// format takes any arguments, by place and by name, and finds out itself which it needs.
		"format": {sig: signature("*"), raw: func(m *machine, self value, a *args) value {
			return m.format(self.(*str), a)
		}},
		"format_map": def("/ mapping", func(m *machine, t *str, a []value) value {
			d, ok := a[0].(*dict)
			if !ok {
				m.fail("format_map: want a dict, got %s", typeName(a[0]))
			}
			return m.format(t, mapping(d))
		}),
	}
	// The is... methods need no more than the text.
	for name, test := range charTests() {
		methods[name] = is(test)
	}
	for _, name := range []string{"encode", "translate", "maketrans"} { // there, but of no use in a text
		methods[name] = method{sig: signature("*"), raw: func(m *machine, self value, a *args) value {
			m.fail("str.%s is not supported in templates", name)
			return nil
		}}
	}
	return methods
}

// mapping is a dict as keyword arguments.
func mapping(d *dict) *args {
	a := &args{}
	for i, k := range d.keys {
		if k, ok := k.(*str); ok {
			a.keys = append(a.keys, k.s)
			a.vals = append(a.vals, d.vals[i])
		}
	}
	return a
}

// text is an argument that must be a str.
// name is the method, for the error.
func (m *machine) text(name string, v value) *str {
	t, ok := v.(*str)
	if !ok {
		m.defined(v)
		m.fail("%s: want a str, got %s", name, typeName(v))
	}
	return t
}

// int is an argument that must be an int; a nil one is the default. Beyond
// 2^40, which is beyond all limits, it stays there.
// A bool counts as 0 or 1.
func (m *machine) int(name string, v value, missing int) int {
	if v == nil {
		return missing
	}
	n, ok := integer(v)
	if !ok {
		m.defined(v)
		m.fail("%s: want an int, got %s", name, typeName(v))
	}
	i, _ := m.bound(n)
	return i
}

// strip cuts white space, or characters of a set, off the ends.
func (m *machine) strip(t *str, chars value, left, right bool) *str {
	// The characters are a set, no prefix: "ab".strip("ba") is empty.
	cut := isSpace
	if chars != nil && chars != (none{}) {
		set := m.text("strip", chars).s
		cut = func(r rune) bool { return strings.ContainsRune(set, r) }
	}
	from, to := 0, len(t.s)
	if left {
		from = to - len(strings.TrimLeftFunc(t.s, cut))
	}
	if right {
		to = from + len(strings.TrimRightFunc(t.s[from:], cut))
	}
	return t.sub(from, to)
}

// within is the part of a string between two optional character positions, and
// the position where it starts; ok is false if that lies behind the end.
// It is for methods that take start and end; nothing is copied.
func (m *machine) within(t *str, from, to value) (s string, start int, ok bool) {
	if (from == nil || from == none{}) && (to == nil || to == none{}) {
		return t.s, 0, true
	}
	n := t.chars()
	if i, given := m.bound(from); given {
		if start = i; i < 0 {
			start = max(i+n, 0)
		}
	}
	end := n
	if i, given := m.bound(to); given {
		if i < 0 {
			i = max(i+n, 0)
		}
		end = min(i, n)
	}
	// Even an empty text is not found behind the end.
	if start > end {
		return "", start, false
	}
	at := t.offset(start)
	return t.s[at : at+byteOffset(t.s[at:], end-start)], start, true
}

// affix is startswith and endswith, of one str or a tuple of them.
// An empty affix fits everywhere but behind the end.
func (m *machine) affix(t *str, a []value, has func(s, affix string) bool) value {
	s, _, ok := m.within(t, a[1], a[2])
	// A list is none: Python wants a tuple, and so do templates that run there.
	l, isTuple := a[0].(*list)
	if !isTuple || !l.tuple {
		l = tuple(a[0])
	}
	for _, x := range l.items {
		if has(s, m.text("startswith or endswith", x).s) && ok {
			return true
		}
	}
	return false
}

// find is str.find and str.rfind, in characters.
func (m *machine) find(t *str, a []value, last bool) value {
	sub := m.text("find", a[0]).s
	s, start, ok := m.within(t, a[1], a[2])
	i := strings.Index(s, sub)
	if last {
		i = strings.LastIndex(s, sub)
	}
	if i < 0 || !ok {
		return int64(-1)
	}
	return int64(start + utf8.RuneCountInString(s[:i]))
}

// mustFind is str.index and str.rindex: not found is an error.
func (m *machine) mustFind(t *str, a []value, last bool) value {
	i := m.find(t, a, last)
	if i == int64(-1) {
		m.fail("index: %s is not in the text", quote(m.text("index", a[0]).s))
	}
	return i
}

// strCount is str.count, without overlaps; an empty text is found between all characters.
func strCount(m *machine, t *str, a []value) value {
	sub := m.text("count", a[0]).s
	s, _, ok := m.within(t, a[1], a[2])
	if !ok {
		return int64(0)
	}
	return int64(strings.Count(s, sub))
}

// strReplace is str.replace; in Markup what is put in is escaped.
func strReplace(m *machine, t *str, a []value) value {
	with := m.text("replace", a[1])
	if t.safe {
		with = escapeHTML(with)
	}
	return m.replace(t, m.text("replace", a[0]).s, with, m.int("replace", a[2], -1)).like(t)
}

// replace puts with in the place of the first n times old; n < 0: of all.
// The text put in keeps its own origin: an author's <|end|> stays one in a user's message.
func (m *machine) replace(t *str, old string, with *str, n int) *str {
	// An empty old is found between all characters and at both ends.
	if most := strings.Count(t.s, old); n < 0 || n > most {
		n = most
	}
	if n == 0 {
		return t.plain()
	}
	// Asked before anything is built.
	m.room(len(t.s) + n*max(len(with.s)-len(old), 0))
	var b builder
	at := 0
	for i := range n {
		end := at + strings.Index(t.s[at:], old)
		if old == "" && i > 0 { // between the characters
			end = at + byteOffset(t.s[at:], 1)
		}
		b.write(t.sub(at, end))
		b.write(with)
		at = end + len(old)
	}
	b.write(t.sub(at, len(t.s)))
	return b.text()
}

// strJoin is str.join: all items must be texts.
func strJoin(m *machine, t *str, a []value) value {
	it := m.iter(a[0])
	var b builder
	for i := 0; ; i++ {
		v, ok := it()
		if !ok {
			return b.text().like(t)
		}
		m.step()
		part, isStr := v.(*str)
		switch {
		// Markup joins anything and escapes it; a plain text joins texts only.
		case t.safe:
			part = escapeHTML(m.soft(v))
		case !isStr:
			m.fail("join: item %d is a %s, want a str", i, typeName(v))
		}
		if i > 0 {
			b.write(t)
		}
		m.add(&b, part)
	}
}

// justify pads to a width in characters.
func (m *machine) justify(t *str, a []value, align byte) value {
	fill := author(" ")
	if a[1] != nil {
		if fill = m.text("fillchar", a[1]); fill.chars() != 1 {
			m.fail("justify: the fill must be one character")
		}
	}
	// The width is that of the result; a text that is longer stays as it is.
	n := m.int("justify", a[0], 0) - t.chars()
	if n <= 0 {
		return t
	}
	left := 0
	switch align {
	case '>':
		left = n
	case '^':
		// CPython puts the odd blank left only if the width is odd too.
		left = n/2 + n&(n+t.chars())&1
	}
	m.room(len(t.s) + n*len(fill.s))
	return concat(derived(strings.Repeat(fill.s, left), fill), t, derived(strings.Repeat(fill.s, n-left), fill)).like(t)
}

// strZfill puts zeros behind the sign.
func strZfill(m *machine, t *str, a []value) value {
	n := m.int("zfill", a[0], 0) - t.chars()
	if n <= 0 {
		return t
	}
	m.room(len(t.s) + n)
	sign := 0
	if t.s != "" && (t.s[0] == '+' || t.s[0] == '-') {
		sign = 1
	}
	return concat(t.sub(0, sign), author(strings.Repeat("0", n)), t.sub(sign, len(t.s))).like(t)
}

// strExpandTabs puts blanks for tabs, up to the next multiple of the size.
// Columns count from the last line break.
func strExpandTabs(m *machine, t *str, a []value) value {
	size := m.int("expandtabs", a[0], 8)
	m.room(len(t.s) + strings.Count(t.s, "\t")*max(size, 0))
	var b builder
	col, from := 0, 0
	for i, r := range t.s {
		switch r {
		case '\t':
			b.write(t.sub(from, i))
			if size > 0 {
				b.writeString(strings.Repeat(" ", size-col%size), t.sub(i, i+1).origin)
				col += size - col%size
			}
			from = i + 1
		case '\n', '\r':
			col = 0
		default:
			col++
		}
	}
	b.write(t.sub(from, len(t.s)))
	return b.text().like(t)
}

// asciiDigits turns the decimal digits of other scripts into ASCII.
func asciiDigits(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf || !unicode.Is(unicode.Nd, r) {
			return r
		}
		zero := r // digits stand in tens, in order
		for r-zero < 9 && unicode.Is(unicode.Nd, zero-1) {
			zero--
		}
		return '0' + (r-zero)%10
	}, s)
}
