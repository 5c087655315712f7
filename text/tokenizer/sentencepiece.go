package tokenizer

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
)

// sentencePieceDraft reads a .model of SentencePiece (github.com/google/
// sentencepiece): models of kind unigram, bpe and char, with byte fallback,
// user-defined symbols and any table of replacements. Ids are those of its
// encode; U+FFFD stands for bytes that are no UTF-8 only where the file asks for
// replacements or for spaces to be collapsed, otherwise such bytes stay. Decode
// spells special tokens out, but for the unknown one, which has unk_surface.
//
// Save writes a tokenizer.json that means the same to other programs but for the
// rare texts where the normalizers that it can name differ from SentencePiece's:
// clusters of characters of which only a part is replaced.
//
// Errors name the piece.
func sentencePieceDraft(data []byte) (d draft, err error) {
	f, err := readSpm(data)
	if err != nil {
		return d, err
	}
	if len(f.denormalizer) > 0 {
		return d, fmt.Errorf("denormalizer_spec: %w: text would not decode as its author meant", ErrUnsupported)
	}
	d = draft{bos: f.bos, eos: f.eos}
	d.spec, err = f.spec()
	return d, err
}

// mark sets the tokens that begin and end a text, where they are special tokens.
func (t *Tokenizer) mark(bos, eos string) {
	if id, ok := t.specials[bos]; ok {
		t.bos = id
	}
	if id, ok := t.specials[eos]; ok {
		t.eos = id
	}
}

// spec turns the file into a vocabulary and the steps around it.
func (f *spmFile) spec() (*spec, error) {
	s := &spec{}
	symbols, err := f.tokens(s)
	if err != nil {
		return nil, err
	}
	s.byteful = f.byteful
	switch f.model {
	case spmUnigram:
		s.kind = unigramModel
		s.scores = make([]float64, len(f.pieces))
		for id, p := range f.pieces {
			s.scores[id] = float64(p.score)
		}
	case spmBPE:
		s.fuse, s.whole = true, len(symbols) > 0
		scores := make([]float32, len(f.pieces))
		never := float32(math.Inf(-1))
		for id, p := range f.pieces {
			if scores[id] = p.score; p.kind == spmUserDefined {
				scores[id] = never
			}
		}
		if s.merges, err = scoreMerges(s, scores, never); err != nil {
			return nil, err
		}
	case spmChar:
		s.fuse, s.whole = true, len(symbols) > 0
	default:
		return nil, fmt.Errorf("trainer_spec.model_type %d: %w; want %d (unigram), %d (bpe) or %d (char)", f.model, ErrUnsupported, spmUnigram, spmBPE, spmChar)
	}
	return s, f.steps(s, symbols)
}

// tokens fills in the vocabulary and returns the user-defined symbols.
func (f *spmFile) tokens(s *spec) (symbols []trieKey, err error) {
	seen := make(map[string]int, len(f.pieces))
	for id, p := range f.pieces {
		switch old, twice := seen[p.text]; {
		case twice:
			return nil, fmt.Errorf("pieces %d and %d are both %q: %w", old, id, p.text, ErrFormat)
		case p.text == "" || p.score != p.score:
			return nil, fmt.Errorf("piece %d is %q with a score of %v: %w", id, p.text, p.score, ErrFormat)
		}
		seen[p.text] = id
		t := token{text: p.text, kind: plain}
		switch p.kind {
		case spmNormal:
		case spmUserDefined:
			if f.apart {
				t = s.special(id, p.text, false)
			} else {
				symbols = append(symbols, trieKey{p.text, int32(id)})
			}
		case spmUnknown, spmControl:
			if p.kind == spmUnknown && s.unk != "" {
				return nil, fmt.Errorf("pieces %q and %q are both the unknown one: %w", s.unk, p.text, ErrFormat)
			}
			if p.kind == spmUnknown {
				s.unk = p.text
			}
			t = s.special(id, p.text, true)
		case spmByte:
			b, ok := fallbackByte(p.text)
			if !ok || !f.byteful {
				return nil, fmt.Errorf("piece %d %q is a byte, and byte_fallback %v: %w", id, p.text, f.byteful, ErrFormat)
			}
			t = token{text: string([]byte{b}), kind: fallback}
		case spmUnused:
			if f.model != spmUnigram && !f.apart {
				return nil, fmt.Errorf("piece %d %q is of kind unused: %w", id, p.text, ErrUnsupported)
			}
			t.kind = literal
		default:
			return nil, fmt.Errorf("piece %d %q is of kind %d: %w", id, p.text, p.kind, ErrUnsupported)
		}
		s.tokens = append(s.tokens, t)
	}
	if s.unk == "" && !(f.apart && f.byteful) {
		return nil, fmt.Errorf("no piece is the unknown one: %w", ErrFormat)
	}
	return symbols, nil
}

