package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
)

// withSpecials adds special tokens behind all others.
func (s spec) withSpecials(names []string) spec {
	for _, name := range names {
		s.added = append(s.added, added{id: int32(len(s.tokens)), content: name, special: true})
		s.tokens = append(s.tokens, token{text: name, kind: special})
		if s.kind == unigramModel {
			s.scores = append(s.scores, 0)
		}
	}
	return s
}

// bpeSpec is byte-level BPE; texts are the bytes of all tokens, by id.
func bpeSpec(p *pattern, texts []string, merges []pair) spec {
	s := spec{preTokenizer: preTokenizerOf(p), decoder: json.RawMessage(byteLevelDecoder)}
	for _, text := range texts {
		s.tokens = append(s.tokens, token{text: text, kind: plain})
	}
	for i, m := range merges {
		s.merges = append(s.merges, merge{m.left, m.right, int32(256 + i)})
	}
	return s
}

const unigramDecoder = `{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"}]}`

// unigramSpec is a vocabulary as SentencePiece's are, but that nothing is put in
// front of a text. A byte's score is one that no run of pieces falls below:
// programs that look for <0x41> in text as well do not find it there.
func unigramSpec(p *pattern, pieces []scoredPiece, bytes bool) spec {
	s := spec{preTokenizer: unigramCut(p), decoder: json.RawMessage(unigramDecoder),
		modelSpec: modelSpec{kind: unigramModel, unk: unkName, byteful: bytes, scores: []float64{0}},
		tokens:    []token{{unkName, special}},
		added:     []added{{id: 0, content: unkName, special: true}}}
	worst := 0.0
	for _, q := range pieces {
		worst = min(worst, q.score)
	}
	if bytes {
		for b := range 256 {
			s.tokens = append(s.tokens, token{string([]byte{byte(b)}), fallback})
			s.scores = append(s.scores, 10*worst)
		}
	}
	for _, q := range pieces {
		s.tokens = append(s.tokens, token{strings.ReplaceAll(q.text, " ", spmSpace), plain})
		s.scores = append(s.scores, q.score)
	}
	return s
}

// unigramCut is the pre-tokenizer that cuts by a pattern and makes spaces visible.
func unigramCut(p *pattern) json.RawMessage {
	regex := gpt2Regex
	if len(p.regex) > 0 {
		regex = p.regex[0]
	}
	steps := fmt.Sprintf(`{"type":"Split","pattern":{"Regex":%s},"behavior":"Isolated","invert":false},`+
		`{"type":"Metaspace","replacement":"▁","prepend_scheme":"never","split":false}`, mustJSON(regex))
	if p.digits {
		steps = digitsJSON + "," + steps
	}
	return json.RawMessage(`{"type":"Sequence","pretokenizers":[` + steps + `]}`)
}

// wordPieceSpec is a vocabulary as BERT's are; its normaliser changes neither
// case nor accents.
func wordPieceSpec(tokens []string) spec {
	s := spec{
		normalizer:   json.RawMessage(`{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":false,"lowercase":false}`),
		preTokenizer: json.RawMessage(`{"type":"BertPreTokenizer"}`),
		decoder:      json.RawMessage(`{"type":"WordPiece","prefix":"##","cleanup":true}`),
		modelSpec:    modelSpec{kind: wordPieceModel, unk: unkWord, prefix: inside, longest: maxWordChars},
		tokens:       []token{{unkWord, special}},
		added:        []added{{id: 0, content: unkWord, special: true}},
	}
	for _, name := range tokens {
		s.tokens = append(s.tokens, token{name, plain})
	}
	return s
}
