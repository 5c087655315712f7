package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// fileJSON is tokenizer.json as the tokenizers library (0.23) writes it.
type fileJSON struct {
	Version       string          `json:"version"`
	Truncation    json.RawMessage `json:"truncation"` // not applied
	Padding       json.RawMessage `json:"padding"`    // not applied
	Added         []addedJSON     `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         json.RawMessage `json:"model"`
}

// addedJSON is an added token; see added for what its flags mean.
type addedJSON struct {
	ID         int64  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// bpeJSON, and the other models below, have every field that the library writes,
// so that a new one is noticed.
type bpeJSON struct {
	Type         string           `json:"type"`
	Dropout      *float64         `json:"dropout"`
	Unk          *string          `json:"unk_token"`
	Prefix       *string          `json:"continuing_subword_prefix"`
	Suffix       *string          `json:"end_of_word_suffix"`
	FuseUnk      bool             `json:"fuse_unk"`
	ByteFallback bool             `json:"byte_fallback"`
	IgnoreMerges bool             `json:"ignore_merges"`
	Vocab        map[string]int64 `json:"vocab"`
	Merges       mergesJSON       `json:"merges"`
}

type wordPieceJSON struct {
	Type    string           `json:"type"`
	Unk     string           `json:"unk_token"`
	Prefix  string           `json:"continuing_subword_prefix"`
	Longest int              `json:"max_input_chars_per_word"`
	Vocab   map[string]int64 `json:"vocab"`
}

type wordLevelJSON struct {
	Type  string           `json:"type"`
	Unk   string           `json:"unk_token"`
	Vocab map[string]int64 `json:"vocab"`
}

type unigramJSON struct {
	Type         string       `json:"type"`
	Unk          *int64       `json:"unk_id"`
	Vocab        []scoredJSON `json:"vocab"`
	ByteFallback bool         `json:"byte_fallback"`
}

// scoredJSON is a token and its log probability: ["▁the", -3.2].
type scoredJSON struct {
	text  string
	score float64
}

// UnmarshalJSON refuses lists of another length.
func (s *scoredJSON) UnmarshalJSON(data []byte) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return fmt.Errorf("vocab: got %d values, want a token and its score", len(pair))
	}
	if err := json.Unmarshal(pair[0], &s.text); err != nil {
		return err
	}
	return json.Unmarshal(pair[1], &s.score)
}

// mergesJSON reads both spellings of merges: "a b" and ["a", "b"].
type mergesJSON [][2]string

// UnmarshalJSON looks at the first element, so that errors are about the
// spelling that the file has.
func (m *mergesJSON) UnmarshalJSON(data []byte) error {
	first := bytes.TrimLeft(data, "[ \t\r\n")
	if len(first) > 0 && first[0] == '"' && bytes.Count(data[:len(data)-len(first)], []byte("[")) == 1 {
		var lines []string
		if err := json.Unmarshal(data, &lines); err != nil {
			return err
		}
		*m = make(mergesJSON, 0, len(lines))
		for i, l := range lines {
			left, right, ok := strings.Cut(l, " ")
			if !ok || strings.Contains(right, " ") {
				return fmt.Errorf("merges[%d]: got %q, want two tokens and one space", i, l)
			}
			*m = append(*m, [2]string{left, right})
		}
		return nil
	}
	var pairs [][]string
	if err := json.Unmarshal(data, &pairs); err != nil {
		return err
	}
	*m = make(mergesJSON, 0, len(pairs))
	for i, p := range pairs {
		if len(p) != 2 {
			return fmt.Errorf("merges[%d]: got %d tokens, want 2", i, len(p))
		}
		*m = append(*m, [2]string{p[0], p[1]})
	}
	return nil
}

// parse reads a tokenizer.json.
func parse(data []byte) (*Tokenizer, error) {
	var f fileJSON
	if err := (node{path: "tokenizer.json", data: data}).read(&f); err != nil {
		return nil, err
	}
	if f.Version != "" && f.Version != "1.0" {
		return nil, fmt.Errorf("version: %q: %w; want \"1.0\"", f.Version, ErrUnsupported)
	}
	s := spec{normalizer: section(f.Normalizer), preTokenizer: section(f.PreTokenizer), postProcessor: section(f.PostProcessor),
		decoder: section(f.Decoder), truncation: section(f.Truncation), padding: section(f.Padding)}
	if err := s.readModel(node{path: "model", data: f.Model}, f.Added); err != nil {
		return nil, err
	}
	return build(s)
}

// section keeps a section but for null.
func section(data json.RawMessage) json.RawMessage {
	if (node{data: data}).null() {
		return nil
	}
	return data
}

// kindOfModel is the type of a model; older files do not say it, but each has
// fields of its own.
func kindOfModel(n node) (modelKind, error) {
	if n.null() {
		return "", n.errorf("%w: none", ErrFormat)
	}
	var f struct {
		Type   *modelKind      `json:"type"`
		Merges json.RawMessage `json:"merges"`
		Prefix json.RawMessage `json:"continuing_subword_prefix"`
		Vocab  json.RawMessage `json:"vocab"`
	}
	if err := json.Unmarshal(n.data, &f); err != nil {
		return "", n.errorf("%w: %w", ErrFormat, err)
	}
	switch {
	case f.Type != nil:
		return *f.Type, nil
	case f.Merges != nil:
		return bpeModel, nil
	case f.Prefix != nil:
		return wordPieceModel, nil
	case len(f.Vocab) > 0 && f.Vocab[0] == '[':
		return unigramModel, nil
	}
	return wordLevelModel, nil
}

// readModel reads the model and the added tokens.
func (s *spec) readModel(n node, list []addedJSON) (err error) {
	if s.kind, err = kindOfModel(n); err != nil {
		return err
	}
	switch s.kind {
	case bpeModel:
		return s.readBPE(n, list)
	case wordPieceModel:
		m := wordPieceJSON{Longest: 100}
		if err := n.read(&m); err != nil {
			return err
		}
		s.unk, s.prefix, s.longest = m.Unk, m.Prefix, m.Longest
		return s.readTokens(m.Vocab, list)
	case wordLevelModel:
		var m wordLevelJSON
		if err := n.read(&m); err != nil {
			return err
		}
		s.unk = m.Unk
		return s.readTokens(m.Vocab, list)
	case unigramModel:
		return s.readUnigram(n, list)
	}
	return n.unknown(string(s.kind), string(bpeModel), string(unigramModel), string(wordPieceModel), string(wordLevelModel))
}

func (s *spec) readBPE(n node, list []addedJSON) error {
	var m bpeJSON
	if err := n.read(&m); err != nil {
		return err
	}
	text := func(p *string) string {
		if p == nil {
			return ""
		}
		return *p
	}
	s.unk, s.prefix, s.suffix = text(m.Unk), text(m.Prefix), text(m.Suffix)
	s.whole, s.byteful, s.fuse = m.IgnoreMerges, m.ByteFallback, m.FuseUnk
	if m.Dropout != nil {
		if s.dropout = *m.Dropout; s.dropout < 0 || s.dropout > 1 {
			return node{path: "model.dropout"}.errorf("got %v, want 0 to 1: %w", s.dropout, ErrFormat)
		}
	}
	if err := s.readTokens(m.Vocab, list); err != nil {
		return err
	}
	return s.readMerges(m.Vocab, m.Merges)
}

// readUnigram reads a list of tokens with scores; ids are places in it.
func (s *spec) readUnigram(n node, list []addedJSON) error {
	var m unigramJSON
	if err := n.read(&m); err != nil {
		return err
	}
	s.byteful = m.ByteFallback
	vocab := make(map[string]int64, len(m.Vocab))
	for id, v := range m.Vocab {
		if old, twice := vocab[v.text]; twice {
			return fmt.Errorf("model.vocab[%d]: %q is token %d already: %w", id, v.text, old, ErrFormat)
		}
		vocab[v.text] = int64(id)
	}
	if m.Unk != nil {
		if *m.Unk < 0 || *m.Unk >= int64(len(m.Vocab)) {
			return fmt.Errorf("model.unk_id: got %d, want an id below %d: %w", *m.Unk, len(m.Vocab), ErrFormat)
		}
		s.unk = m.Vocab[*m.Unk].text
	}
	if err := s.readTokens(vocab, list); err != nil {
		return err
	}
	s.scores = make([]float64, len(s.tokens))
	for id, v := range m.Vocab {
		s.scores[id] = v.score
	}
	return nil
}

// readMerges turns names into ids. The joint of two tokens is found by its name,
// in which the prefix of the second is left out.
func (s *spec) readMerges(vocab map[string]int64, merges mergesJSON) error {
	s.merges = make([]merge, 0, len(merges))
	for i, m := range merges {
		left, ok1 := vocab[m[0]]
		right, ok2 := vocab[m[1]]
		into, ok3 := vocab[m[0]+strings.TrimPrefix(m[1], s.prefix)]
		if !ok1 || !ok2 || !ok3 {
			return fmt.Errorf("model.merges[%d]: %q and %q: %w: one of them or their joint is not in the vocabulary", i, m[0], m[1], ErrFormat)
		}
		s.merges = append(s.merges, merge{int32(left), int32(right), int32(into)})
	}
	return nil
}
