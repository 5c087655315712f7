package tokenizer

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// spmText is how SentencePiece prepares text (normalizer.cc): replacements by
// the longest spelling, runs of spaces, a space in front, spaces made visible.
// tokenizer.json can only come close, see spec.exact.
type spmText struct {
	charsmap charsmap
	symbols  *trie   // user-defined symbols, which are left as they are; nil none
	ids      []int32 // of the symbols
	prefix   bool    // a space is put in front of any text
	suffix   bool    // behind it instead
	collapse bool    // runs of spaces become one, and none stands at the ends
	escape   bool    // spaces are spelled ▁
	unk      string  // what the unknown token decodes to
}

// cut divides prepared text at the symbols, which no merge may cross.
func (s *spmText) cut(text string, yield func(piece string)) {
	from := 0
	for at := 0; s.symbols != nil && at < len(text); {
		n, _ := s.symbols.longest(text[at:])
		if n == 0 {
			_, n = utf8.DecodeRuneInString(text[at:])
			at += n
			continue
		}
		if from < at {
			yield(text[from:at])
		}
		yield(text[at : at+n])
		at += n
		from = at
	}
	if from < len(text) {
		yield(text[from:])
	}
}

// prefixOf normalises the front of text: how many bytes, and into what. A byte
// that is no UTF-8 becomes U+FFFD.
func (s *spmText) prefixOf(text string) (n int, to string) {
	if s.symbols != nil {
		if n, _ := s.symbols.longest(text); n > 0 {
			return n, text[:n]
		}
	}
	if n, to = s.charsmap.longest(text); n > 0 {
		return n, to
	}
	r, n := utf8.DecodeRuneInString(text)
	if r == utf8.RuneError && n == 1 {
		return 1, "\ufffd"
	}
	return n, text[:n]
}

// prepared is text on its way through normalize.
type prepared struct {
	in   strand
	out  []byte
	from []Span
}

// put writes text for bytes i up to but without j of the input.
func (p *prepared) put(text string, i, j int) {
	p.out = append(p.out, text...)
	if p.in.from != nil {
		span := p.in.span(i, j)
		for range len(text) {
			p.from = append(p.from, span)
		}
	}
}

// normalize prepares a whole text.
func (s *spmText) normalize(in strand) strand {
	text, at := in.text, 0
	if s.collapse {
		for at < len(text) {
			n, to := s.prefixOf(text[at:])
			if to != " " {
				break
			}
			at += n
		}
	}
	if at == len(text) {
		return strand{}
	}
	p := prepared{in: in, out: make([]byte, 0, len(text)+len(text)/2+8)}
	space := " "
	if s.escape {
		space = spmSpace
	}
	if s.prefix && !s.suffix {
		n, _ := s.prefixOf(text[at:])
		p.put(space, at, at+n)
	}
	after := s.collapse // a space stands in front, or nothing
	for at < len(text) {
		n, to := s.prefixOf(text[at:])
		for after && strings.HasPrefix(to, " ") {
			to = to[1:]
		}
		if to != "" {
			after = s.collapse && to[len(to)-1] == ' '
		}
		for to != "" {
			i := strings.IndexByte(to, ' ')
			if i < 0 {
				i = len(to)
			}
			p.put(to[:i], at, at+n)
			if to = to[i:]; to != "" {
				p.put(space, at, at+n)
				to = to[1:]
			}
		}
		at += n
	}
	for s.collapse && bytes.HasSuffix(p.out, []byte(space)) {
		p.out = p.out[:len(p.out)-len(space)]
		if p.from != nil {
			p.from = p.from[:len(p.out)]
		}
	}
	if s.prefix && s.suffix {
		p.put(space, at, at)
	}
	in.text, in.from = string(p.out), p.from
	return in
}

// decoding is how ids become text again (sentencepiece_processor.cc), where unk is
// the name of the unknown token.
func (s *spmText) decoding(unk string) decoding {
	step := func(next sink) sink { return &spmSink{next: next, text: s, unk: unk} }
	return decoding{steps: []decodeStep{step}, restarts: true}
}

// spmSink gives spaces back. As long as there is no text it takes away one space
// in front of each token, or of the first, as prepared text has it.
type spmSink struct {
	next  sink
	text  *spmText
	unk   string
	begun bool
}

func (d *spmSink) push(token string) {
	if b, ok := fallbackByte(token); ok {
		d.begun = true
		d.next.push(string([]byte{b}))
		return
	}
	if token == d.unk {
		token = d.text.unk
	} else if !d.begun && (d.text.prefix || d.text.collapse) {
		var space bool
		token, space = strings.CutPrefix(token, spmSpace)
		d.begun = space && !d.text.collapse
	}
	d.begun = d.begun || token != ""
	d.next.push(strings.ReplaceAll(token, spmSpace, " "))
}

func (d *spmSink) pause() { d.next.pause() }

func (d *spmSink) flush() {
	d.begun = false
	d.next.flush()
}

func (d *spmSink) resume() {
	d.begun = true
	d.next.resume()
}
