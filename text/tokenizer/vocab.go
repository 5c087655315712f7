package tokenizer

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// FromVocab reads the two files of GPT-2 and its heirs: a JSON object of tokens
// and their ids (vocab.json, encoder.json), and merges, one a line (merges.txt,
// vocab.bpe). pattern is a name of Patterns or a regular expression; "" means
// GPT-2's own. names lists special tokens, in addition to those that no merge
// makes and that are spelled <…> or […].
//
// Errors wrap ErrFormat and name the token or the line.
func FromVocab(vocab, merges io.Reader, pattern string, names ...string) (*Tokenizer, error) {
	s, err := vocabSpec(vocab, merges, pattern, names)
	var t *Tokenizer
	if err == nil {
		t, err = build(*s)
	}
	if err != nil {
		return nil, fmt.Errorf("tokenizer: vocabulary and merges: %w", err)
	}
	return t, nil
}

func vocabSpec(vocab, merges io.Reader, pattern string, names []string) (*spec, error) {
	pat, err := patternNamed(pattern)
	if err != nil {
		return nil, err
	}
	data, err := readAll(vocab)
	if err != nil {
		return nil, err
	}
	var ids map[string]int64
	if err := json.Unmarshal(data, &ids); err != nil {
		return nil, fmt.Errorf("vocabulary: %w: %w", ErrFormat, err)
	}
	if data, err = readAll(merges); err != nil {
		return nil, err
	}
	list, err := mergeLines(string(data))
	if err != nil {
		return nil, err
	}
	made := make(map[string]bool, len(list))
	for _, m := range list {
		made[m[0]+m[1]] = true
	}
	s := &spec{preTokenizer: preTokenizerOf(pat), decoder: json.RawMessage(byteLevelDecoder)}
	most := len(ids) + maxHoles
	for name, id := range ids {
		text, ok := bytesOf(name)
		k := plain
		switch {
		case slices.Contains(names, name), !made[name] && marker(name):
			text, k = name, special
		case !ok:
			text, k = name, literal
		}
		if err := s.place(id, text, k, most); err != nil {
			return nil, fmt.Errorf("vocabulary: %w", err)
		}
		if k == special {
			s.added = append(s.added, added{id: int32(id), content: name, special: true})
		}
	}
	slices.SortFunc(s.added, func(x, y added) int { return int(x.id) - int(y.id) })
	return s, s.readMerges(ids, list)
}

// mergeLines reads a merges.txt. Its first line may be a comment.
func mergeLines(text string) (list mergesJSON, err error) {
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSuffix(line, "\r")
		if line == "" || n == 0 && strings.HasPrefix(line, "#version") {
			continue
		}
		left, right, ok := strings.Cut(line, " ")
		if !ok || left == "" || right == "" || strings.Contains(right, " ") {
			return nil, fmt.Errorf("merges: line %d: %q: %w: want two tokens and one space", n+1, clip([]byte(line)), ErrFormat)
		}
		list = append(list, [2]string{left, right})
	}
	return list, nil
}

// BERT says how BERT's tokenizers prepare text. The zero value is that of the
// uncased models: accents go with the case.
type BERT struct {
	Cased       bool
	KeepAccents bool // of uncased text; cased text always keeps them
}

// FromWordPiece reads a vocab.txt of BERT (github.com/google-research/bert): one
// token a line, by id; ## marks those that go on inside a word. With b nil, text
// keeps its case if the vocabulary has capital letters.
//
// Errors wrap ErrFormat and name the line.
func FromWordPiece(r io.Reader, b *BERT) (*Tokenizer, error) {
	s, err := wordList(r, b)
	var t *Tokenizer
	if err == nil {
		t, err = build(*s)
	}
	if err != nil {
		return nil, fmt.Errorf("tokenizer: WordPiece vocabulary: %w", err)
	}
	t.mark("[CLS]", "[SEP]")
	return t, nil
}

func wordList(r io.Reader, b *BERT) (*spec, error) {
	data, err := readAll(r)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	var tokens []token
	capital := false
	at := map[string]int{}
	for n, name := range lines {
		name = strings.TrimSuffix(name, "\r")
		if old, twice := at[name]; twice || name == "" || n >= maxVocab {
			return nil, fmt.Errorf("line %d: %q: %w: want a token that is not on line %d", n+1, clip([]byte(name)), ErrFormat, old+1)
		}
		at[name] = n
		t := token{text: name, kind: plain}
		if bertMarker(name) {
			t.kind = special
		} else if !marker(name) {
			capital = capital || strings.ContainsAny(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
		}
		tokens = append(tokens, t)
	}
	if b == nil {
		b = &BERT{Cased: capital}
	}
	if _, ok := at["[UNK]"]; !ok {
		return nil, fmt.Errorf("no token [UNK]: %w: words that the vocabulary lacks need one", ErrFormat)
	}
	s := b.spec("[UNK]")
	s.tokens = tokens
	for id, t := range tokens {
		if t.kind == special {
			s.added = append(s.added, added{id: int32(id), content: t.text, special: true})
		}
	}
	id := func(name string) int32 {
		if n, ok := at[name]; ok {
			return int32(n)
		}
		return -1
	}
	s.postProcessor = s.templateOf(id("[CLS]"), id("[SEP]"))
	return s, nil
}

// bertMarker names the special tokens of BERT.
func bertMarker(name string) bool {
	switch name {
	case "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]":
		return true
	}
	return false
}

// spec is all of a BERT tokenizer but its tokens.
func (b BERT) spec(unk string) *spec {
	return &spec{
		normalizer: mustJSON(orderedJSON{{"type", "BertNormalizer"}, {"clean_text", true}, {"handle_chinese_chars", true},
			{"strip_accents", !b.Cased && !b.KeepAccents}, {"lowercase", !b.Cased}}),
		preTokenizer: json.RawMessage(`{"type":"BertPreTokenizer"}`),
		decoder:      json.RawMessage(`{"type":"WordPiece","prefix":"##","cleanup":true}`),
		modelSpec:    modelSpec{kind: wordPieceModel, unk: unk, prefix: "##", longest: 100},
	}
}
