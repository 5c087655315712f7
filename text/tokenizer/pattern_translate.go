package tokenizer

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// translate rewrites a regular expression of the given dialect in the .NET
// syntax that regexp2 reads. The differences that matter: ^ $ and . and their
// flags, what \h \w \b \R mean, classes inside classes and &&, names of
// properties, {,n} and a + behind {n,m}. What it does not know is
// ErrUnsupported, never passed on in the hope that it means the same.
//
// Sources: Oniguruma's doc/RE (version 6.9, Ruby syntax), the documentation of
// the Rust crates regex and fancy-regex, .NET's regular expression reference.
func translate(regex string, d dialect) (string, error) {
	if len(regex) > maxPattern || !utf8.ValidString(regex) {
		return "", fmt.Errorf("%d bytes, valid UTF-8 %v: %w; want at most %d bytes", len(regex), utf8.ValidString(regex), ErrFormat, maxPattern)
	}
	t := &translator{src: regex, onig: d == onig, atom: -1}
	for t.pos < len(t.src) {
		if err := t.step(); err != nil {
			return "", err
		}
	}
	return string(t.out), nil
}

// translator reads src from pos on.
type translator struct {
	src    string
	pos    int
	onig   bool
	out    []byte
	atom   int  // where in out the thing begins that a quantifier would repeat; -1: none
	lines  bool // ^ and $ match at lines too (Rust's flag m)
	groups []group
	depth  int // of classes inside classes
}

// group is what is restored at the end of a pair of brackets.
type group struct {
	atom  int
	lines bool
}

const maxNesting = 200

// peek says whether text comes next.
func (t *translator) peek(text string) bool { return strings.HasPrefix(t.src[t.pos:], text) }

// skip is peek, and steps over it.
func (t *translator) skip(text string) bool {
	if t.peek(text) {
		t.pos += len(text)
		return true
	}
	return false
}

// next reads one character.
func (t *translator) next() rune {
	r, n := utf8.DecodeRuneInString(t.src[t.pos:])
	t.pos += n
	return r
}

func (t *translator) unsupported(what string) error {
	return fmt.Errorf("%s at byte %d: %w", what, t.pos, ErrUnsupported)
}

// emit writes one thing that a quantifier can repeat.
func (t *translator) emit(text string) {
	t.atom = len(t.out)
	t.out = append(t.out, text...)
}

// step translates one element.
func (t *translator) step() error {
	switch c := t.src[t.pos]; c {
	case '\\':
		return t.escape()
	case '[':
		s, err := t.class()
		if err == nil {
			t.emit(s.text())
		}
		return err
	case '(':
		return t.open()
	case ')':
		t.pos++
		n := len(t.groups) - 1
		if n < 0 {
			return fmt.Errorf("unmatched ) at byte %d: %w", t.pos-1, ErrFormat)
		}
		t.out = append(t.out, ')')
		t.atom, t.lines = t.groups[n].atom, t.groups[n].lines
		t.groups = t.groups[:n]
	case '^', '$':
		t.pos++
		t.emit(t.anchor(c))
	case '|':
		t.pos++
		t.out = append(t.out, '|')
		t.atom = -1
	case '*', '+', '?':
		t.pos++
		t.out = append(t.out, c)
	case '{':
		return t.interval()
	case '.':
		t.pos++
		t.emit(".")
	default:
		t.emit(quoted(t.next()))
	}
	return nil
}

// anchor is ^ or $. Oniguruma knows lines only, and its ^ does not match behind
// the line break that ends the text.
func (t *translator) anchor(c byte) string {
	switch {
	case c == '^' && t.onig:
		return `(?:\A|(?<=\n)(?!\z))`
	case c == '^' && t.lines:
		return `(?:\A|(?<=\n))`
	case c == '^':
		return `\A`
	case t.onig || t.lines:
		return `(?=\n|\z)`
	}
	return `\z`
}

// interval is {n}, {n,}, {n,m} or {,m}; a brace that is none of them is itself.
// In Oniguruma a + behind it repeats the whole, and so does a ? behind {n}.
func (t *translator) interval() error {
	end := strings.IndexByte(t.src[t.pos:], '}')
	low, high, comma := "", "", false
	if end > 0 {
		low, high, comma = strings.Cut(t.src[t.pos+1:t.pos+end], ",")
	}
	if !number(low) || !number(high) || low == "" && high == "" || t.atom < 0 {
		t.pos++
		t.emit(`\{`)
		return nil
	}
	t.pos += end + 1
	if low == "" {
		low = "0"
	}
	text := "{" + low
	if comma {
		text += "," + high
	}
	t.out = append(t.out, text+"}"...)
	if t.onig && (t.peek("+") || t.peek("?") && !comma) {
		whole := "(?:" + string(t.out[t.atom:]) + ")"
		t.out = append(t.out[:t.atom], whole...)
	}
	return nil
}

// number says whether s is empty or a number that can be repeated by.
func number(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return len(s) <= 5
}

