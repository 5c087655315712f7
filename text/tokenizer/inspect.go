package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Description is what a tokenizer is made of, for people and tools to read.
type Description struct {
	Model         string            `json:"model"` // type in tokenizer.json
	Normalizer    []json.RawMessage `json:"normalizer"`
	PreTokenizer  []json.RawMessage `json:"pre_tokenizer"`
	PostProcessor []json.RawMessage `json:"post_processor"`
	Decoder       []json.RawMessage `json:"decoder"`
	Vocab         int               `json:"vocab"`    // ids
	Holes         int               `json:"holes"`    // ids without a token
	Plain         int               `json:"plain"`    // tokens that text is made of
	Literal       int               `json:"literal"`  // tokens that no text leads to
	Fallback      int               `json:"fallback"` // bytes
	Merges        int               `json:"merges"`
	Unknown       string            `json:"unknown,omitempty"` // token for what the vocabulary lacks
	Missing       int               `json:"missing_bytes"`     // bytes without a token; see Tokenizer.Missing
	BOS           string            `json:"bos,omitempty"`
	EOS           string            `json:"eos,omitempty"`
	Added         []AddedToken      `json:"added"`
	NotApplied    []string          `json:"not_applied"` // what the file says and this package does not do
}

// AddedToken is a token that is found in text before the model sees it.
type AddedToken struct {
	ID         int32  `json:"id"`
	Text       string `json:"text"`
	Special    bool   `json:"special"`    // found in trusted text only
	LStrip     bool   `json:"lstrip"`     // takes the white space in front of it along
	RStrip     bool   `json:"rstrip"`     // and behind it
	Normalized bool   `json:"normalized"` // looked for in normalised text
}

// Describe says what the tokenizer is made of.
func (t *Tokenizer) Describe() Description {
	d := Description{Model: string(t.kind), Vocab: len(t.tokens), Merges: len(t.merges), Unknown: t.unk, NotApplied: []string{},
		Normalizer: steps(t.normalizer), PreTokenizer: steps(t.preTokenizer), PostProcessor: steps(t.postProcessor), Decoder: steps(t.decoder)}
	if d.Model == "" {
		d.Model = string(bpeModel)
	}
	for _, k := range t.tokens {
		switch k.kind {
		case absent:
			d.Holes++
		case plain:
			d.Plain++
		case literal:
			d.Literal++
		case fallback:
			d.Fallback++
		}
	}
	if d.Model == string(bpeModel) {
		d.Missing = len(t.Missing())
	}
	for _, a := range t.added {
		d.Added = append(d.Added, AddedToken{a.id, a.content, a.special, a.lstrip, a.rstrip, a.normalized})
	}
	if id, ok := t.BOS(); ok {
		d.BOS = t.tokens[id].text
	}
	if id, ok := t.EOS(); ok {
		d.EOS = t.tokens[id].text
	}
	for name, section := range map[string]json.RawMessage{"padding": t.padding, "truncation": t.truncation} {
		if !isNull(section) {
			d.NotApplied = append(d.NotApplied, name+" "+string(compact(section)))
		}
	}
	if t.dropout != 0 {
		d.NotApplied = append(d.NotApplied, fmt.Sprintf("dropout %g, unless Options ask for it", t.dropout))
	}
	slices.Sort(d.NotApplied)
	return d
}

// steps lists the members of a section that is a Sequence, or the section alone.
func steps(section json.RawMessage) []json.RawMessage {
	if isNull(section) {
		return []json.RawMessage{}
	}
	var s struct {
		Type          string            `json:"type"`
		Normalizers   []json.RawMessage `json:"normalizers"`
		PreTokenizers []json.RawMessage `json:"pretokenizers"`
		Processors    []json.RawMessage `json:"processors"`
		Decoders      []json.RawMessage `json:"decoders"`
	}
	if json.Unmarshal(section, &s) != nil || s.Type != "Sequence" {
		return []json.RawMessage{compact(section)}
	}
	out := slices.Concat(s.Normalizers, s.PreTokenizers, s.Processors, s.Decoders)
	for i := range out {
		out[i] = compact(out[i])
	}
	return out
}

// compact takes the white space out of JSON.
func compact(data json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if json.Compact(&b, data) != nil {
		return data
	}
	return b.Bytes()
}

