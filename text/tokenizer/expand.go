package tokenizer

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Claim gives a reserved special token a name of its own: its id stays, and so
// does everything else, so that a model needs no change. reserved is the name it
// has now; "" takes the first that looks reserved.
func (t *Tokenizer) Claim(reserved, name string) (*Tokenizer, error) {
	s := t.spec
	s.tokens, s.added = slices.Clone(s.tokens), slices.Clone(s.added)
	if id, taken := t.Find(name); taken {
		return nil, fmt.Errorf("tokenizer: claim %q: token %d has that name already", name, id)
	}
	if len(name) < 2 {
		return nil, fmt.Errorf("tokenizer: claim %q: want a name of two bytes or more", name)
	}
	at := slices.IndexFunc(s.added, func(a added) bool {
		return a.special && (a.content == reserved || reserved == "" && isReserved(a.content))
	})
	if at < 0 {
		return nil, fmt.Errorf("tokenizer: claim %q: no special token %q: want one of those that Reserved lists", name, reserved)
	}
	if old := s.added[at].content; strings.Contains(string(s.postProcessor), `"`+old+`"`) {
		return nil, fmt.Errorf("tokenizer: claim %q: %q is in use: the post-processor puts it around texts", name, old)
	}
	s.added[at].content = name
	s.tokens[s.added[at].id].text = name
	return build(s)
}

// isReserved knows the placeholders of known vocabularies: <|reserved_0|>,
// <|reserved_special_token_0|>, <unused0>, [unused1], <|extra_0|>, <SPECIAL_20>.
func isReserved(name string) bool {
	low := strings.ToLower(name)
	for _, mark := range []string{"reserved", "unused", "<|extra_", "<special_", "<|placeholder"} {
		if strings.Contains(low, mark) {
			return true
		}
	}
	return false
}

// Reserved lists the special tokens that look like placeholders, by id.
func (t *Tokenizer) Reserved() []string {
	var out []string
	for _, a := range t.added {
		if a.special && isReserved(a.content) {
			out = append(out, a.content)
		}
	}
	return out
}

// Extend adds tokens behind all others: each is found in any text before the
// model sees it, as it is spelled. Names that the vocabulary has as tokens of
// text, and names twice, are errors.
func (t *Tokenizer) Extend(names ...string) (*Tokenizer, error) {
	s := t.spec
	s.tokens, s.added, s.scores = slices.Clone(s.tokens), slices.Clone(s.added), slices.Clone(s.scores)
	for _, name := range names {
		if name == "" || slices.ContainsFunc(s.added, func(a added) bool { return a.content == name }) {
			return nil, fmt.Errorf("tokenizer: add %q: want a name that no added token has", name)
		}
		if id, ok := t.Find(name); ok {
			return nil, fmt.Errorf("tokenizer: add %q: token %d is that already", name, id)
		}
		s.added = append(s.added, added{id: int32(len(s.tokens)), content: name})
		s.tokens = append(s.tokens, token{text: name, kind: special})
		if s.scores != nil {
			s.scores = append(s.scores, 0)
		}
	}
	return build(s)
}

// ExtendTrained learns n more merges of a byte-level BPE vocabulary from texts,
// and adds their tokens behind all others. The old merges go first, so that text
// that no new merge touches keeps its ids. Of o it reads MinFreq, Workers,
// MaxWords, Warn and Progress. Fewer are added when no pair is frequent enough.
func (t *Tokenizer) ExtendTrained(ctx context.Context, texts iter.Seq2[string, error], n int, o TrainOptions) (*Tokenizer, error) {
	if t.pattern == nil || t.kind != "" && t.kind != bpeModel || t.byteful {
		return nil, fmt.Errorf("tokenizer: learn more tokens: %w: want byte-level BPE; add tokens by name instead", ErrUnsupported)
	}
	o.Kind, o.VocabSize = BPE, 0
	if _, err := o.complete(); err != nil {
		return nil, err
	}
	var names []string
	for _, a := range t.added {
		names = append(names, a.content)
	}
	words, err := countWords(ctx, texts, chunks(t.pattern), names, o)
	if err != nil {
		return nil, err
	}
	s := t.spec
	s.tokens, s.merges = slices.Clone(s.tokens), slices.Clone(s.merges)
	c := t.pairCounts(words)
	merges, err := c.learn(ctx, n, int64(o.MinFreq), o.Progress)
	if err != nil {
		return nil, err
	}
	for i, m := range merges {
		id := len(t.tokens) + i
		s.tokens = append(s.tokens, token{text: c.texts[id], kind: plain})
		s.merges = append(s.merges, merge{m.left, m.right, int32(id)})
	}
	return build(s)
}

// pairCounts counts the pairs of words as the tokenizer spells them now.
func (t *Tokenizer) pairCounts(words []word) *pairCounts {
	c := &pairCounts{pairs: map[pair]*tally{}, known: map[string]bool{}}
	for _, k := range t.tokens {
		c.texts = append(c.texts, k.text)
		if k.kind == plain {
			c.known[k.text] = true
		}
	}
	for _, w := range words {
		if ids := t.Encode(w.text); len(ids) > 1 {
			c.words = append(c.words, symbols{ids, w.count})
		}
	}
	c.count()
	return c
}
