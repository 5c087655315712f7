package jinja

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// spec is a format specification, of "%5.2f" or of "{:>5.2f}".
// Widths and precisions are in characters.
// The grammar is Python's "Format Specification Mini-Language".
type spec struct {
	fill  string
	align byte // '<', '>', '^', '=' (padding behind the sign) or 0: by type
	sign  byte // '+', ' ' or 0
	alt   bool // #
	width int
	group byte // between thousands: ',' '_' or 0
	prec  int  // -1: none
	verb  byte // 0: by type
}

// parseSpec reads [[fill]align][sign][#][0][width][,][.precision][type].
func (m *machine) parseSpec(s string) spec {
	p := spec{fill: " ", prec: -1}
	whole := s
	// The fill may be any character, but only if an alignment follows it: "<5" has none.
	if _, n := utf8.DecodeRuneInString(s); n > 0 && len(s) > n && strings.IndexByte("<>^=", s[n]) >= 0 {
		p.fill, p.align, s = s[:n], s[n], s[n+1:]
	} else if s != "" && strings.IndexByte("<>^=", s[0]) >= 0 {
		p.align, s = s[0], s[1:]
	}
	if s != "" && strings.IndexByte("+- ", s[0]) >= 0 {
		if p.sign = s[0]; p.sign == '-' {
			p.sign = 0
		}
		s = s[1:]
	}
	if strings.HasPrefix(s, "#") {
		p.alt, s = true, s[1:]
	}
	if strings.HasPrefix(s, "0") {
		// A 0 in front of the width means: zeros behind the sign.
		if p.align == 0 {
			p.fill, p.align = "0", '='
		}
		s = s[1:]
	}
	p.width, s = m.leadingInt(s, 0)
	if s != "" && (s[0] == ',' || s[0] == '_') {
		p.group, s = s[0], s[1:]
	}
	if strings.HasPrefix(s, ".") {
		if p.prec, s = m.leadingInt(s[1:], -1); p.prec < 0 {
			m.fail("format: precision is missing in %q", whole)
		}
	}
	if s != "" {
		p.verb, s = s[0], s[1:]
	}
	if s != "" {
		m.fail("format: invalid specification %q", whole)
	}
	return p
}

// leadingInt reads the digits that s starts with.
// missing stands for no digits. More than the longest text allowed is refused here,
// before anything is padded.
func (m *machine) leadingInt(s string, missing int) (n int, rest string) {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	if i == 0 {
		return missing, s
	}
	n, err := strconv.Atoi(s[:i])
	if err != nil || n > m.opt.MaxOutput {
		m.limit("a width or precision of more than %d", m.opt.MaxOutput)
	}
	return n, s[i:]
}

// value formats v as format(v, spec) does.
// The type decides what a verb means, and what is aligned where.
func (p spec) value(m *machine, v value) *str {
	switch x := v.(type) {
	case *str:
		if p.verb != 0 && p.verb != 's' || p.align == '=' && p.fill != "0" || p.sign != 0 || p.group != 0 {
			m.fail("format: invalid specification for a str")
		}
		return p.text(m, x, '<')
	case float64:
		return p.float(m, x)
	// A bool with a specification is a number in Python: "{:5}".format(True) is "    1".
	case bool, int64, *big.Int:
		n, _ := number(v)
		if p.verb != 0 && strings.IndexByte("eEfFgG%", p.verb) >= 0 {
			return p.float(m, m.toFloat(n))
		}
		return p.int(m, n)
	}
	m.defined(v)
	m.fail("format: a %s takes no format specification", typeName(v))
	return nil
}

// text cuts and pads a string.
func (p spec) text(m *machine, t *str, align byte) *str {
	if p.prec >= 0 && t.chars() > p.prec {
		t = t.sub(0, t.offset(p.prec))
	}
	// '=' is for numbers; texts padded with 0 keep their own alignment.
	if p.align != 0 && p.align != '=' {
		align = p.align
	}
	n := p.width - t.chars()
	if n <= 0 {
		return t
	}
	left := 0
	switch align {
	case '>':
		left = n
	case '^':
		left = n / 2
	}
	m.room(len(t.s) + n*len(p.fill))
	return concat(author(strings.Repeat(p.fill, left)), t, author(strings.Repeat(p.fill, n-left)))
}

// int formats a whole number in the base of the verb.
// The rest of the specification applies to digits: sign, prefix, groups, padding.
func (p spec) int(m *machine, v value) *str {
	z := toBig(v)
	base, prefix := 10, ""
	switch p.verb {
	case 'b':
		base, prefix = 2, "0b"
	case 'o':
		base, prefix = 8, "0o"
	case 'x', 'X':
		base, prefix = 16, "0"+string(p.verb)
	case 'c':
		if !z.IsInt64() || z.Int64() < 0 || z.Int64() > utf8.MaxRune {
			m.fail("format: %s is no character", z)
		}
		return p.text(m, author(string(rune(z.Int64()))), '>')
	case 0, 'd', 'n':
	default:
		m.fail("format: unknown code %q for an int", p.verb)
	}
	if p.prec >= 0 {
		m.fail("format: an int takes no precision")
	}
	digits := new(big.Int).Abs(z).Text(base)
	if p.verb == 'X' {
		digits = strings.ToUpper(digits)
	}
	if !p.alt || base == 10 {
		prefix = ""
	}
	return p.number(m, z.Sign() < 0, prefix, digits, "")
}

