package local

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"weft/chat"
)

// writer turns the bytes of tokens into text that may be sent. It holds back
// what could still become a stop string, and the beginning of a character
// whose end has not come. What it sends does not depend on where one token
// ends and the next begins.
type writer struct {
	stops   []string
	buf     []byte // not yet sent
	from    int    // index in buf where stop strings may begin
	pending []held // tokens whose text has not been sent in full
	size    int    // bytes of text, sent and held
	begun   bool   // stops are looked for: what comes is new text, not an echo
}

// held is the log-probability of a token whose text ends at byte end.
type held struct {
	lp         chat.TokenLogprob
	start, end int
}

// begin says that the echo, if any, is over.
func (w *writer) begin() { w.from, w.begun = len(w.buf), true }

// add appends the bytes of one token; lp is nil when nobody asked.
func (w *writer) add(b []byte, lp *chat.TokenLogprob) {
	w.buf = append(w.buf, b...)
	if lp != nil {
		w.pending = append(w.pending, held{*lp, w.size, w.size + len(b)})
	}
	w.size += len(b)
}

// take returns what may be sent by now. stopped says that a stop string is
// complete: the text before it has then been returned and the rest is gone.
func (w *writer) take() (text string, logprobs []chat.TokenLogprob, stopped bool) {
	cut := len(w.buf)
	if w.begun {
		if at := w.stopAt(); at >= 0 {
			text, logprobs = w.send(at, true)
			return text, logprobs, true
		}
		cut -= w.stopBegun()
	}
	if cut == len(w.buf) {
		cut -= incomplete(w.buf)
	}
	text, logprobs = w.send(cut, false)
	return text, logprobs, false
}

// flush returns what was held back: no stop string will come, nor the rest of
// a character.
func (w *writer) flush() (text string, logprobs []chat.TokenLogprob) {
	return w.send(len(w.buf), true)
}

// stopAt returns where the stop string begins that is the first to be
// complete, the longest of those that end together; -1: none.
func (w *writer) stopAt() int {
	at, end := -1, len(w.buf)+1
	for _, s := range w.stops {
		i := bytes.Index(w.buf[w.from:], []byte(s))
		if i < 0 {
			continue
		}
		i += w.from
		if e := i + len(s); e < end || e == end && i < at {
			at, end = i, e
		}
	}
	return at
}

// stopBegun returns the length of the longest end of buf that begins a stop.
func (w *writer) stopBegun() int {
	longest := 0
	for _, s := range w.stops {
		for n := min(len(s)-1, len(w.buf)-w.from); n > longest; n-- {
			if string(w.buf[len(w.buf)-n:]) == s[:n] {
				longest = n
			}
		}
	}
	return longest
}

// send gives out the first n bytes as valid UTF-8, with the log-probabilities
// of the tokens that lie within them; at the end of the text (last) also of
// those that begin there.
func (w *writer) send(n int, last bool) (string, []chat.TokenLogprob) {
	sent := w.size - len(w.buf) + n // bytes sent after this call
	var logprobs []chat.TokenLogprob
	for len(w.pending) > 0 {
		if p := w.pending[0]; p.end > sent && (!last || p.start >= sent) {
			break
		}
		logprobs = append(logprobs, w.pending[0].lp)
		w.pending = w.pending[1:]
	}
	text := valid(w.buf[:n])
	w.buf = w.buf[n:]
	w.from = max(0, w.from-n)
	return text, logprobs
}

// incomplete returns how many bytes at the end of b begin a character whose
// rest may follow.
func incomplete(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if tail := b[len(b)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}

// valid puts U+FFFD for every byte that is not part of a character.
func valid(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var s strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		s.WriteRune(r)
		b = b[n:]
	}
	return s.String()
}
