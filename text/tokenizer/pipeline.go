package tokenizer

import (
	"encoding/json"
	"slices"
)

// pipeline is what the sections of a spec come to.
type pipeline struct {
	normalizers   []normalizer
	preTokenizers []preTokenizer
	frame         frame
	decoding      decoding
	level         bool // the model takes bytes: see spec.byteLevel
	traced        bool // bytes are traced even if nobody asks: a step wants to know where text begins

	late *overrun // see Err

	// pattern does the work of preTokenizers in one go, for byte-level vocabularies
	// with a known one; nil for others. leading puts a space in front of text that
	// has none.
	pattern *pattern
	leading bool
}

// read reads the sections. Errors begin with the way to what they are about.
func (p *pipeline) read(s *spec) (err error) {
	p.level = s.byteLevel()
	p.late = &overrun{}
	if p.normalizers, err = readNormalizers(node{"normalizer", s.normalizer}); err != nil {
		return err
	}
	cut := node{"pre_tokenizer", s.preTokenizer}
	if p.preTokenizers, err = readPreTokenizers(cut, p.level); err != nil {
		return err
	}
	if p.frame, err = readFrame(node{"post_processor", s.postProcessor}, s.tokens); err != nil {
		return err
	}
	if p.decoding, err = readDecoding(node{"decoder", s.decoder}, p.late); err != nil {
		return err
	}
	if s.exact != nil {
		p.normalizers = []normalizer{s.exact.normalize}
		p.decoding = s.exact.decoding(s.unk)
		p.preTokenizers = nil
		if s.kind != unigramModel {
			p.preTokenizers = []preTokenizer{s.exact.pieces}
		}
	}
	if p.level {
		p.shorten(cut)
	}
	p.traced = len(p.normalizers) > 0 && asksForStart(cut)
	return nil
}

// pieces is cut as a pre-tokenizer.
func (x *spmText) pieces(dst []strand, s strand) []strand {
	at := 0
	x.cut(s.text, func(piece string) {
		dst = append(dst, s.sub(at, at+len(piece)))
		at += len(piece)
	})
	return dst
}

// asksForStart says whether a Metaspace puts a space in front of the first word
// of a text only.
func asksForStart(n node) bool {
	if n.null() {
		return false
	}
	steps, err := n.steps("pretokenizers")
	return err == nil && slices.ContainsFunc(steps, func(s node) bool {
		var m struct{ Type, Prepend_scheme string }
		return json.Unmarshal(s.data, &m) == nil && m.Type == "Metaspace" && m.Prepend_scheme == "first"
	})
}

// shorten finds the pattern that the steps of a byte-level vocabulary come to, if
// it is a known one: ByteLevel with its own, the same behind Digits, or Split and
// ByteLevel without. Known patterns match everything, so that matches kept and
// gaps dropped come to the same as matches set apart.
func (p *pipeline) shorten(n node) {
	steps, err := n.steps("pretokenizers")
	if err != nil || len(steps) > 2 {
		return
	}
	var last byteLevelJSON
	if json.Unmarshal(steps[len(steps)-1].data, &last) != nil {
		return
	}
	pat := &pattern{}
	switch {
	case len(steps) == 1 && last.regex():
		pat, err = patternNamed("gpt2")
	case len(steps) == 2 && last.regex() && !last.PrefixSpace && same(steps[0].data, []byte(digitsJSON)):
		pat, err = patternNamed("gpt2-digits")
	case len(steps) == 2 && !last.regex() && !last.PrefixSpace:
		var split splitJSON
		if json.Unmarshal(steps[0].data, &split) != nil || split.Type != "Split" || split.Pattern.Regex == nil {
			return
		}
		if split.Behavior == isolated && !split.Invert || split.Behavior == removed && split.Invert {
			pat, err = patternOf(*split.Pattern.Regex)
		}
	}
	if err == nil && pat.next != nil {
		p.pattern, p.leading = pat, last.PrefixSpace
	}
}

// same says whether two JSON texts mean the same.
func same(a, b []byte) bool { return canonical(a) == canonical(b) }

// canonical spells a JSON text in one way: sorted, without white space; nothing
// for none.
func canonical(data []byte) string {
	var v any
	if len(data) == 0 || json.Unmarshal(data, &v) != nil || v == nil {
		return ""
	}
	return string(mustJSON(v))
}

// normalize runs all normalizers.
func (p *pipeline) normalize(s strand) strand {
	for _, f := range p.normalizers {
		s = f(s)
	}
	return s
}

// cut runs all pre-tokenizers: each cuts the pieces of the one before.
func (p *pipeline) cut(s strand) []strand {
	list := []strand{s}
	var next []strand
	for _, f := range p.preTokenizers {
		next = next[:0]
		for _, piece := range list {
			if piece.text != "" {
				next = f(next, piece)
			}
		}
		list, next = next, list
	}
	return list
}
