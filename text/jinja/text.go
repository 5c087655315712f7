package jinja

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// origin says where bytes come from and what they are for, as bits.
type origin uint8

// Origins are combined with or: text of a user inside of a generation block is both.
const (
	fromVars origin = 1 << iota // out of vars, not written by the author
	learned                     // inside of {% generation %}
)

// run is a stretch of bytes of one origin, from the end of the run before.
// Runs cover the string; two that follow each other have different origins.
type run struct {
	end    int
	origin origin
}

// str is a string value that knows the origin of its bytes. It never changes.
// Slices share the bytes; a run list is made only where origins mix.
type str struct {
	s      string
	runs   []run  // nil: all bytes have the origin below
	origin origin // of all bytes, or-ed together
	safe   bool   // what Python calls Markup: + and join escape what they add
}

// author is a text that the template, or this package, wrote.
func author(s string) *str { return &str{s: s} }

// derived is a string computed from others so that runs make no sense: if one
// of them came out of vars, all of it did.
// That errs on the safe side: an author's text may count as data, never the other way.
func derived(s string, from ...*str) *str {
	t := &str{s: s}
	for _, f := range from {
		t.origin |= f.origin
	}
	return t
}

// sub is the slice of bytes [i, j).
func (t *str) sub(i, j int) *str {
	if i == 0 && j == len(t.s) {
		return t
	}
	u := &str{s: t.s[i:j], safe: t.safe, origin: t.origin}
	if t.runs == nil || i == j {
		if i == j {
			u.origin = 0
		}
		return u
	}
	// The first run that ends behind i, then on to the one that holds the last byte.
	first, _ := slices.BinarySearchFunc(t.runs, i+1, func(r run, at int) int { return r.end - at })
	last := first
	for t.runs[last].end < j {
		last++
	}
	u.origin = 0
	for _, r := range t.runs[first : last+1] {
		u.origin |= r.origin
	}
	if first < last {
		u.runs = make([]run, 0, last-first+1)
		for _, r := range t.runs[first : last+1] {
			u.runs = append(u.runs, run{min(r.end, j) - i, r.origin})
		}
	}
	return u
}

// plain is t without the mark of Markup.
func (t *str) plain() *str {
	if !t.safe {
		return t
	}
	u := *t
	u.safe = false
	return &u
}

// markup is t with the mark of Markup.
func (t *str) markup() *str {
	if t.safe {
		return t
	}
	u := *t
	u.safe = true
	return &u
}

// like is t as Markup if other is.
func (t *str) like(other *str) *str {
	if other.safe {
		return t.markup()
	}
	return t
}

// chars is len() in Python: the number of characters.
func (t *str) chars() int { return utf8.RuneCountInString(t.s) }

// offset is the byte offset of character n, which is at most chars().
func (t *str) offset(n int) int { return byteOffset(t.s, n) }

// byteOffset is where character n of a text begins.
func byteOffset(s string, n int) int {
	at := 0
	for ; n > 0 && at < len(s); n-- {
		_, size := utf8.DecodeRuneInString(s[at:])
		at += size
	}
	return at
}

// builder collects strings run by run.
// The zero value is ready.
type builder struct {
	b    []byte
	runs []run
}

// write adds t with the origins of its bytes.
func (b *builder) write(t *str) {
	if t.runs == nil {
		b.writeString(t.s, t.origin)
		return
	}
	at := 0
	for _, r := range t.runs {
		b.writeString(t.s[at:r.end], r.origin)
		at = r.end
	}
}

// writeString adds bytes of one origin, to the last run if it has the same.
func (b *builder) writeString(s string, o origin) {
	if s == "" {
		return
	}
	b.b = append(b.b, s...)
	if n := len(b.runs); n > 0 && b.runs[n-1].origin == o {
		b.runs[n-1].end = len(b.b)
		return
	}
	b.runs = append(b.runs, run{len(b.b), o})
}

// text is what was written; the builder is not used afterwards.
func (b *builder) text() *str {
	t := &str{s: string(b.b)}
	for _, r := range b.runs {
		t.origin |= r.origin
	}
	if len(b.runs) > 1 {
		t.runs = b.runs
	}
	return t
}

// segments cuts a string at its runs.
// They are what Render returns.
func (t *str) segments() []Segment {
	if t.s == "" {
		return nil
	}
	runs := t.runs
	if runs == nil {
		runs = []run{{len(t.s), t.origin}}
	}
	list := make([]Segment, len(runs))
	at := 0
	for i, r := range runs {
		list[i] = Segment{Text: t.s[at:r.end], Data: r.origin&fromVars != 0, Learn: r.origin&learned != 0}
		at = r.end
	}
	return list
}

// concat joins strings as they are.
func concat(parts ...*str) *str {
	var b builder
	n := 0
	for _, p := range parts {
		n += len(p.s)
	}
	b.b = make([]byte, 0, n)
	for _, p := range parts {
		b.write(p)
	}
	return b.text()
}

// escapeHTML is markupsafe.escape: it leaves Markup alone.
// Nothing is escaped unless a template asks for it: autoescape is never on.
func escapeHTML(t *str) *str {
	if t.safe {
		return t
	}
	if strings.IndexAny(t.s, `&<>"'`) < 0 {
		return t.markup()
	}
	var b builder
	at := 0
	for i := 0; i < len(t.s); i++ {
		var e string
		switch t.s[i] {
		case '&':
			e = "&amp;"
		case '<':
			e = "&lt;"
		case '>':
			e = "&gt;"
		case '"':
			e = "&#34;"
		case '\'':
			e = "&#39;"
		default:
			continue
		}
		b.write(t.sub(at, i))
		// An entity belongs to whoever wrote the character.
		b.writeString(e, t.sub(i, i+1).origin)
		at = i + 1
	}
	b.write(t.sub(at, len(t.s)))
	return b.text().markup()
}

// isSpace is str.isspace of one character.
// The same set as str.split and str.strip use; Go's unicode.IsSpace lacks four of them.
func isSpace(r rune) bool {
	switch {
	case r >= 9 && r <= 13, r >= 0x1c && r <= 0x20, r == 0x85, r == 0xa0, r == 0x1680,
		r >= 0x2000 && r <= 0x200a, r == 0x2028, r == 0x2029, r == 0x202f, r == 0x205f, r == 0x3000:
		return true
	}
	return false
}

// marked is t with all bytes of one more origin.
func (t *str) marked(o origin) *str {
	u := *t
	u.origin |= o
	if t.runs != nil {
		u.runs = slices.Clone(t.runs)
		for i := range u.runs {
			u.runs[i].origin |= o
		}
	}
	return &u
}
