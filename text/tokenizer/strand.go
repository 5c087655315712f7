package tokenizer

import "unicode/utf8"

// Span is a range of bytes of a text: from Start up to but without End.
type Span struct{ Start, End int }

// strand is a stretch of text on its way from normalizer to model.
type strand struct {
	text string
	at   int // where it begins in the original, as long as nothing has changed
	// from says for each byte of text which bytes of the original it stands for:
	// those of whole characters. nil when nobody asks; at tells then.
	from []Span
	late *overrun // where a pattern says that it gave up on this text
}

// tracked is all of an original text whose bytes are to be traced.
func tracked(text string) strand {
	s := strand{text: text, from: make([]Span, len(text))}
	for i := 0; i < len(text); {
		_, n := utf8.DecodeRuneInString(text[i:])
		for j := range n {
			s.from[i+j] = Span{i, i + n}
		}
		i += n
	}
	return s
}

// sub is the part of s from byte i up to but without j.
func (s strand) sub(i, j int) strand {
	s.text, s.at = s.text[i:j], s.at+i
	if s.from != nil {
		s.from = s.from[i:j]
	}
	return s
}

// begins says whether s starts where the original does.
func (s strand) begins() bool {
	if len(s.from) > 0 {
		return s.from[0].Start == 0
	}
	return s.at == 0
}

// span is what bytes i up to but without j stand for in the original; of an
// empty range, the place behind what stands in front of it.
func (s strand) span(i, j int) Span {
	switch {
	case s.from == nil:
		return Span{s.at + i, s.at + j}
	case i < j:
		return Span{s.from[i].Start, s.from[j-1].End}
	case i > 0:
		return Span{s.from[i-1].End, s.from[i-1].End}
	case len(s.from) > 0:
		return Span{s.from[0].Start, s.from[0].Start}
	}
	return Span{}
}

// rewrite makes a new strand of an old one from left to right. As long as nothing
// is replaced it costs nothing.
type rewrite struct {
	in   strand
	done int // bytes of in that are dealt with
	same int // bytes at the front of in that were kept as they are
	out  []byte
	from []Span
}

// keep copies the input up to end.
func (w *rewrite) keep(end int) {
	if w.done == w.same {
		w.same, w.done = end, end
		return
	}
	w.out = append(w.out, w.in.text[w.done:end]...)
	if w.in.from != nil {
		w.from = append(w.from, w.in.from[w.done:end]...)
	}
	w.done = end
}

// put writes text in the place of the input up to end. Each of its bytes stands
// for all that it takes the place of.
func (w *rewrite) put(end int, text string) {
	if w.in.text[w.done:end] == text {
		w.keep(end)
		return
	}
	if w.out == nil {
		w.out = append(make([]byte, 0, len(w.in.text)+len(text)+8), w.in.text[:w.same]...)
		if w.in.from != nil {
			w.from = append(make([]Span, 0, cap(w.out)), w.in.from[:w.same]...)
		}
	}
	w.out = append(w.out, text...)
	if w.in.from != nil {
		span := w.in.span(w.done, end)
		for range len(text) {
			w.from = append(w.from, span)
		}
	}
	w.done = end
	w.same = -1
}

// finish keeps the rest and returns the new strand.
func (w *rewrite) finish() strand {
	w.keep(len(w.in.text))
	if w.same >= 0 {
		return w.in
	}
	out := w.in
	out.text, out.from = string(w.out), w.from
	return out
}

// prepend puts text in front, as part of the first character.
func (s strand) prepend(text string) strand {
	if s.text == "" || text == "" {
		return s
	}
	_, n := utf8.DecodeRuneInString(s.text)
	w := rewrite{in: s}
	w.put(n, text+s.text[:n])
	return w.finish()
}

// eachRune replaces characters one by one: to says by what, or false to keep one.
// Bytes that are not UTF-8 come as utf8.RuneError, one at a time.
func (s strand) eachRune(to func(r rune) (string, bool)) strand {
	w := rewrite{in: s}
	for i := 0; i < len(s.text); {
		r, n := utf8.DecodeRuneInString(s.text[i:])
		if text, ok := to(r); ok {
			w.keep(i)
			w.put(i+n, text)
		}
		i += n
	}
	return w.finish()
}
