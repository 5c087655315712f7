package tokenizer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Tokenizer maps text to ids and back. It is immutable and safe for concurrent
// use; make one with Train, Load, LoadTiktoken or FromLlama2C.
type Tokenizer struct {
	spec
	plan
	bytes    [256]int32       // id of each single byte, -1 where there is none
	vocab    map[string]int32 // plain tokens by their bytes; nil unless looked up
	table    *mergeTable
	specials map[string]int32 // added tokens by name
	user     *matcher         // added tokens that any text may hold
	trusted  *matcher         // all added tokens
	cache    *cache
	bos      int32 // -1: none
	eos      int32
	hash     string
}

// plan is what the steps of a spec come to.
type plan struct {
	pattern *pattern
	spm     bool  // SentencePiece style: characters, a space in front, byte fallback
	nfc     bool  // text is brought to Unicode's composed form first
	before  int32 // special token that a file's template puts in front of text; -1
	after   int32 // and behind it; -1
}

// build completes a spec, or says what is wrong with it. Errors name the token.
func build(s spec) (*Tokenizer, error) {
	t := &Tokenizer{spec: s, cache: newCache(), bos: -1, eos: -1}
	if err := t.plan.read(&s); err != nil {
		return nil, err
	}
	if err := t.index(); err != nil {
		return nil, err
	}
	if t.spm {
		t.pattern = spmPattern(s.tokens)
	}
	t.merges = t.mergesOfText()
	t.table = newMergeTable(len(t.merges))
	for rank, g := range t.merges {
		t.table.add(rank, g)
	}
	t.specials = make(map[string]int32, len(s.added))
	var open []added
	for _, a := range s.added {
		if _, twice := t.specials[a.content]; twice {
			return nil, fmt.Errorf("added token %q is there twice: %w", a.content, ErrFormat)
		}
		t.specials[a.content] = a.id
		if !a.special {
			open = append(open, a)
		}
	}
	t.user, t.trusted = newMatcher(open, t.nfc), newMatcher(s.added, t.nfc)
	t.markers()
	t.hash = t.sum()
	return t, nil
}

// mergesOfText leaves out merges that have to do with special tokens: no text
// may come to one by merging.
func (s *spec) mergesOfText() []merge {
	out := make([]merge, 0, len(s.merges))
	for _, g := range s.merges {
		if s.tokens[g.left].kind == plain && s.tokens[g.right].kind == plain && s.tokens[g.into].kind == plain {
			out = append(out, g)
		}
	}
	return out
}

// index finds the bytes, and the other tokens where encoding looks them up.
func (t *Tokenizer) index() error {
	for i := range t.bytes {
		t.bytes[i] = -1
	}
	lookup := t.spm || t.whole
	if lookup {
		t.vocab = make(map[string]int32, len(t.tokens))
	}
	for id, tok := range t.tokens {
		switch {
		case tok.kind == fallback, tok.kind == plain && !t.spm && len(tok.text) == 1:
			t.bytes[tok.text[0]] = int32(id)
		}
		if tok.kind == plain && lookup {
			if old, twice := t.vocab[tok.text]; twice {
				return fmt.Errorf("tokens %d and %d are both %q: %w", old, id, tok.text, ErrFormat)
			}
			t.vocab[tok.text] = int32(id)
		}
	}
	if missing := t.Missing(); t.spm && len(missing) > 0 {
		return fmt.Errorf("byte fallback has no token for %d of the 256 bytes, first 0x%02X: %w", len(missing), missing[0], ErrFormat)
	}
	return nil
}

// markers finds the tokens that begin and end a text: what the file's template
// says, otherwise the first of these names that is a special token.
func (t *Tokenizer) markers() {
	find := func(names ...string) int32 {
		for _, n := range names {
			if id, ok := t.specials[n]; ok && t.IsSpecial(id) {
				return id
			}
		}
		return -1
	}
	t.bos = t.before
	if t.bos < 0 {
		t.bos = find("<|bos|>", "<|begin_of_text|>", "<s>", "<bos>", "<BOS_TOKEN>", "[BOS]")
	}
	t.eos = find("<|eos|>", "<|end_of_text|>", "</s>", "<eos>", "<EOS_TOKEN>", "[EOS]", "<|endoftext|>", "<|end|>")
	if t.eos < 0 {
		t.eos = t.after
	}
}

// Encode returns the ids of text that a user wrote: text that spells a special
// token becomes plain ids, and no marker is added. Added tokens that the
// tokenizer's file does not call special (runs of spaces, say) are found, as in
// any other program that reads the file.
//
// Byte-level ids decode to text exactly, whatever its bytes. Three files lose
// something: with an NFC normaliser text comes back composed, with a vocabulary
// that lacks bytes (see Missing) those bytes are left out, and added tokens with
// lstrip or rstrip swallow white space beside them.
func (t *Tokenizer) Encode(text string) []int32 {
	return t.encode(make([]int32, 0, len(text)/3+2), text, t.user)
}

