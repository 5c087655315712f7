package tokenizer

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Stream decodes one id at a time into text that is always valid UTF-8: bytes
// of an unfinished character wait for the rest, at most three of them. Bytes
// that cannot begin or continue a character become U+FFFD, one for each
// longest beginning of a character that breaks off (Unicode 15, section 3.9,
// "substitution of maximal subparts"). Not safe for concurrent use.
type Stream struct {
	tok   *Tokenizer
	start bool   // no text stands in front
	held  []byte // the beginning of a character
}

// NewStream begins a stream. before holds ids whose text has been shown
// already, such as the prompt that a reply goes on from: with them, a
// SentencePiece vocabulary keeps the space of the first word that is pushed;
// without any, or with BOS as the last, it is dropped as at the start of a text.
func (t *Tokenizer) NewStream(before ...int32) *Stream {
	return &Stream{tok: t, start: len(before) == 0 || t.bos >= 0 && before[len(before)-1] == t.bos}
}

// Push adds an id and returns the text that it completes.
func (s *Stream) Push(id int32) string {
	text := s.tok.piece(id, s.start)
	s.start = id == s.tok.bos && id >= 0
	if len(s.held) == 0 && utf8.ValidString(text) {
		return text
	}
	s.held = append(s.held, text...)
	return s.take(false)
}

// Flush ends the text: what is still held becomes U+FFFD. The stream can go on.
func (s *Stream) Flush() string { return s.take(true) }

// take returns the whole characters at the front of what is held, and with all
// also the beginning of one that may follow them.
func (s *Stream) take(all bool) string {
	var b strings.Builder
	p := s.held
	for len(p) > 0 && (all || utf8.FullRune(p)) {
		r, n := utf8.DecodeRune(p)
		if r == utf8.RuneError && n == 1 {
			n = subpart(p)
		}
		b.WriteRune(r)
		p = p[n:]
	}
	s.held = slices.Delete(s.held, 0, len(s.held)-len(p))
	return b.String()
}

// subpart is the length of the longest beginning of a character at the front of
// p, which does not hold a whole one; at least 1.
func subpart(p []byte) int {
	for n := min(len(p), 3); n > 1; n-- {
		if !utf8.FullRune(p[:n]) {
			return n
		}
	}
	return 1
}
