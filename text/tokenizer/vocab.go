package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
)

// vocabSpec reads the two files of GPT-2 and its heirs: a JSON object of tokens
// and their ids (vocab.json, encoder.json), and merges, one a line (merges.txt,
// vocab.bpe). pattern is a name of Patterns; "" means GPT-2's own. Tokens that no
// merge makes and that are spelled <…> or […] are special. Errors name the token or
// the line.
func vocabSpec(vocab, merges []byte, pattern string) (*spec, error) {
	pat, err := patternNamed(pattern)
	if err != nil {
		return nil, err
	}
	var ids map[string]int64
	if err := json.Unmarshal(vocab, &ids); err != nil {
		return nil, fmt.Errorf("vocabulary: %w: %w", ErrFormat, err)
	}
	list, err := mergeLines(string(merges))
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
		case !made[name] && marker(name):
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

// bertText says how BERT's tokenizers prepare text. The zero value is that of the
// uncased models: accents go with the case.
type bertText struct {
	cased       bool
	keepAccents bool // of uncased text; cased text always keeps them
}

// wordList reads a vocab.txt of BERT (github.com/google-research/bert): one token a
// line, by id; ## marks those that go on inside a word. With b nil, text keeps its
// case if the vocabulary has capital letters. Errors name the line.
func wordList(data []byte, b *bertText) (*spec, error) {
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
		b = &bertText{cased: capital}
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
func (b bertText) spec(unk string) *spec {
	return &spec{
		normalizer: mustJSON(orderedJSON{{"type", "BertNormalizer"}, {"clean_text", true}, {"handle_chinese_chars", true},
			{"strip_accents", !b.cased && !b.keepAccents}, {"lowercase", !b.cased}}),
		preTokenizer: json.RawMessage(`{"type":"BertPreTokenizer"}`),
		decoder:      json.RawMessage(`{"type":"WordPiece","prefix":"##","cleanup":true}`),
		modelSpec:    modelSpec{kind: wordPieceModel, unk: unk, prefix: "##", longest: 100},
	}
}
