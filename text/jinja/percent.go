package jinja

import (
	"math"
	"math/big"
	"strings"
)

// percent is the operator %: printf-style formatting.
func (m *machine) percent(t *str, v value) *str {
	// A tuple holds the arguments one by one; anything else, a list too, is one argument.
	p := percenter{m: m, t: t, single: v}
	if l, ok := v.(*list); ok && l.tuple {
		p.args, p.single = l.items, nil
	}
	// A dict may serve as the one argument, and as the source of %(key)s, even of both.
	p.mapping, _ = v.(*dict)
	var b builder
	// Text between conversions keeps its origins.
	for p.i < len(t.s) {
		n := strings.IndexByte(t.s[p.i:], '%')
		if n < 0 {
			n = len(t.s) - p.i
		}
		b.write(t.sub(p.i, p.i+n))
		p.i += n
		if p.i < len(t.s) {
			m.add(&b, p.conversion())
		}
	}
	// Python is strict about arguments left over, but not about dicts and what could be one.
	switch v.(type) {
	case *dict, *undefined, span:
	case *list:
		if p.single == nil && len(p.args) > 0 {
			m.fail("%%: %d arguments are left over", len(p.args))
		}
	default:
		if p.single != nil {
			m.fail("%%: the argument is not used")
		}
	}
	return b.text().like(t)
}

// percenter reads a format text; t.s[i] is the next byte.
// It follows PyUnicode_Format of CPython's Objects/unicodeobject.c, its strictness too.
type percenter struct {
	m       *machine
	t       *str
	i       int
	args    []value // of a tuple, those that are left
	single  value   // any other argument, nil when used
	mapping *dict
}

// next reads a byte of the conversion, which must not break off.
func (p *percenter) next() byte {
	if p.i >= len(p.t.s) {
		p.m.fail("%%: the format ends early")
	}
	p.i++
	return p.t.s[p.i-1]
}

// arg takes the next argument.
func (p *percenter) arg() value {
	if p.single != nil {
		v := p.single
		p.single = nil
		return v
	}
	if len(p.args) == 0 {
		p.m.fail("%%: not enough arguments for the format")
	}
	v := p.args[0]
	p.args = p.args[1:]
	return v
}

// conversion formats %(key)flags width.precision type.
func (p *percenter) conversion() *str {
	m := p.m
	start := p.i
	p.i++ // the %
	var v value
	c := p.next()
	if c == '(' {
		v = p.key()
		c = p.next()
	}
	s, zero, c := p.flags(c)
	// A negative width from * means: to the left.
	if s.width, c = p.size(c, 0); s.width < 0 {
		s.align, s.width = '<', -s.width
	}
	if c == '.' {
		s.prec, c = p.size(p.next(), 0)
		s.prec = max(s.prec, 0)
	}
	// C's lengths mean nothing to Python and are allowed.
	for strings.IndexByte("hlL", c) >= 0 {
		c = p.next()
	}
	// %% is a sign of its own, whatever stands between.
	if c == '%' {
		return p.t.sub(p.i-1, p.i)
	}
	if strings.IndexByte("diouxXeEfFgGcrsa", c) < 0 {
		m.fail("%%: unknown conversion %q at %d", p.t.s[start:p.i], start)
	}
	if v == nil {
		v = p.arg()
	}
	return p.convert(s, c, zero, v)
}

// key reads what is left of %(key) and looks it up; brackets may nest.
func (p *percenter) key() value {
	start := p.i
	for open := 1; open > 0; {
		switch p.next() {
		case '(':
			open++
		case ')':
			open--
		}
	}
	key := p.t.s[start : p.i-1]
	if p.mapping == nil {
		p.m.fail("%%: the key %s in the format needs a dict", quote(key))
	}
	v, ok := p.mapping.name(key)
	if !ok {
		p.m.fail("%%: no key %s", quote(key))
	}
	return v
}

