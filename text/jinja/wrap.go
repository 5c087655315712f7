package jinja

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// wordWrap is the filter wordwrap, Python's textwrap line by line.
// The origin of every byte is kept: lines are put together of slices of the text.
func wordWrap(m *machine, v value, a []value) value {
	t := m.text("wordwrap", v)
	w := wrapper{width: m.int("wordwrap", a[0], 79), breakLong: a[1] == nil || truth(a[1]), hyphens: a[3] == nil || truth(a[3])}
	if w.width <= 0 {
		m.fail("wordwrap: width %d, want more than 0", w.width)
	}
	sep := author("\n")
	if a[2] != nil && a[2] != (none{}) {
		sep = m.text("wordwrap", a[2])
	}
	var b builder
	for from, first := 0, true; from < len(t.s); {
		end, after := lineEnd(t.s, from)
		lines := w.wrap(t.s[from:end])
		if len(lines) == 0 {
			// An empty line stays one.
			lines = [][]piece{nil}
		}
		for _, line := range lines {
			if !first {
				m.add(&b, sep)
			}
			first = false
			for _, p := range line {
				m.add(&b, t.sub(from+p.from, from+p.to))
			}
		}
		from = after
	}
	return b.text().like(t)
}

// piece is a chunk of a line by its byte offsets; chars is its width.
type piece struct{ from, to, chars int }

// wrapper is Python's TextWrapper with Jinja's settings: widths in characters, tabs as they
// are, white space at the ends of lines dropped.
// See textwrap.py of Python for the order in which things are decided.
type wrapper struct {
	width              int
	breakLong, hyphens bool
}

// wrap distributes the chunks of one line over lines of at most width.
func (w wrapper) wrap(s string) [][]piece {
	chunks := w.chunks(s)
	blank := func(p piece) bool { return strings.TrimFunc(s[p.from:p.to], isSpace) == "" }
	var lines [][]piece
	for i := 0; i < len(chunks); {
		// White space begins no line but the first.
		if len(lines) > 0 && blank(chunks[i]) {
			if i++; i == len(chunks) {
				break
			}
		}
		var line []piece
		n := 0
		for i < len(chunks) && n+chunks[i].chars <= w.width {
			line = append(line, chunks[i])
			n += chunks[i].chars
			i++
		}
		if i < len(chunks) && chunks[i].chars > w.width {
			c := &chunks[i]
			// A word that no line holds begins here and goes on in the next; otherwise it
			// gets a line of its own, too long as it is.
			if room := w.width - n; w.breakLong {
				cut := w.cut(s, *c, room)
				line = append(line, piece{c.from, cut, utf8.RuneCountInString(s[c.from:cut])})
				*c = piece{cut, c.to, utf8.RuneCountInString(s[cut:c.to])}
			} else if len(line) == 0 {
				line = append(line, *c)
				i++
			}
		}
		if k := len(line); k > 0 && blank(line[k-1]) {
			line = line[:k-1]
		}
		if len(line) > 0 {
			lines = append(lines, line)
		}
	}
	return lines
}

// cut finds where to break a word that is too long: behind its last hyphen
// that fits, or where the room ends.
// room is what is left of the line, in characters; at least one is taken.
func (w wrapper) cut(s string, c piece, room int) int {
	if room < 1 {
		room = 1
	}
	word := s[c.from:c.to]
	end := byteOffset(word, room)
	if w.hyphens && c.chars > room {
		if i := strings.LastIndexByte(word[:end], '-'); i > 0 && strings.Trim(word[:i], "-") != "" {
			end = i + 1
		}
	}
	return c.from + end
}

// chunks cuts a line into words and white space; words end behind a hyphen
// between letters too.
func (w wrapper) chunks(s string) []piece {
	var list []piece
	add := func(from, to int) {
		if from < to {
			list = append(list, piece{from, to, utf8.RuneCountInString(s[from:to])})
		}
	}
	for from := 0; from < len(s); {
		n := len(s) - from - len(strings.TrimLeftFunc(s[from:], isWrapSpace))
		if n == 0 {
			if n = strings.IndexFunc(s[from:], isWrapSpace); n < 0 {
				n = len(s) - from
			}
			for w.hyphens {
				i := hyphenEnd(s[from : from+n])
				if i == 0 {
					break
				}
				add(from, from+i)
				from, n = from+i, n-i
			}
		}
		add(from, from+n)
		from += n
	}
	return list
}

// isWrapSpace is the white space of textwrap: ASCII only, so that a no-break space holds.
func isWrapSpace(r rune) bool { return r == ' ' || r >= '\t' && r <= '\r' }

// hyphenEnd is the offset behind the first hyphen of a word that may end a
// line: two letters before it, a letter and another after it. Two and more
// hyphens between words are a dash of their own.
// It stands for TextWrapper.wordsep_re, a pattern with look-behind.
func hyphenEnd(word string) int {
	letter := func(r rune) bool { return unicode.IsLetter(r) }
	for i := 0; i < len(word); i++ {
		if word[i] != '-' {
			continue
		}
		before, after := word[:i], word[i+1:]
		if strings.HasPrefix(after, "-") {
			dash := i + len(word[i:]) - len(strings.TrimLeft(word[i:], "-"))
			if i == 0 {
				if dash < len(word) {
					return dash
				}
				return 0
			}
			if dash < len(word) {
				return i
			}
			return 0
		}
		r1, n1 := utf8.DecodeLastRuneInString(before)
		r2, _ := utf8.DecodeLastRuneInString(before[:len(before)-n1])
		a1, k := utf8.DecodeRuneInString(after)
		a2, _ := utf8.DecodeRuneInString(after[k:])
		if letter(r1) && letter(r2) && letter(a1) && (letter(a2) || a2 == '-') {
			return i + 1
		}
	}
	return 0
}
