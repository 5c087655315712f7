package tokenizer

import (
	"encoding/json"
	"fmt"
)

// byteLevel says whether the model takes bytes as they are: BPE, with ByteLevel
// as the last step in front of it.
func (s *spec) byteLevel() bool {
	if s.kind != bpeModel && s.kind != "" || s.byteful || s.prefix != "" || s.suffix != "" || s.exact != nil {
		return false
	}
	steps, err := node{path: "pre_tokenizer", data: s.preTokenizer}.steps("pretokenizers")
	if len(s.preTokenizer) == 0 || err != nil || len(steps) == 0 {
		return false
	}
	kind, err := steps[len(steps)-1].kind()
	return err == nil && kind == "ByteLevel"
}

// find is the id of the token of a name, -1 if there is none.
func (s *spec) find(name string) int32 {
	if name == "" {
		return -1
	}
	for _, a := range s.added {
		if a.content == name {
			return a.id
		}
	}
	for id, t := range s.tokens {
		if t.text == name && (t.kind == plain || t.kind == special || t.kind == literal) {
			return int32(id)
		}
	}
	return -1
}

// index lists the tokens that text is made of.
func (s *spec) index() (map[string]int32, error) {
	vocab := make(map[string]int32, len(s.tokens))
	for id, t := range s.tokens {
		if t.kind != plain {
			continue
		}
		if old, twice := vocab[t.text]; twice {
			return nil, fmt.Errorf("tokens %d and %d are both %q: %w", old, id, t.text, ErrFormat)
		}
		vocab[t.text] = int32(id)
	}
	return vocab, nil
}

// byteIDs is the id of each byte: its token in byte-level vocabularies, otherwise
// that of byte fallback; -1 where there is none.
func (s *spec) byteIDs(level bool) (ids [256]int32) {
	for i := range ids {
		ids[i] = -1
	}
	for id, t := range s.tokens {
		if t.kind == fallback || level && t.kind == plain && len(t.text) == 1 {
			ids[t.text[0]] = int32(id)
		}
	}
	return ids
}

// newModel builds the model that a spec describes.
func (s *spec) newModel(level bool) (model, error) {
	switch s.kind {
	case bpeModel, "":
		return newBPE(s, level)
	case wordPieceModel:
		return newWordPiece(s)
	case wordLevelModel:
		return newWordLevel(s)
	case unigramModel:
		vocab := make([]scored, len(s.tokens))
		for id, t := range s.tokens {
			vocab[id] = scored{text: t.text, kind: t.kind}
			if id < len(s.scores) {
				vocab[id].score = s.scores[id]
			}
		}
		o := unigramOptions{unk: s.find(s.unk), byteful: s.byteful}
		if s.exact != nil {
			o.single, o.symbols = true, s.exact.ids
		}
		return newUnigram(vocab, o)
	}
	return nil, fmt.Errorf("type %q: %w; want one of %s, %s, %s, %s", string(s.kind), ErrUnsupported, bpeModel, unigramModel, wordPieceModel, wordLevelModel)
}

// preTokenizerOf is a pattern in the words of tokenizer.json.
func preTokenizerOf(p *pattern) json.RawMessage {
	own := true
	byteLevel := byteLevelJSON{Type: "ByteLevel", TrimOffsets: true, UseRegex: &own}
	var v any = byteLevel
	switch {
	case p.digits:
		v = map[string]any{"type": "Sequence", "pretokenizers": []any{json.RawMessage(digitsJSON), byteLevel}}
	case len(p.regex) > 0:
		own = false
		split := splitJSON{Type: "Split", Behavior: isolated}
		split.Pattern.Regex = &p.regex[0]
		v = map[string]any{"type": "Sequence", "pretokenizers": []any{split, byteLevel}}
	}
	return mustJSON(v)
}

const digitsJSON = `{"type":"Digits","individual_digits":true}`

// byteLevelDecoder is the decoder of byte-level vocabularies.
const byteLevelDecoder = `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}`

const spmSpace = "▁" // U+2581, how SentencePiece spells a space

// The Llama-2 layout, as transformers' LlamaConverter wrote it: the normaliser
// makes spaces visible and puts one in front, the decoder undoes it.
const (
	spmReplace    = `{"type":"Replace","pattern":{"String":" "},"content":"▁"}`
	spmNormalizer = `{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},` + spmReplace + `]}`
	spmDecoder    = `{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}`
)