// open is the beginning of a group, or a flag for the rest of one.
func (t *translator) open() error {
	if len(t.groups) >= maxNesting {
		return fmt.Errorf("groups nested more than %d deep: %w", maxNesting, ErrFormat)
	}
	g := group{atom: len(t.out), lines: t.lines}
	begin := func(text string) error {
		t.groups = append(t.groups, g)
		t.out = append(t.out, text...)
		t.atom = -1
		return nil
	}
	if !t.skip("(?") {
		t.pos++
		return begin("(")
	}
	for _, kind := range []string{":", "=", "!", "<=", "<!", ">"} {
		if t.skip(kind) {
			return begin("(?" + kind)
		}
	}
	if t.skip("#") {
		end := strings.IndexByte(t.src[t.pos:], ')')
		if end < 0 {
			return fmt.Errorf("comment without an end: %w", ErrFormat)
		}
		t.pos += end + 1
		return nil
	}
	if t.skip("<") || !t.onig && t.skip("P<") {
		name, _, ok := strings.Cut(t.src[t.pos:], ">")
		if !ok || !ident(name) {
			return t.unsupported("name of a group")
		}
		t.pos += len(name) + 1
		return begin("(?<" + name + ">")
	}
	return t.flags(begin)
}

func ident(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; (c < 'a' || c > 'z') && s[i] != '_' && (i == 0 || s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return s != ""
}

// flags is (?i), (?i:…), (?s-m:…) and so on. m means in Oniguruma what s means
// elsewhere.
func (t *translator) flags(begin func(string) error) error {
	text, off, outer := "(?", false, t.lines
	for t.pos < len(t.src) {
		c := t.src[t.pos]
		t.pos++
		switch {
		case c == ':':
			inner := t.lines
			t.lines = outer
			err := begin(text + ":")
			t.groups[len(t.groups)-1].lines = outer
			t.lines = inner
			return err
		case c == ')':
			t.out = append(t.out, text+")"...)
			t.atom = -1
			return nil
		case c == '-' && !off:
			off = true
			text += "-"
		case c == 'i', c == 's' && !t.onig:
			text += string(c)
		case c == 'm' && t.onig:
			text += "s"
		case c == 'm':
			t.lines = !off
		case c == 'u' && !t.onig && !off: // Unicode is always on
		default:
			return t.unsupported("group (?" + string(c))
		}
	}
	return fmt.Errorf("group without an end: %w", ErrFormat)
}

// escape translates what follows a backslash outside of a class.
func (t *translator) escape() error {
	const breaks = `(?>\r\n|[\n-\r\u0085\u2028\u2029])`
	if t.pos+1 >= len(t.src) {
		return fmt.Errorf("backslash at the end: %w", ErrFormat)
	}
	w := wordClass(t.onig).text()
	c := t.src[t.pos+1]
	for _, e := range []struct {
		c    byte
		text string
	}{
		{'A', `\A`}, {'z', `\z`}, {'G', `\G`},
		{'b', "(?:(?<=" + w + ")(?!" + w + ")|(?<!" + w + ")(?=" + w + "))"},
		{'B', "(?:(?<=" + w + ")(?=" + w + ")|(?<!" + w + ")(?!" + w + "))"},
	} {
		if e.c == c {
			t.pos += 2
			t.emit(e.text)
			return nil
		}
	}
	switch {
	case c == 'Z' && t.onig:
		t.pos += 2
		t.emit(`(?=\n?\z)`)
	case c == 'Z':
		t.pos += 2
		t.emit(`(?=\n*\z)`)
	case t.onig && (c == 'R' || c == 'N' || c == 'O'):
		t.pos += 2
		t.emit(map[byte]string{'R': breaks, 'N': `[^\n]`, 'O': `[\s\S]`}[c])
	case '1' <= c && c <= '9':
		from := t.pos
		for t.pos++; t.pos < len(t.src) && '0' <= t.src[t.pos] && t.src[t.pos] <= '9'; t.pos++ {
		}
		t.emit("(?:" + t.src[from:t.pos] + ")")
	case c == 'k' && t.pos+2 < len(t.src) && t.src[t.pos+2] == '<':
		name, _, ok := strings.Cut(t.src[t.pos+3:], ">")
		if !ok || !ident(name) {
			return t.unsupported("reference")
		}
		t.pos += 4 + len(name)
		t.emit(`\k<` + name + ">")
	default:
		s, err := t.member()
		if err == nil {
			t.emit(s.text())
		}
		return err
	}
	return nil
}

// quoted writes one character so that it means itself, in a class or outside.
func quoted(r rune) string {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '_', r == '\'', r == ' ', r == '/':
		return string(r)
	case r < ' ' || 0x7f <= r && r < 0x10000:
		return fmt.Sprintf(`\u%04X`, r)
	case r < utf8.RuneSelf:
		return `\` + string(r)
	}
	return string(r)
}

// codePoint reads digits to the given base up to n of them, or between braces.
func (t *translator) codePoint(base, n int) (rune, error) {
	digits := ""
	if t.skip("{") {
		inner, _, ok := strings.Cut(t.src[t.pos:], "}")
		if !ok {
			return 0, fmt.Errorf("code point without an end at byte %d: %w", t.pos, ErrFormat)
		}
		t.pos += len(inner) + 1
		digits = inner
	} else {
		for len(digits) < n && t.pos < len(t.src) {
			if _, err := strconv.ParseUint(t.src[t.pos:t.pos+1], base, 8); err != nil {
				break
			}
			digits += t.src[t.pos : t.pos+1]
			t.pos++
		}
	}
	v, err := strconv.ParseUint(digits, base, 32)
	if err != nil || !utf8.ValidRune(rune(v)) {
		return 0, fmt.Errorf("code point %q at byte %d: %w", digits, t.pos, ErrFormat)
	}
	return rune(v), nil
}
