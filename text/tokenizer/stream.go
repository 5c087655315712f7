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
// "substitution of maximal subparts"). Decoders that must know what follows hold
// a token back, or in the case of CTC and its like as much as they need. Not safe
// for concurrent use.
type Stream struct {
	sink idSink
	text strings.Builder
	held []byte // the beginning of a character
}

// NewStream begins a stream. before holds ids whose text has been shown
// already, such as the prompt that a reply goes on from: with them, a
// SentencePiece vocabulary keeps the space of the first word that is pushed;
// without any, or with BOS as the last, it is dropped as at the start of a text.
func (t *Tokenizer) NewStream(before ...int32) *Stream {
	s := &Stream{}
	s.sink = t.newSink(&textSink{&s.text})
	if n := len(before); n > 0 && (t.bos < 0 || before[n-1] != t.bos) {
		s.sink.resume()
	}
	return s
}

// Push adds an id and returns the text that it completes.
func (s *Stream) Push(id int32) string {
	s.sink.push(id)
	return s.take(false)
}

// Flush ends the text: what is still held comes out, the beginning of a character
// as U+FFFD. The stream can go on.
func (s *Stream) Flush() string {
	s.sink.flush()
	s.sink.resume()
	return s.take(true)
}

// take returns the whole characters at the front of what is there, and with all
// also the beginning of one that may follow them.
func (s *Stream) take(all bool) string {
	text := s.text.String()
	s.text.Reset()
	if len(s.held) == 0 && utf8.ValidString(text) {
		return text
	}
	s.held = append(s.held, text...)
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

// textSink is the end of a decoder.
type textSink struct{ b *strings.Builder }

func (s *textSink) push(text string) { s.b.WriteString(text) }
func (s *textSink) pause()           {}
func (s *textSink) flush()           {}
func (s *textSink) resume()          {}

// idSink takes ids to a decoder.
type idSink struct {
	t    *Tokenizer
	next sink
}

// newSink puts the decoder in front of out; nothing where tokens stand for their
// bytes wherever they are.
func (t *Tokenizer) newSink(out sink) idSink {
	if !t.direct() {
		out = t.decoding.chain(out)
	}
	return idSink{t, out}
}

// direct says whether tokens stand for their bytes.
func (t *Tokenizer) direct() bool { return t.level && t.decoding.bytes }

func (s idSink) push(id int32) {
	switch {
	case !s.t.known(id):
		s.next.push("\ufffd")
	case s.t.direct():
		s.next.push(s.t.tokens[id].text)
	default:
		s.next.push(s.t.name(s.t.tokens[id]))
	}
	if id == s.t.bos && id >= 0 && s.t.decoding.restarts {
		s.next.flush()
	}
}

func (s idSink) pause()  { s.next.pause() }
func (s idSink) flush()  { s.next.flush() }
func (s idSink) resume() { s.next.resume() }
