package jinja

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// str is str(v): what {{ v }} prints.
// Numbers and constants count as the author's: they can spell no marker.
func (m *machine) str(v value) *str {
	switch v := v.(type) {
	case *str:
		return v.plain()
	// Jinja's default Undefined: printing it is no error.
	case *undefined:
		return author("")
	case none:
		return author("None")
	case bool:
		if v {
			return author("True")
		}
		return author("False")
	case int64:
		return author(strconv.FormatInt(v, 10))
	case float64:
		return author(formatFloat(v))
	}
	// Containers print as repr, so strings in them have quotes.
	return m.repr(v)
}

// soft is str() that leaves Markup as it is.
// Filters such as upper and replace keep what is marked safe.
func (m *machine) soft(v value) *str {
	if t, ok := v.(*str); ok {
		return t
	}
	return m.str(v)
}

// printer writes what values look like in Python; one that holds a string out
// of vars is out of vars altogether.
// Lists, tuples and dicts print as CPython prints them, Jinja's own types as Jinja does.
type printer struct {
	m      *machine
	b      strings.Builder
	origin origin
}

// repr is repr(v).
func (m *machine) repr(v value) *str {
	p := &printer{m: m}
	p.value(v)
	m.spend(p.b.Len())
	return &str{s: p.b.String(), origin: p.origin}
}

// value writes repr(v).
func (p *printer) value(v value) {
	p.m.step()
	// Checked as it grows: a nested list can print longer than it is.
	if p.b.Len() > p.m.opt.MaxOutput {
		p.m.room(p.b.Len())
	}
	switch v := v.(type) {
	case *str:
		p.origin |= v.origin
		p.m.spend(len(v.s))
		if v.safe {
			p.b.WriteString("Markup(" + quote(v.s) + ")")
			return
		}
		p.b.WriteString(quote(v.s))
	case *list:
		p.list(v)
	case *dict:
		p.dict(v)
	// Printed through a list, and so in the order of the dict.
	case *view:
		p.b.WriteString("dict_" + v.what + "(")
		p.list(&list{items: p.m.collect(v.iter())})
		p.b.WriteString(")")
	// It may hold itself; the depth is bounded by enter.
	case *namespace:
		p.b.WriteString("<Namespace ")
		p.dict(v.attrs)
		p.b.WriteString(">")
	default:
		p.b.WriteString(plainRepr(p.m, v))
	}
}

// plainRepr is repr of what holds no other values. Python prints addresses
// behind some of these; no template can rely on them.
func plainRepr(m *machine, v value) string {
	switch v := v.(type) {
	case *big.Int:
		return v.String()
	case span:
		if v.step != 1 {
			return fmt.Sprintf("range(%d, %d, %d)", v.start, v.stop, v.step)
		}
		return fmt.Sprintf("range(%d, %d)", v.start, v.stop)
	case *undefined:
		return "Undefined"
	// Counting may take a generator's items, as in Python.
	case *loop:
		return fmt.Sprintf("<LoopContext %d/%d>", v.index+1, v.len())
	case *macro:
		if v.def.name == "" {
			return "<Macro anonymous>"
		}
		return "<Macro " + quote(v.def.name) + ">"
	case *iterator:
		return "<generator object>"
	case *cycler:
		return "<Cycler object>"
	case *function:
		return "<function " + v.name + ">"
	}
	return m.str(v).s
}

// list writes a list or a tuple; a tuple of one keeps its comma.
func (p *printer) list(l *list) {
	p.m.enter()
	defer p.m.leave()
	open, end := "[", "]"
	if l.tuple {
		open, end = "(", ")"
		if len(l.items) == 1 {
			end = ",)"
		}
	}
	p.b.WriteString(open)
	for i, v := range l.items {
		if i > 0 {
			p.b.WriteString(", ")
		}
		p.value(v)
	}
	p.b.WriteString(end)
}

// dict writes a dict in its order.
// A key prints as its repr, like the value.
func (p *printer) dict(d *dict) {
	p.m.enter()
	defer p.m.leave()
	p.b.WriteString("{")
	for i, k := range d.keys {
		if i > 0 {
			p.b.WriteString(", ")
		}
		p.value(k)
		p.b.WriteString(": ")
		p.value(d.vals[i])
	}
	p.b.WriteString("}")
}

// quote is repr of a string: in single quotes, unless only those occur in it.
func quote(s string) string { return quoteAs(s, false) }

// quoteAs is quote, or with ascii what Python's ascii() gives.
func quoteAs(s string, ascii bool) string {
	// Python prefers single quotes, and double ones only to save escapes.
	q := byte('\'')
	if strings.IndexByte(s, '\'') >= 0 && strings.IndexByte(s, '"') < 0 {
		q = '"'
	}
	b := make([]byte, 0, len(s)+2)
	b = append(b, q)
	for _, r := range s {
		switch {
		case r == rune(q) || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\r':
			b = append(b, `\r`...)
		case r == '\t':
			b = append(b, `\t`...)
		// What is printable goes by Go's tables, which may be a Unicode version off Python's.
		case r < utf8.RuneSelf && r >= ' ' && r != 0x7f, r >= utf8.RuneSelf && !ascii && unicode.IsPrint(r):
			b = utf8.AppendRune(b, r)
		// The shortest escape that holds the character.
		case r < 0x100:
			b = fmt.Appendf(b, `\x%02x`, r)
		case r < 0x10000:
			b = fmt.Appendf(b, `\u%04x`, r)
		default:
			b = fmt.Appendf(b, `\U%08x`, r)
		}
	}
	return string(append(b, q))
}