// float formats a float; without a verb it is repr, or %g with a precision.
// Computed on the magnitude; the sign is put in front at the end, also that of -0.0.
func (p spec) float(m *machine, f float64) *str {
	prec := p.prec
	if prec < 0 {
		prec = 6
	}
	m.room(prec)
	abs := math.Abs(f)
	var s string
	switch p.verb {
	case 'e', 'E', 'f', 'F':
		s = strconv.FormatFloat(abs, p.verb|0x20, prec, 64)
	case 'g', 'G', 'n':
		s = formatG(abs, prec, p.alt)
	case '%':
		s = strconv.FormatFloat(abs*100, 'f', prec, 64) + "%"
	case 0:
		// With a precision but no verb Python prints at least one digit behind the point.
		if s = formatFloat(abs); p.prec >= 0 {
			s = formatG(abs, prec, false)
			if !strings.ContainsAny(s, ".en") {
				s += ".0"
			}
		}
	default:
		m.fail("format: unknown code %q for a float", p.verb)
	}
	switch {
	case math.IsInf(f, 0):
		s = "inf"
	case math.IsNaN(f):
		s = "nan"
	// # keeps the point though no digit follows.
	case p.alt && !strings.Contains(s, "."):
		i := strings.IndexAny(s+"e", "e%")
		s = s[:i] + "." + s[i:]
	}
	if p.verb >= 'A' && p.verb <= 'Z' {
		s = strings.ToUpper(s)
	}
	// Only the digits in front of the point are grouped and padded.
	i := len(s) - len(strings.TrimLeft(s, "0123456789"))
	return p.number(m, math.Signbit(f) && !math.IsNaN(f), "", s[:i], s[i:])
}

// formatG is %g: plain or scientific notation, whichever fits the precision.
// zeros keeps those at the end, as # asks for.
func formatG(f float64, prec int, zeros bool) string {
	if prec == 0 {
		prec = 1
	}
	s := strconv.FormatFloat(f, 'e', prec-1, 64)
	i := strings.IndexByte(s, 'e')
	if i < 0 {
		return s
	}
	exp, _ := strconv.Atoi(s[i+1:])
	tail := s[i:]
	if exp >= -4 && exp < prec {
		s, tail = strconv.FormatFloat(f, 'f', prec-1-exp, 64), ""
	} else {
		s = s[:i]
	}
	if !zeros && strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s + tail
}

// number puts sign, prefix, digits and the rest together, and pads.
func (p spec) number(m *machine, negative bool, prefix, digits, rest string) *str {
	sign := ""
	switch {
	case negative:
		sign = "-"
	case p.sign != 0:
		sign = string(p.sign)
	}
	head := sign + prefix
	// How many digits, separators included, fill the width.
	zeros := 0
	if p.align == '=' {
		zeros = p.width - len(head) - len(rest)
		m.room(max(zeros, 0))
	}
	if p.align == '=' && p.fill != "0" {
		// A fill other than 0 stands in front of the groups; zeros are digits and are grouped.
		digits = p.grouped(digits)
		digits = strings.Repeat(p.fill, max(zeros-len(digits), 0)) + digits
	} else {
		// Each turn adds about half of what is missing, as separators come along with digits.
		for p.group == 0 && len(digits) < zeros || p.group != 0 && len(p.grouped(digits)) < zeros {
			digits = strings.Repeat("0", max(1, (zeros-len(p.grouped(digits)))/2)) + digits
		}
		digits = p.grouped(digits)
	}
	q := p
	q.prec = -1
	return q.text(m, author(head+digits+rest), '>')
}

// grouped puts the separator of thousands into digits.
func (p spec) grouped(digits string) string {
	// Hexadecimal, octal and binary digits are grouped in fours.
	size := 3
	if strings.IndexByte("bBoOxX", p.verb) >= 0 && p.verb != 0 {
		size = 4
	}
	if p.group == 0 || len(digits) <= size {
		return digits
	}
	first := len(digits) % size
	parts := make([]string, 0, len(digits)/size+1)
	if first > 0 {
		parts = append(parts, digits[:first])
	}
	for i := first; i < len(digits); i += size {
		parts = append(parts, digits[i:i+size])
	}
	return strings.Join(parts, string(p.group))
}

// format is str.format.
// Two levels: a field may have fields in its specification, and those none.
func (m *machine) format(t *str, a *args) *str {
	f := formatter{m: m, a: a}
	out := f.run(t, 2)
	return out.like(t)
}

