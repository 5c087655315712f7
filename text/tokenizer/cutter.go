package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// cutter cuts s: it calls yield for every match, and with match false for every
// stretch between matches, in order, as byte ranges of its text; together they
// cover it.
type cutter func(s strand, yield func(start, end int, match bool))

// patternCutter cuts by a regular expression. One that takes too long on a text
// (see ErrPattern) finds nothing in the rest of it, and the text's late is told.
func patternCutter(p *pattern) cutter {
	return func(s strand, yield func(start, end int, match bool)) {
		last := 0
		err := p.each(s.text, func(start, end int, match bool) {
			yield(start, end, match)
			last = end
		})
		if err == nil {
			return
		}
		s.late.note(err)
		if last < len(s.text) {
			yield(last, len(s.text), false)
		}
	}
}

// textCutter finds a text.
func textCutter(find string) cutter {
	return func(in strand, yield func(start, end int, match bool)) {
		s := in.text
		for last := 0; last < len(s); {
			at := strings.Index(s[last:], find)
			if at < 0 {
				yield(last, len(s), false)
				return
			}
			if at > 0 {
				yield(last, last+at, false)
			}
			yield(last+at, last+at+len(find), true)
			last += at + len(find)
		}
	}
}

// runeCutter finds characters, each by itself.
func runeCutter(is func(r rune) bool) cutter {
	return func(in strand, yield func(start, end int, match bool)) {
		s, last := in.text, 0
		for i := 0; i < len(s); {
			r, n := utf8.DecodeRuneInString(s[i:])
			if is(r) {
				if last < i {
					yield(last, i, false)
				}
				yield(i, i+n, true)
				last = i + n
			}
			i += n
		}
		if last < len(s) {
			yield(last, len(s), false)
		}
	}
}

// behavior says what becomes of the matches that text is cut at.
type behavior string

const (
	isolated     behavior = "Isolated"           // each is a piece
	removed      behavior = "Removed"            // they are dropped
	contiguous   behavior = "Contiguous"         // neighbours are one piece
	withPrevious behavior = "MergedWithPrevious" // the first of neighbours belongs to what stands in front
	withNext     behavior = "MergedWithNext"     // the last of neighbours belongs to what stands behind
)

// known says whether b is one of the behaviors.
func (b behavior) known() bool {
	switch b {
	case isolated, removed, contiguous, withPrevious, withNext:
		return true
	}
	return false
}

// stretch is a part of a text and whether it is a match.
type stretch struct {
	start, end int
	match      bool
}

// cut appends the pieces of s. With invert, what lies between matches counts as
// the matches. Empty pieces are left out.
func (b behavior) cut(dst []strand, s strand, c cutter, invert bool) []strand {
	add := func(start, end int) {
		if start < end {
			dst = append(dst, s.sub(start, end))
		}
	}
	if b == isolated || b == removed {
		c(s, func(start, end int, match bool) {
			if b == isolated || match == invert {
				add(start, end)
			}
		})
		return dst
	}
	var list []stretch
	c(s, func(start, end int, match bool) { list = append(list, stretch{start, end, match != invert}) })
	start := 0 // of the piece that is being put together
	for i, p := range list {
		last := i == len(list)-1
		var ends bool // a piece ends behind p
		switch b {
		case contiguous:
			ends = last || list[i+1].match != p.match
		case withPrevious:
			ends = last || !list[i+1].match || p.match
		case withNext:
			ends = last || !p.match || list[i+1].match
		}
		if ends {
			add(start, p.end)
			start = p.end
		}
	}
	return dst
}