// steps says how text is prepared: in the words of tokenizer.json, and where
// these do not say it exactly by what SentencePiece does.
func (f *spmFile) steps(s *spec, symbols []trieKey) error {
	table, err := newCharsmap(f.charsmap)
	if err != nil {
		return err
	}
	plainSpaces := len(f.charsmap) == 0 && !f.collapse && f.escape && !(f.suffix && f.prefix)
	if f.model == spmUnigram || !plainSpaces {
		x := &spmText{charsmap: table, prefix: f.prefix, suffix: f.suffix, collapse: f.collapse, escape: f.escape, unk: f.unk}
		for _, k := range symbols {
			x.ids = append(x.ids, k.id)
		}
		if len(symbols) > 0 {
			x.symbols = newTrie(slices.Clone(symbols))
		}
		s.exact = x
	}
	s.normalizer, s.preTokenizer = f.normalizerJSON(), splitAround(symbols)
	s.decoder = f.decoder(s.unk)
	return nil
}

// decoder gives spaces back, and takes away the one in front that was put there.
// The unknown token has a spelling of its own; no other token is spelled as it is.
func (f *spmFile) decoder(unk string) json.RawMessage {
	text := spmDecoder
	if !f.prefix || f.suffix {
		text = spmBareDecoder
	}
	if !f.byteful {
		replace := mustJSON(replaceJSON("String", unk, f.unk))
		text = strings.Replace(text, "[", "["+string(replace)+",", 1)
	}
	return json.RawMessage(text)
}

// spmBareDecoder is spmDecoder for a vocabulary that puts no space in front.
const spmBareDecoder = `{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"}]}`

// normalizerJSON spells the preparation as normalizers of tokenizer.json.
func (f *spmFile) normalizerJSON() json.RawMessage {
	var steps []any
	if len(f.charsmap) > 0 {
		steps = append(steps, orderedJSON{{"type", "Precompiled"}, {"precompiled_charsmap", base64.StdEncoding.EncodeToString(f.charsmap)}})
	}
	if f.collapse {
		steps = append(steps, orderedJSON{{"type", "Strip"}, {"strip_left", true}, {"strip_right", true}}, replaceJSON("Regex", " {2,}", " "))
	}
	space := " "
	if f.escape {
		space = spmSpace
	}
	switch {
	case f.prefix && f.suffix:
		steps = append(steps, replaceJSON("Regex", `(?<=.)\z`, space))
	case f.prefix:
		steps = append(steps, orderedJSON{{"type", "Prepend"}, {"prepend", space}})
	}
	if f.escape {
		steps = append(steps, replaceJSON("String", " ", spmSpace))
	}
	switch len(steps) {
	case 0:
		return nil
	case 1:
		return mustJSON(steps[0])
	}
	return mustJSON(orderedJSON{{"type", "Sequence"}, {"normalizers", steps}})
}

// replaceJSON is a step that puts content in the place of a String or Regex.
func replaceJSON(kind, pattern, content string) orderedJSON {
	return orderedJSON{{"type", "Replace"}, {"pattern", orderedJSON{{kind, pattern}}}, {"content", content}}
}

// splitAround is a pre-tokenizer that sets symbols apart, the longest first; nil
// without any.
func splitAround(symbols []trieKey) json.RawMessage {
	if len(symbols) == 0 {
		return nil
	}
	names := make([]string, len(symbols))
	for i, s := range symbols {
		names[i] = regexp.QuoteMeta(s.text)
	}
	slices.SortFunc(names, func(a, b string) int { return len(b) - len(a) })
	return mustJSON(orderedJSON{{"type", "Split"}, {"pattern", orderedJSON{{"Regex", strings.Join(names, "|")}}}, {"behavior", "Isolated"}, {"invert", false}})
}