// auto and byNo may not go together: Python refuses "{}{0}".
// The grammar is Python's "Format String Syntax".
type formatter struct {
	m    *machine
	a    *args
	auto int  // the next number for {}
	byNo bool // fields are numbered by hand
}

// run fills the fields of t; fields may stand in the specification of others,
// depth deep.
func (f *formatter) run(t *str, depth int) *str {
	m := f.m
	if depth == 0 {
		m.fail("format: fields are nested too deeply")
	}
	var b builder
	for i := 0; i < len(t.s); {
		n := strings.IndexAny(t.s[i:], "{}")
		if n < 0 {
			n = len(t.s) - i
		}
		b.write(t.sub(i, i+n))
		if i += n; i == len(t.s) {
			break
		}
		// {{ and }} are the brackets themselves.
		if i+1 < len(t.s) && t.s[i+1] == t.s[i] {
			b.write(t.sub(i, i+1))
			i += 2
			continue
		}
		end := fieldEnd(t.s, i)
		if t.s[i] == '}' || end < 0 {
			m.fail("format: single %q in the text", t.s[i])
		}
		part := f.field(t.sub(i+1, end), depth)
		m.add(&b, part)
		i = end + 1
	}
	return b.text()
}

// fieldEnd is the offset of the bracket that closes the one at i, or -1.
func fieldEnd(s string, i int) int {
	open := 0
	for ; i < len(s); i++ {
		switch s[i] {
		case '{':
			open++
		case '}':
			if open--; open == 0 {
				return i
			}
		}
	}
	return -1
}

// field formats name!conversion:spec.
func (f *formatter) field(t *str, depth int) *str {
	m := f.m
	name, at := t.s, len(t.s)
	// A colon or an exclamation mark inside [...] belongs to the key.
	inItem := false
	for i := 0; i < len(t.s); i++ {
		c := t.s[i]
		if c == '[' {
			inItem = true
		} else if c == ']' {
			inItem = false
		}
		if (c == '!' || c == ':') && !inItem {
			name, at = t.s[:i], i
			break
		}
	}
	conversion, rest := byte(0), t.sub(at, len(t.s))
	if strings.HasPrefix(rest.s, "!") {
		if len(rest.s) < 2 || len(rest.s) > 2 && rest.s[2] != ':' {
			m.fail("format: bad conversion in %q", t.s)
		}
		conversion, rest = rest.s[1], rest.sub(2, len(rest.s))
	}
	v := f.lookup(name)
	switch conversion {
	case 0:
	case 's':
		v = m.str(v)
	case 'r':
		v = m.repr(v)
	case 'a':
		r := m.repr(v)
		v = derived(toASCII(r.s), r)
	default:
		m.fail("format: unknown conversion %q", conversion)
	}
	specText := ""
	if rest.s != "" {
		specText = f.run(rest.sub(1, len(rest.s)), depth-1).s
	}
	// format(v, "") is str(v).
	if specText == "" {
		return m.str(v)
	}
	return m.parseSpec(specText).value(m, v)
}

// toASCII escapes what is left of a repr beyond ASCII.
// Python's ascii() and the conversion !a.
func toASCII(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < utf8.RuneSelf:
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	return b.String()
}

// lookup finds first.attr[item] among the arguments.
func (f *formatter) lookup(name string) value {
	m := f.m
	n := strings.IndexAny(name, ".[")
	if n < 0 {
		n = len(name)
	}
	v := f.argument(name[:n])
	for rest := name[n:]; rest != ""; {
		end := strings.IndexAny(rest[1:], ".[") + 1
		if rest[0] == '[' {
			end = strings.IndexByte(rest, ']') + 1
		} else if end == 0 {
			end = len(rest)
		}
		switch {
		case rest[0] == '.' && end > 1:
			v = m.attr(v, rest[1:end])
		case rest[0] == '[' && end > 2:
			key := rest[1 : end-1]
			// A key of digits is an index, anything else a text: no quotes here.
			if i, err := strconv.ParseInt(key, 10, 64); err == nil && key[0] != '-' && key[0] != '+' {
				v = m.item(v, i)
			} else {
				v = m.item(v, author(key))
			}
		default:
			m.fail("format: bad field name %q", name)
		}
		rest = rest[end:]
	}
	return v
}

// argument finds a field by its number, its name, or its turn.
func (f *formatter) argument(name string) value {
	m := f.m
	no, err := strconv.Atoi(name)
	switch {
	case name == "":
		no = f.auto
		f.auto++
	case err == nil:
		f.byNo = true
	default:
		if i := slices.Index(f.a.keys, name); i >= 0 {
			return f.a.vals[i]
		}
		m.fail("format: no argument %q", name)
	}
	if f.byNo && f.auto > 0 {
		m.fail("format: some fields are numbered and some are not")
	}
	if no < 0 || no >= len(f.a.pos) {
		m.fail("format: field %d, but there are %d arguments", no, len(f.a.pos))
	}
	return f.a.pos[no]
}