// Token is one entry of a vocabulary, for people and tools to read.
type Token struct {
	ID      int32   `json:"id"`
	Name    string  `json:"name"` // as tokenizer.json spells it
	Bytes   []byte  `json:"bytes"`
	Kind    string  `json:"kind"` // plain, literal, fallback, special or absent
	Score   float64 `json:"score,omitempty"`
	Rank    int     `json:"rank"`             // of the merge that makes it, 0 the first; -1 without one
	Tree    string  `json:"merges,omitempty"` // ((t h) e): which tokens it is merged from
	Reached bool    `json:"reached"`          // text can lead to it
}

// Token looks at one id; false for one outside the vocabulary.
func (t *Tokenizer) Token(id int32) (Token, bool) {
	if id < 0 || int(id) >= len(t.tokens) {
		return Token{}, false
	}
	k := t.tokens[id]
	out := Token{ID: id, Bytes: t.Bytes(id), Rank: -1, Kind: [...]string{"absent", "plain", "literal", "fallback", "special"}[k.kind]}
	if k.kind == absent {
		return out, true
	}
	out.Name, out.Reached = t.name(k), t.reached(id)
	if int(id) < len(t.scores) {
		out.Score = t.scores[id]
	}
	if i := slices.IndexFunc(t.merges, func(g merge) bool { return g.into == id }); i >= 0 {
		from := make(map[int32]merge, len(t.merges))
		for _, g := range slices.Backward(t.merges) { // of two ways to a token the first stays
			from[g.into] = g
		}
		out.Rank, out.Tree = i, t.tree(id, from, 0)
	}
	return out, true
}

// tree spells the merges of a token.
func (t *Tokenizer) tree(id int32, from map[int32]merge, depth int) string {
	g, ok := from[id]
	if !ok || depth > maxToken {
		return t.name(t.tokens[id])
	}
	return "(" + t.tree(g.left, from, depth+1) + " " + t.tree(g.right, from, depth+1) + ")"
}

// Find looks for a token by its name in tokenizer.json, or else by its bytes.
func (t *Tokenizer) Find(name string) (int32, bool) {
	if id, ok := t.specials[name]; ok {
		return id, true
	}
	found := int32(-1)
	for id, k := range t.tokens {
		switch {
		case k.kind == absent:
		case t.name(k) == name:
			return int32(id), true
		case found < 0 && string(t.Bytes(int32(id))) == name:
			found = int32(id)
		}
	}
	return found, found >= 0
}

// reached says whether text can lead to a token. For BPE and Unigram that is so
// if the token's own text, alone, becomes it: what stands beside a token never
// changes what happens inside. Words and pieces of words (WordPiece, WordLevel)
// are always found.
func (t *Tokenizer) reached(id int32) bool {
	k := t.tokens[id]
	switch {
	case k.kind == absent || k.kind == literal:
		return false
	case k.kind != plain || t.kind == wordPieceModel || t.kind == wordLevelModel:
		return true
	}
	is := func(text string) bool { return slices.Equal(t.Encode(text), []int32{id}) }
	text := string(t.Bytes(id))
	if !utf8.ValidString(text) { // alone, half a character is cut in another way than the whole one
		return slices.Equal(t.model.encode(nil, k.text, nil), []int32{id})
	}
	return is(text) || strings.HasPrefix(text, " ") && is(text[1:]) // a space that is put in front of any text
}

// Unreachable lists plain tokens that no text leads to: the model goes another
// way, or the pre-tokenizer cuts through them.
func (t *Tokenizer) Unreachable() []int32 {
	var out []int32
	for id, k := range t.tokens {
		if k.kind == plain && !t.reached(int32(id)) {
			out = append(out, int32(id))
		}
	}
	return out
}

// Longest lists the n plain tokens of the most bytes, longest first.
func (t *Tokenizer) Longest(n int) []int32 {
	var out []int32
	for id, k := range t.tokens {
		if k.kind == plain {
			out = append(out, int32(id))
		}
	}
	slices.SortStableFunc(out, func(a, b int32) int { return len(t.Bytes(b)) - len(t.Bytes(a)) })
	return out[:min(len(out), max(0, n))]
}
