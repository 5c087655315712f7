package jinja

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// tokenKind is the class of a token; operators have their own spelling in text.
type tokenKind uint8

const (
	tokEOF      tokenKind = iota
	tokData               // text outside of tags
	tokBlock              // {%
	tokBlockEnd           // %}
	tokVar                // {{
	tokVarEnd             // }}
	tokName
	tokString
	tokNumber
	tokOp
)

// A data token holds text as it is printed, stripped already.
type token struct {
	kind tokenKind
	line int
	text string // name, operator, data or unescaped string
	num  value  // of a number: int64, *big.Int or float64
}

// String names a token for error messages.
func (t token) String() string {
	switch t.kind {
	case tokEOF:
		return "end of template"
	case tokData:
		return "template text"
	case tokBlock:
		return "{%"
	case tokBlockEnd:
		return "%}"
	case tokVar:
		return "{{"
	case tokVarEnd:
		return "}}"
	case tokString:
		return "a string"
	case tokNumber:
		return "a number"
	}
	return t.text
}

// lexer cuts a template into tokens with trim_blocks and lstrip_blocks on: the
// newline behind a block tag goes, and so do blanks before one that starts its
// line. A minus strips all white space on its side, a plus keeps it.
// It follows jinja2/lexer.py, whose regular expressions say what ends where.
type lexer struct {
	src       string
	pos       int
	line      int
	lineStart bool // the token before ended with a newline, or there was none
	tokens    []token
}

// lex returns the tokens of a template; the last one is tokEOF.
func lex(source string) (tokens []token, err error) {
	if len(source) > maxSource {
		return nil, &Error{1, fmt.Sprintf("template of %d bytes, want at most %d", len(source), maxSource), ErrLimit}
	}
	source = normalizeNewlines(source)
	// keep_trailing_newline is off, as in Jinja's default: one newline at the end goes.
	source = strings.TrimSuffix(source, "\n")
	l := &lexer{src: source, line: 1, lineStart: true}
	// The methods below panic: a lexer is used in one place, and each of them may fail.
	defer catch(&err)
	for l.pos < len(l.src) {
		l.root()
	}
	l.emit(tokEOF, "")
	return l.tokens, nil
}

// catch turns the panic of a failing lexer, parser or machine into an error.
// Anything else is a bug of ours and goes on.
func catch(err *error) {
	switch p := recover().(type) {
	case nil:
	case *Error:
		*err = p
	case *RaisedError:
		*err = p
	default:
		panic(p)
	}
}

// normalizeNewlines turns \r\n and \r into \n, as Jinja does to the whole source,
// strings in it included.
func normalizeNewlines(s string) string {
	if strings.IndexByte(s, '\r') < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}

// fail ends the lexing; catch makes an error of it.
func (l *lexer) fail(format string, args ...any) {
	panic(&Error{Line: l.line, Msg: fmt.Sprintf(format, args...)})
}

// emit adds a token of the current line.
func (l *lexer) emit(kind tokenKind, text string) {
	l.tokens = append(l.tokens, token{kind: kind, line: l.line, text: text})
}

// take moves n bytes on, counting lines.
func (l *lexer) take(n int) string {
	s := l.src[l.pos : l.pos+n]
	l.pos += n
	l.line += strings.Count(s, "\n")
	if n > 0 {
		l.lineStart = s[n-1] == '\n'
	}
	return s
}

// takeSpace moves over white space.
func (l *lexer) takeSpace() {
	rest := l.src[l.pos:]
	l.take(len(rest) - len(strings.TrimLeftFunc(rest, isSpace)))
}

// root reads text up to the next tag, and the tag.
func (l *lexer) root() {
	rest := l.src[l.pos:]
	at := nextTag(rest)
	if at < 0 {
		l.emit(tokData, rest)
		l.take(len(rest))
		return
	}
	// raw is a tag that hides others, so it is looked for before them.
	open := rest[at+1]
	raw := 0
	if open == '%' {
		raw = rawTag(rest[at:])
	}
	// Only a block tag or a comment takes blanks in front of it; {{ }} leaves its line alone.
	l.text(rest[:at], sign(rest[at+2:]), open != '{')
	switch {
	case raw > 0:
		l.take(raw)
		l.raw()
	case open == '#':
		l.take(2 + len(sign(rest[at+2:])))
		l.comment()
	default:
		kind, end := tokBlock, tokBlockEnd
		if open == '{' {
			kind, end = tokVar, tokVarEnd
		}
		l.emit(kind, "")
		l.take(2 + len(sign(rest[at+2:])))
		l.tag(end)
	}
}

// nextTag finds the first "{%", "{{" or "{#", or -1.
func nextTag(s string) int {
	for from := 0; ; {
		i := strings.IndexByte(s[from:], '{')
		if i < 0 || from+i+1 >= len(s) {
			return -1
		}
		from += i + 1
		if c := s[from]; c == '%' || c == '{' || c == '#' {
			return from - 1
		}
	}
}