// flags reads -, +, blank, # and 0, and returns the byte behind them.
func (p *percenter) flags(c byte) (s spec, zero bool, after byte) {
	s = spec{fill: " ", prec: -1, align: '>'}
	for ; strings.IndexByte("-+ #0", c) >= 0; c = p.next() {
		switch c {
		case '-':
			s.align = '<'
		case '+':
			s.sign = '+'
		case ' ':
			if s.sign == 0 {
				s.sign = ' '
			}
		case '#':
			s.alt = true
		case '0':
			zero = true
		}
	}
	return s, zero, c
}

// size reads a width or precision: digits, or * for an argument.
func (p *percenter) size(c byte, missing int) (int, byte) {
	if c == '*' {
		// The number is an argument of the format, and as bounded as one written in it.
		n := p.m.int("%", p.arg(), 0)
		if n > p.m.opt.MaxOutput || -n > p.m.opt.MaxOutput {
			p.m.room(p.m.opt.MaxOutput + 1)
		}
		return n, p.next()
	}
	n, rest := p.m.leadingInt(p.t.s[p.i-1:], missing)
	p.i = len(p.t.s) - len(rest)
	return n, p.next()
}

// convert formats one value for a conversion.
func (p *percenter) convert(s spec, c byte, zero bool, v value) *str {
	m := p.m
	switch c {
	// Flags other than width, precision and alignment do not apply to texts.
	case 's', 'r', 'a':
		// s prints, r and a show.
		t := m.str(v)
		if c != 's' {
			t = m.repr(v)
		}
		if c == 'a' {
			t = derived(toASCII(t.s), t)
		}
		// A Markup format escapes what it takes, but for Markup.
		if p.t.safe {
			if x, ok := v.(*str); ok && c == 's' {
				t = x
			}
			t = escapeHTML(t).plain()
		}
		return s.text(m, t, '>')
	// A number is the code of a character, handled below.
	case 'c':
		if t, ok := v.(*str); ok {
			if t.chars() != 1 {
				m.fail("%%c: want one character")
			}
			return s.text(m, t, '>')
		}
	}
	n, ok := number(v)
	if !ok {
		m.defined(v)
		m.fail("%%%c: want a number, got %s", c, typeName(v))
	}
	// A minus, which aligns to the left, beats the zero.
	if zero && s.align == '>' {
		s.fill, s.align = "0", '='
	}
	switch c {
	case 'e', 'E', 'f', 'F', 'g', 'G':
		s.verb = c
		return s.float(m, m.toFloat(n))
	}
	return p.whole(s, c, n)
}

// whole formats an int; floats lose their fraction for %d, as in Python.
func (p *percenter) whole(s spec, c byte, n value) *str {
	m := p.m
	if f, ok := n.(float64); ok {
		if c != 'd' && c != 'i' && c != 'u' || math.IsNaN(f) || math.IsInf(f, 0) {
			m.fail("%%%c: want an int, got %s", c, formatFloat(f))
		}
		// Towards zero, as int() does; %x of a float is an error.
		z, _ := big.NewFloat(f).Int(nil)
		n = normal(z)
	}
	if s.verb = c; c == 'i' || c == 'u' {
		s.verb = 'd'
	}
	// A character takes no zeros and no precision.
	if c == 'c' {
		s.fill, s.align = " ", '>'
		s.prec = -1
		return s.int(m, n)
	}
	// %.5d means five digits at least, which format's own specification cannot say: the
	// number is padded with zeros first, then as a text.
	digits := s.prec
	s.prec = -1
	if digits < 0 {
		return s.int(m, n)
	}
	m.room(digits)
	// First the digits, then the width around them.
	inner := spec{fill: "0", align: '=', sign: s.sign, alt: s.alt, verb: s.verb, prec: -1, width: digits}
	text := inner.int(m, n).s
	if extra := len(text) - len(strings.TrimLeft(text, "+- ")); extra > 0 { // the sign counts extra
		inner.width += extra
		text = inner.int(m, n).s
	}
	s.fill = " "
	if s.align == '=' {
		s.align, s.fill = '=', "0"
		if sign := len(text) - len(strings.TrimLeft(text, "+- ")); s.width > len(text) {
			text = text[:sign] + strings.Repeat("0", s.width-len(text)) + text[sign:]
		}
	}
	return s.text(m, author(text), '>')
}
