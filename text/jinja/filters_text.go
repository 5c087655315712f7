package jinja

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// textFilters are the filters that make text of their input.
// Parameters left out are nil in a; numbers after names are Jinja's defaults, which
// stand where the parameter is read.
// All are those of jinja2/filters.py, but tojson, which transformers replaces.
func textFilters() map[string]*filter {
	// soft takes any value as text and leaves Markup marked.
	soft := func(spec string, call func(m *machine, t *str, a []value) value) *filter {
		return apply(spec, func(m *machine, v value, a []value) value {
			t := m.soft(v)
			m.spend(len(t.s))
			return call(m, t, a)
		})
	}
	cased := func(fn func(string) string) *filter {
		return soft("", func(m *machine, t *str, a []value) value { return derived(fn(t.s), t).like(t) })
	}
	escape := apply("", func(m *machine, v value, a []value) value { return escapeHTML(m.soft(v)) })
	// A call fails; a template that only mentions it in a branch not taken runs.
	unsupported := func(name string) *filter {
		return applyRaw(func(m *machine, v value, a *args) value {
			m.fail("filter %s is not supported in chat templates", name)
			return nil
		})
	}
	return map[string]*filter{
		"upper": cased(upper), "lower": cased(lower), "capitalize": cased(capitalize), "title": cased(filterTitle),
		// string and safe differ in the mark of Markup alone.
		"string": apply("", func(m *machine, v value, a []value) value { return m.soft(v) }),
		"safe":   apply("", func(m *machine, v value, a []value) value { return m.str(v).markup() }),
		"escape": escape, "e": escape,
		"forceescape": apply("", func(m *machine, v value, a []value) value { return escapeHTML(m.str(v)) }),
		"trim":        soft("chars?", func(m *machine, t *str, a []value) value { return m.strip(t, a[0], true, true) }),
		"center": soft("width?", func(m *machine, t *str, a []value) value {
			return m.justify(t, []value{int64(m.int("center", a[0], 80)), nil}, '^')
		}),
		"replace":   apply("old new count?", filterReplace),
		"indent":    apply("width? first? blank?", filterIndent),
		"truncate":  apply("length? killwords? end? leeway?", filterTruncate),
		"wordcount": soft("", wordCount),
		"wordwrap":  apply("width? break_long_words? wrapstring? break_on_hyphens?", wordWrap),
		"striptags": apply("", func(m *machine, v value, a []value) value { return stripTags(m.str(v)) }),
		"urlencode": apply("", urlEncode),
		"xmlattr":   apply("autospace?", xmlAttr),
		// A tuple for arguments by place, a dict for those by name: what % takes.
		"format": applyRaw(func(m *machine, v value, a *args) value {
			if len(a.pos) > 0 && len(a.keys) > 0 {
				m.fail("format: positional and keyword arguments do not go together")
			}
			if len(a.keys) > 0 {
				return m.percent(m.soft(v), dictOf(a.keys, a.vals))
			}
			return m.percent(m.soft(v), tuple(a.pos...))
		}),
		"tojson": apply("ensure_ascii? indent? separators? sort_keys?", toJSON),
		"pprint": apply("", func(m *machine, v value, a []value) value { return m.pretty(v) }),
		// Known to Jinja, of no use here: it is better to hear that than "unknown filter".
		"urlize": unsupported("urlize"), "random": unsupported("random"),
	}
}

// filterTitle starts a word behind blanks, hyphens and opening brackets.
func filterTitle(s string) string {
	var b strings.Builder
	for s != "" {
		// Breaks are copied, then one word is changed.
		n := strings.IndexFunc(s, func(r rune) bool { return !isTitleBreak(r) })
		if n < 0 {
			n = len(s)
		}
		b.WriteString(s[:n])
		s = s[n:]
		n = strings.IndexFunc(s, isTitleBreak)
		if n < 0 {
			n = len(s)
		}
		if n > 0 {
			_, first := utf8.DecodeRuneInString(s)
			b.WriteString(upper(s[:first]) + lower(s[first:n]))
		}
		s = s[n:]
	}
	return b.String()
}

// isTitleBreak says where Jinja's title begins a word, other than str.title.
func isTitleBreak(r rune) bool { return isSpace(r) || strings.ContainsRune("-({[<", r) }

// Unlike str.replace it takes any value and prints it first.
func filterReplace(m *machine, v value, a []value) value {
	n := -1
	if a[2] != nil && a[2] != (none{}) {
		n = m.int("replace", a[2], -1)
	}
	return m.replace(m.str(v), m.str(a[0]).s, m.str(a[1]), n)
}

// filterIndent is indent: all lines but the first, and none that is empty.
func filterIndent(m *machine, v value, a []value) value {
	t := m.text("indent", v)
	// The width may be the blanks themselves.
	in, ok := a[0].(*str)
	if !ok {
		n := max(m.int("indent", a[0], 4), 0)
		m.room(n)
		in = author(strings.Repeat(" ", n))
	}
	first, blank := a[1] != nil && truth(a[1]), a[2] != nil && truth(a[2])
	var b builder
	newline := author("\n")
	// Through lineEnd, since Python's splitlines knows more line breaks than \n.
	for from, line := 0, 0; from <= len(t.s); line++ {
		end, after := lineEnd(t.s, from)
		if line > 0 {
			b.write(newline)
		}
		if line == 0 && first || line > 0 && (blank || end > from) {
			m.add(&b, in)
		}
		m.add(&b, t.sub(from, end))
		if from = after; end == after { // the last line, which may be empty
			break
		}
	}
	return b.text().like(t)
}