// sign returns the "-" or "+" that s starts with, or "".
func sign(s string) string {
	if s != "" && (s[0] == '-' || s[0] == '+') {
		return s[:1]
	}
	return ""
}

// text emits the text before a tag, stripped as the tag asks for.
func (l *lexer) text(s, sign string, block bool) {
	// The sign is that of the tag which follows: {%- strips, {%+ keeps, and a bare block
	// tag takes the blanks in front of it if they begin the line.
	keep := s
	switch {
	case sign == "-":
		keep = strings.TrimRightFunc(s, isSpace)
	case sign == "" && block:
		start := strings.LastIndexByte(s, '\n') + 1
		if (start > 0 || l.lineStart) && strings.TrimLeftFunc(s[start:], isSpace) == "" {
			keep = s[:start]
		}
	}
	if keep != "" {
		l.emit(tokData, keep)
	}
	l.take(len(s))
}

// rawTag returns the length of a "{% raw %}" tag that s starts with, or 0.
func rawTag(s string) int {
	// Nothing but the name may stand in the tag; {% raw x %} is an unknown statement.
	rest := s[2+len(sign(s[2:])):]
	rest, ok := strings.CutPrefix(strings.TrimLeftFunc(rest, isSpace), "raw")
	if !ok {
		return 0
	}
	rest = strings.TrimLeftFunc(rest, isSpace)
	if after, ok := strings.CutPrefix(rest, "-%}"); ok {
		return len(s) - len(strings.TrimLeftFunc(after, isSpace))
	}
	if after, ok := strings.CutPrefix(rest, "%}"); ok {
		return len(s) - len(after)
	}
	return 0
}

// raw emits the text up to "{% endraw %}" as it stands.
func (l *lexer) raw() {
	rest := l.src[l.pos:]
	// The first {% endraw %} ends it; other tags inside are text.
	for from := 0; rest != ""; { // Jinja lets the template end right here
		i := strings.Index(rest[from:], "{%")
		if i < 0 {
			l.fail("missing end of raw block: add {%% endraw %%}")
		}
		at := from + i
		tail := rest[at+2:]
		s := sign(tail)
		tail, ok := strings.CutPrefix(strings.TrimLeftFunc(tail[len(s):], isSpace), "endraw")
		tail = strings.TrimLeftFunc(tail, isSpace)
		if n := tagEnd(tail, "%}", true, true); ok && n > 0 {
			l.text(rest[:at], s, true)
			l.take(len(rest) - at - len(tail) + n)
			return
		}
		from = at + 2
	}
}

// tagEnd returns the length of a tag's end that s starts with, with the white
// space that it swallows, or 0.
// plus says that a + may stand in front of the end, trim that a newline behind it goes.
func tagEnd(s, end string, plus, trim bool) int {
	if after, ok := strings.CutPrefix(s, "-"+end); ok {
		return len(s) - len(strings.TrimLeftFunc(after, isSpace))
	}
	if plus && strings.HasPrefix(s, "+"+end) {
		return 1 + len(end)
	}
	if !strings.HasPrefix(s, end) {
		return 0
	}
	if trim && strings.HasPrefix(s[len(end):], "\n") {
		return len(end) + 1
	}
	return len(end)
}

// comment moves behind the end of a comment.
func (l *lexer) comment() {
	rest := l.src[l.pos:]
	i := strings.Index(rest, "#}")
	if i < 0 && rest == "" { // Jinja lets the template end here
		return
	}
	if i < 0 {
		l.fail("missing end of comment: add #}")
	}
	if i > 0 && (rest[i-1] == '-' || rest[i-1] == '+') {
		i--
	}
	l.take(i + tagEnd(rest[i:], "#}", true, true))
}

// tag reads the tokens of a tag up to its end, which counts only outside of
// brackets.
func (l *lexer) tag(end tokenKind) {
	// The ends of {{ }} know no + and swallow no newline.
	mark, plus := "%}", true
	if end == tokVarEnd {
		mark, plus = "}}", false
	}
	var open []byte // the brackets that close what is open
	for l.pos < len(l.src) {
		if len(open) == 0 {
			if n := tagEnd(l.src[l.pos:], mark, plus, end == tokBlockEnd); n > 0 {
				l.emit(end, "")
				l.take(n)
				return
			}
		}
		open = l.expression(open)
	}
}

