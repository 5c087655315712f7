package jinja

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// unescape reads the backslash escapes of a string literal as Python's
// unicode-escape codec does; what is wrong comes back as a sentence.
// The error is the lexer's to say, with the line.
func unescape(s string) (text, wrong string) {
	if strings.IndexByte(s, '\\') < 0 {
		return s, ""
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			i++
			continue
		}
		n, wrong := escape(&b, s[i+1:])
		if wrong != "" {
			return "", wrong
		}
		i += 1 + n
	}
	return b.String(), ""
}

// escape writes what the escape at the start of s (behind the backslash)
// stands for, and returns its length in bytes.
func escape(b *strings.Builder, s string) (n int, wrong string) {
	const from, to = "abfnrtv\\'\"", "\a\b\f\n\r\t\v\\'\""
	c := s[0] // the lexer never ends a string behind a backslash
	switch {
	case c == '\n': // a line goes on
		return 1, ""
	case strings.IndexByte(from, c) >= 0:
		b.WriteByte(to[strings.IndexByte(from, c)])
		return 1, ""
	// Octal, one to three digits.
	case c >= '0' && c <= '7':
		n := 1
		for n < 3 && n < len(s) && s[n] >= '0' && s[n] <= '7' {
			n++
		}
		r, _ := strconv.ParseUint(s[:n], 8, 32)
		b.WriteRune(rune(r))
		return n, ""
	case c == 'x':
		return hexEscape(b, s, 2)
	case c == 'u':
		return hexEscape(b, s, 4)
	case c == 'U':
		return hexEscape(b, s, 8)
	// Names of characters would need Unicode's table of names.
	case c == 'N':
		return 0, `\N{...} escapes are not known here: use \u`
	case c < utf8.RuneSelf: // not an escape: the backslash stays
		b.WriteByte('\\')
		b.WriteByte(c)
		return 1, ""
	}
	// Python first spells other characters as escapes of their own, so that
	// the backslash before one escapes that spelling's.
	r, n := utf8.DecodeRuneInString(s)
	switch {
	case r < 0x100:
		fmt.Fprintf(b, `\x%02x`, r)
	case r < 0x10000:
		fmt.Fprintf(b, `\u%04x`, r)
	default:
		fmt.Fprintf(b, `\U%08x`, r)
	}
	return n, ""
}

// hexEscape reads the digits of an escape of fixed length.
func hexEscape(b *strings.Builder, s string, digits int) (n int, wrong string) {
	if len(s) < 1+digits {
		return 0, fmt.Sprintf(`truncated \%c escape, want %d hex digits`, s[0], digits)
	}
	r, err := strconv.ParseUint(s[1:1+digits], 16, 32)
	switch {
	case err != nil:
		return 0, fmt.Sprintf(`truncated \%c escape, want %d hex digits`, s[0], digits)
	case r > utf8.MaxRune:
		return 0, fmt.Sprintf(`\%s is no Unicode character`, s[:1+digits])
	// Python's strings can hold halves of pairs; UTF-8 cannot.
	case !utf8.ValidRune(rune(r)):
		return 0, fmt.Sprintf(`\%s is half of a surrogate pair: write the character itself`, s[:1+digits])
	}
	b.WriteRune(rune(r))
	return 1 + digits, ""
}