// EncodeSpecial returns the ids of trusted text, such as a rendered template:
// special tokens spelled in it become their ids. Never give it text of users.
func (t *Tokenizer) EncodeSpecial(text string) []int32 {
	return t.encode(make([]int32, 0, len(text)/3+2), text, t.trusted)
}

// Count is the number of ids that Encode returns.
func (t *Tokenizer) Count(text string) int { return len(t.Encode(text)) }

// Decode returns the bytes that ids stand for, special tokens as they are
// spelled, and U+FFFD for an id that no token has. SentencePiece vocabularies
// drop the space that Encode puts in front, at the start and after BOS. The
// result is not valid UTF-8 when ids end inside a character; see Stream.
func (t *Tokenizer) Decode(ids []int32) string {
	var b strings.Builder
	start := true
	for _, id := range ids {
		b.WriteString(t.piece(id, start))
		start = id == t.bos && id >= 0
	}
	return b.String()
}

// piece is the text of one id; start says that no text stands in front of it.
func (t *Tokenizer) piece(id int32, start bool) string {
	if id < 0 || int(id) >= len(t.tokens) || t.tokens[id].kind == absent {
		return "\ufffd"
	}
	text := t.tokens[id].text
	if start && t.spm && t.tokens[id].kind == plain {
		text = strings.TrimPrefix(text, " ")
	}
	return text
}

// Bytes returns the bytes of one token, nil for an id that no token has. A
// SentencePiece token keeps its leading space.
func (t *Tokenizer) Bytes(id int32) []byte {
	if id < 0 || int(id) >= len(t.tokens) || t.tokens[id].kind == absent {
		return nil
	}
	return []byte(t.tokens[id].text)
}

// Special returns the id of the added token of that name.
func (t *Tokenizer) Special(name string) (int32, bool) {
	id, ok := t.specials[name]
	return id, ok
}

// IsSpecial says whether id is a special token, which no user text leads to.
func (t *Tokenizer) IsSpecial(id int32) bool {
	if id < 0 || int(id) >= len(t.tokens) || t.tokens[id].kind != special {
		return false
	}
	i, ok := slices.BinarySearchFunc(t.added, id, func(a added, id int32) int { return int(a.id) - int(id) })
	return ok && t.added[i].special
}

// VocabSize is one more than the greatest id. Some ids below it may have no token.
func (t *Tokenizer) VocabSize() int { return len(t.tokens) }

// BOS is the token that begins a text: the one that the file's template puts
// first, otherwise a special token of a customary name.
func (t *Tokenizer) BOS() (int32, bool) { return t.bos, t.bos >= 0 }

// EOS is the token that ends a text, by the customary names or by
// tokenizer_config.json beside the file.
func (t *Tokenizer) EOS() (int32, bool) { return t.eos, t.eos >= 0 }

// Missing lists the bytes that no token stands for: text loses them when it is
// encoded. Vocabularies made here lack none; some published ones do.
func (t *Tokenizer) Missing() []byte {
	var out []byte
	for b, id := range t.bytes {
		if id < 0 {
			out = append(out, byte(b))
		}
	}
	return out
}

// Hash identifies vocabulary, merges, added tokens and pattern: SHA-256, in
// hex. Saving and loading keeps it.
func (t *Tokenizer) Hash() string { return t.hash }

// sum hashes every field that ids depend on, each with its length in front, so
// that no two vocabularies are written down alike. The template is not among
// them: it adds tokens, but changes none.
func (s *Tokenizer) sum() string {
	h := sha256.New()
	var buf []byte
	num := func(v int) { buf = binary.LittleEndian.AppendUint32(buf, uint32(v)) }
	str := func(v string) { num(len(v)); buf = append(buf, v...) }
	flag := func(v bool) {
		if v {
			buf = append(buf, 1)
		} else {
			buf = append(buf, 0)
		}
	}
	str("weft tokenizer 1")
	str(s.pattern.name)
	flag(s.spm)
	flag(s.nfc)
	flag(s.whole)
	num(len(s.tokens))
	for _, t := range s.tokens {
		buf = append(buf, byte(t.kind))
		str(t.text)
	}
	num(len(s.merges))
	for _, g := range s.merges {
		num(int(g.left))
		num(int(g.right))
		num(int(g.into))
	}
	num(len(s.added))
	for _, a := range s.added {
		num(int(a.id))
		str(a.content)
		flag(a.special)
		flag(a.lstrip)
		flag(a.rstrip)
		flag(a.normalized)
	}
	h.Write(buf)
	return hex.EncodeToString(h.Sum(nil))
}