// filterTruncate is truncate: what is only leeway too long stays whole.
// Lengths are in characters; end counts. Without killwords the cut goes back to the
// last blank.
func filterTruncate(m *machine, v value, a []value) value {
	length, leeway := m.int("truncate", a[0], 255), 5
	if a[3] != nil && a[3] != (none{}) {
		leeway = m.int("truncate", a[3], 0)
	}
	end := author("...")
	if a[2] != nil {
		end = m.text("truncate", a[2])
	}
	// Lengths first: a list that is short enough comes back as it is, as in Jinja.
	n, ok := m.len(v)
	keep := length - end.chars()
	switch {
	case !ok:
		m.fail("truncate: a %s has no length", typeName(v))
	case keep < 0 || leeway < 0:
		m.fail("truncate: length %d is less than that of the end, or leeway %d is negative", length, leeway)
	case n <= length+leeway:
		return v
	}
	t := m.text("truncate", v)
	cut := t.sub(0, t.offset(keep))
	if a[1] == nil || !truth(a[1]) {
		if i := strings.LastIndexByte(cut.s, ' '); i >= 0 {
			cut = cut.sub(0, i)
		}
	}
	// Of Markup the end is escaped, as + does.
	return m.binary("+", cut, end)
}

// wordCount counts runs of letters, digits and underscores.
func wordCount(m *machine, t *str, a []value) value {
	n := int64(0)
	in := false
	for _, r := range t.s {
		// What \w+ of Python's re finds.
		word := r == '_' || unicode.IsLetter(r) || isNumeric(r)
		if word && !in {
			n++
		}
		in = word
	}
	return n
}

// stripTags is Markup.striptags: tags and comments go, white space becomes one
// blank, entities become characters.
// What opens and never closes stays.
func stripTags(t *str) *str {
	s := t.s
	var b strings.Builder
	pos := 0
	for {
		i := strings.IndexByte(s[pos:], '<')
		if i < 0 {
			break
		}
		start := pos + i
		// A comment ends with -->, whatever stands in it.
		skip, end := 1, ">"
		if strings.HasPrefix(s[start:], "<!--") {
			skip, end = 4, "-->"
		}
		j := strings.Index(s[start+skip:], end)
		if j < 0 {
			break
		}
		b.WriteString(s[pos:start])
		pos = start + skip + j + len(end)
	}
	b.WriteString(s[pos:])
	return derived(unescapeHTML(strings.Join(strings.FieldsFunc(b.String(), isSpace), " ")), t)
}

// urlEncode quotes a text for a URL, or joins pairs to a query.
// In a query, blanks are plus signs and slashes are escaped; in a path neither.
func urlEncode(m *machine, v value, a []value) value {
	if d, ok := v.(*dict); ok {
		v = &view{d, "items"}
	}
	_, isText := v.(*str)
	it, iterable := m.tryIter(v)
	if isText || !iterable {
		t := m.str(v)
		return derived(urlQuote(t.s, "/"), t)
	}
	var b strings.Builder
	var from []*str
	for i := 0; ; i++ {
		pair, ok := it()
		if !ok {
			return derived(b.String(), from...)
		}
		kv := m.items(pair)
		if len(kv) != 2 {
			m.fail("urlencode: want pairs, got %d values", len(kv))
		}
		k, v := m.str(kv[0]), m.str(kv[1])
		from = append(from, k, v)
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(strings.ReplaceAll(urlQuote(k.s, ""), "%20", "+") + "=" + strings.ReplaceAll(urlQuote(v.s, ""), "%20", "+"))
		m.room(b.Len())
	}
}

// urlQuote is urllib.parse.quote of UTF-8.
// Every byte of UTF-8 by itself.
func urlQuote(s, safe string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9',
			strings.IndexByte("_.-~", c) >= 0, strings.IndexByte(safe, c) >= 0:
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// xmlAttr writes a dict as attributes; None and undefined values are left out.
func xmlAttr(m *machine, v value, a []value) value {
	d, ok := v.(*dict)
	if !ok {
		m.defined(v)
		m.fail("xmlattr: want a dict, got %s", typeName(v))
	}
	var b builder
	for i, k := range d.keys {
		x := d.vals[i]
		if _, ok := x.(*undefined); ok || x == (none{}) {
			continue
		}
		key := m.text("xmlattr", k)
		// These characters would end the name: a way to smuggle other attributes in.
		if strings.ContainsAny(key.s, " \t\n\r\f\v/>=") {
			m.fail("xmlattr: %s cannot be the name of an attribute", quote(key.s))
		}
		if len(b.b) > 0 || a[0] == nil || truth(a[0]) {
			b.writeString(" ", 0)
		}
		m.add(&b, concat(escapeHTML(key), author(`="`), escapeHTML(m.soft(x)), author(`"`)))
	}
	return b.text()
}
