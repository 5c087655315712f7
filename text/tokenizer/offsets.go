package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// place appends the spans of the ids of one piece. A known token stands where its
// text comes next; unknowns share what lies in front of it, a character each
// and the last one the rest.
func (r *encoding) place(s strand, ids []int32) {
	if r.names != nil {
		for _, id := range ids {
			r.names = append(r.names, r.t.name(r.t.tokens[id]))
		}
	}
	at := 0
	for i := 0; i < len(ids); {
		start, end := at, len(s.text)
		n := 0 // unknowns in a row
		for i+n < len(ids) && r.t.isUnknown(ids[i+n]) {
			n++
		}
		known := i+n < len(ids)
		if known {
			start, end = r.t.locate(s.text, at, ids[i+n], i+n > 0, i+n == len(ids)-1)
			if n == 0 && start > at && r.t.unk == "" {
				at = start // what the vocabulary lacks is left out
			}
		}
		gap := len(s.text)
		if known {
			gap = start
		}
		for k := range n {
			_, size := utf8.DecodeRuneInString(s.text[at:gap])
			if k == n-1 {
				size = gap - at
			}
			r.spans = append(r.spans, s.span(at, at+size))
			at += size
		}
		if known {
			r.spans = append(r.spans, s.span(start, end))
			at = end
			n++
		}
		i += n
	}
}

// isUnknown says whether id stands for text that the vocabulary lacks.
func (t *Tokenizer) isUnknown(id int32) bool { return id == t.unkID }

// locate finds the text of a token in a piece, from byte at on; inside says that it
// is not the first, last that it is the last.
func (t *Tokenizer) locate(piece string, at int, id int32, inside, last bool) (start, end int) {
	text := t.tokens[id].text
	if inside {
		text = strings.TrimPrefix(text, t.prefix)
	}
	if t.tokens[id].kind == fallback {
		return at, min(at+1, len(piece))
	}
	if last {
		text = strings.TrimSuffix(text, t.suffix)
	}
	i := strings.Index(piece[at:], text)
	if i < 0 { // a word's suffix or prefix that text holds by chance
		return at, min(at+len(text), len(piece))
	}
	return at + i, at + i + len(text)
}

// trim takes the spaces at the ends of tokens out of their spans, as the
// post-processors of the file ask for: for each white character of a token's name,
// a character of the original text.
func (r *encoding) trim(text string) {
	for _, how := range r.t.frame.trims {
		for i, name := range r.names {
			s := &r.spans[i]
			core := strings.TrimLeftFunc(name, spaceName)
			lead := utf8.RuneCountInString(name[:len(name)-len(core)])
			tail := utf8.RuneCountInString(name[len(strings.TrimRightFunc(name, spaceName)):])
			if how.keep && lead == 1 && (i == 0 || s.Start == 0) {
				lead = 0
			}
			for ; lead > 0 && s.Start < s.End; lead-- {
				_, n := utf8.DecodeRuneInString(text[s.Start:s.End])
				s.Start += n
			}
			for ; tail > 0 && s.End > s.Start; tail-- {
				_, n := utf8.DecodeLastRuneInString(text[s.Start:s.End])
				s.End -= n
			}
		}
	}
}

// spaceName says whether a character of a token's name is white, ByteLevel's
// spelling of the space included.
func spaceName(c rune) bool { return c == byteRune(' ') || unicode.IsSpace(c) }