// operators in the order in which they are tried.
var operators = [...]string{"//", "**", "==", "!=", ">=", "<=",
	"+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".", ":", "|", ",", ";"}

// expression reads one token inside of a tag.
func (l *lexer) expression(open []byte) []byte {
	rest := l.src[l.pos:]
	r, _ := utf8.DecodeRuneInString(rest)
	switch {
	case isSpace(r):
		l.takeSpace()
		return open
	case r >= '0' && r <= '9':
		l.number(rest)
		return open
	// Python's identifiers, but for a few characters that only NFKC makes letters.
	case r == '_' || unicode.IsLetter(r) || unicode.Is(unicode.Nl, r):
		n := strings.IndexFunc(rest, func(r rune) bool {
			return r != '_' && !unicode.IsLetter(r) && !unicode.In(r, unicode.N, unicode.Mn, unicode.Mc)
		})
		if n < 0 {
			n = len(rest)
		}
		l.emit(tokName, rest[:n])
		l.take(n)
		return open
	case r == '\'' || r == '"':
		l.str(rest)
		return open
	}
	// Longer ones come first, so ** is not two stars.
	for _, op := range operators {
		if !strings.HasPrefix(rest, op) {
			continue
		}
		switch op {
		case "(":
			open = append(open, ')')
		case "[":
			open = append(open, ']')
		case "{":
			open = append(open, '}')
		// Brackets are matched here, since an end of a tag inside of them is none: {{ {} }}.
		case ")", "]", "}":
			if len(open) == 0 {
				l.fail("unexpected %q", op)
			}
			if want := open[len(open)-1]; op[0] != want {
				l.fail("unexpected %q, want %q", op, want)
			}
			open = open[:len(open)-1]
		}
		l.emit(tokOp, op)
		l.take(len(op))
		return open
	}
	l.fail("unexpected character %q", r)
	return nil
}

// digits returns the length of the digits that s starts with; single
// underscores may stand between them.
func digits(s, set string) int {
	is := func(i int) bool {
		if i >= len(s) {
			return false
		}
		c := s[i]
		if c >= 'A' && c <= 'F' {
			c |= 0x20
		}
		return strings.IndexByte(set, c) >= 0
	}
	n := 0
	for {
		switch {
		case is(n):
			n++
		case n > 0 && n < len(s) && s[n] == '_' && is(n+1):
			n += 2
		default:
			return n
		}
	}
}

const decimal = "0123456789"

// number reads an int or a float. Behind a dot there are only ints: x.1.2 is
// two subscripts.
func (l *lexer) number(s string) {
	if n := floatEnd(s); n > 0 && (l.pos == 0 || l.src[l.pos-1] != '.') {
		f, err := strconv.ParseFloat(strings.ReplaceAll(s[:n], "_", ""), 64)
		if err != nil {
			l.fail("number %s is too large", s[:n])
		}
		l.emit(tokNumber, "")
		l.tokens[len(l.tokens)-1].num = f
		l.take(n)
		return
	}
	base, n := 10, digits(s, decimal)
	text := s[:n]
	if s[0] == '0' {
		n = digits(s, "0")
		text = s[:n]
		// 0x and its like; other numbers begin with 0 only if they are 0.
		set := ""
		if len(s) > 1 {
			switch s[1] | 0x20 {
			case 'b':
				base, set = 2, "01"
			case 'o':
				base, set = 8, "01234567"
			case 'x':
				base, set = 16, "0123456789abcdef"
			}
		}
		if set != "" {
			rest := strings.TrimPrefix(s[2:], "_")
			if d := digits(rest, set); d > 0 {
				text, n = rest[:d], len(s)-len(rest)+d
			} else {
				// 0x without digits: the 0 is a number and x a name behind it.
				base = 10
			}
		}
	}
	z, ok := new(big.Int).SetString(strings.ReplaceAll(text, "_", ""), base)
	if !ok || z.BitLen() > maxBits {
		l.fail("number %.40s is too large", text)
	}
	l.emit(tokNumber, "")
	l.tokens[len(l.tokens)-1].num = normal(z)
	l.take(n)
}

// floatEnd returns the length of the float that s starts with, or 0.
// A dot needs digits behind it; an exponent makes a float without one.
func floatEnd(s string) int {
	n, end := digits(s, decimal), 0
	if n < len(s) && s[n] == '.' {
		if d := digits(s[n+1:], decimal); d > 0 {
			n += 1 + d
			end = n
		}
	}
	if n < len(s) && s[n]|0x20 == 'e' {
		e := n + 1
		if e < len(s) && (s[e] == '+' || s[e] == '-') {
			e++
		}
		if d := digits(s[e:], decimal); d > 0 {
			end = e + d
		}
	}
	return end
}

// str reads a string literal.
func (l *lexer) str(s string) {
	quote := s[0]
	for i := 1; i < len(s); i++ {
		switch s[i] {
		// Whatever is escaped, it is no quote that ends the string.
		case '\\':
			i++
		case quote:
			text, err := unescape(s[1:i])
			if err != "" {
				l.fail("%s", err)
			}
			l.emit(tokString, text)
			l.take(i + 1)
			return
		}
	}
	l.fail("unexpected character %q: the string has no end", quote)
}
