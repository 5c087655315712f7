package tokenizer

import (
	"fmt"
	"slices"
	"strings"
)

// Tokenizer maps text to ids and back. It is immutable and safe for concurrent
// use; make one with Train or Open, or from what is no file by FromGGUF or FromLlama2C.
type Tokenizer struct {
	spec
	pipeline
	model    model
	specials map[string]int32 // added tokens by name
	raw      finder           // added tokens that are looked for in text as it is
	normal   finder           // and in normalised text
	unkID    int32            // the token for what the vocabulary lacks; -1 none
	bos      int32            // -1: none
	eos      int32
	hash     string
}

// build completes a spec, or says what is wrong with it. Errors name the token,
// or the place in tokenizer.json.
func build(s spec) (*Tokenizer, error) {
	t := &Tokenizer{spec: s, bos: -1, eos: -1}
	if t.kind == "" {
		t.kind = bpeModel
	}
	t.added = slices.Clone(s.added)
	slices.SortStableFunc(t.added, func(x, y added) int { return int(x.id) - int(y.id) })
	if err := t.pipeline.read(&t.spec); err != nil {
		return nil, err
	}
	t.merges = t.mergesOfText()
	t.unkID = t.find(t.unk)
	var err error
	if t.model, err = t.newModel(t.level); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if err := t.findAdded(); err != nil {
		return nil, err
	}
	t.markers()
	t.hash = t.sum()
	return t, nil
}

// findAdded sorts added tokens by when they are looked for. Those that are looked
// for in normalised text are normalised themselves.
func (t *Tokenizer) findAdded() error {
	t.specials = make(map[string]int32, len(t.added))
	var raw, normal []added
	for _, a := range t.added {
		if _, twice := t.specials[a.content]; twice {
			return fmt.Errorf("added_tokens: %q is there twice: %w", a.content, ErrFormat)
		}
		t.specials[a.content] = a.id
		if !a.normalized {
			raw = append(raw, a)
			continue
		}
		a.content = t.normalize(strand{text: a.content, late: t.late}).text
		normal = append(normal, a)
	}
	t.raw, t.normal = newFinder(raw), newFinder(normal)
	return nil
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
	if len(t.frame.before) > 0 {
		t.bos = t.frame.before[0]
	} else {
		t.bos = find("<|bos|>", "<|begin_of_text|>", "<s>", "<bos>", "<BOS_TOKEN>", "[BOS]")
	}
	t.eos = find("<|eos|>", "<|end_of_text|>", "</s>", "<eos>", "<EOS_TOKEN>", "[EOS]", "<|endoftext|>", "<|end|>")
	if n := len(t.frame.after); t.eos < 0 && n > 0 {
		t.eos = t.frame.after[n-1]
	}
}

// Unapplied lists what the tokenizer's file asks for and this package does not
// do, one line each: settings of other programs' batches, and dropout, which is
// asked for by Options. Whoever loads a file for a user shows it.
func (t *Tokenizer) Unapplied() []string {
	var out []string
	if len(t.truncation) > 0 {
		out = append(out, "truncation: texts are not cut: "+canonical(t.truncation))
	}
	if len(t.padding) > 0 {
		out = append(out, "padding: texts are not filled up: "+canonical(t.padding))
	}
	if t.dropout > 0 {
		out = append(out, fmt.Sprintf("model.dropout: %v: the best segmentation is taken", t.dropout))
	}
	if t.unk != "" && t.unkID < 0 {
		out = append(out, fmt.Sprintf("model.unk_token: %q has no id: text that the vocabulary lacks is left out", t.unk))
	}
	return out
}

// Encode returns the ids of text that a user wrote: text that spells a special
// token becomes plain ids, and no marker is added. Added tokens that the
// tokenizer's file does not call special (runs of spaces, say) are found, as in
// any other program that reads the file.
//
// Byte-level ids decode to text exactly, whatever its bytes, but for files that
// lose something: a normaliser changes text, a vocabulary may lack bytes (see
// Missing), and added tokens with lstrip or rstrip swallow white space beside
// them. Vocabularies of words and pieces lose what they have no token for.
func (t *Tokenizer) Encode(text string) []int32 {
	r := encoding{t: t, user: true}
	r.text(text)
	return r.ids
}

// EncodeSpecial returns the ids of trusted text, such as a rendered template:
// special tokens spelled in it become their ids. Never give it text of users.
func (t *Tokenizer) EncodeSpecial(text string) []int32 {
	r := encoding{t: t}
	r.text(text)
	return r.ids
}

// Count is the number of ids that Encode returns.
func (t *Tokenizer) Count(text string) int { return len(t.Encode(text)) }

// Decode returns the text that ids stand for, as the file's decoder makes it,
// special tokens as they are spelled, and U+FFFD for an id that no token has.
// Bytes come back as they are: the result is not valid UTF-8 when ids end inside
// a character; see Stream. A decoder that drops the space in front of a text
// does so behind BOS as well.
func (t *Tokenizer) Decode(ids []int32) string {
	var b strings.Builder
	s := t.newSink(&textSink{&b})
	for _, id := range ids {
		s.push(id)
	}
	s.flush()
	return b.String()
}

// known says whether an id has a token.
func (t *Tokenizer) known(id int32) bool {
	return id >= 0 && int(id) < len(t.tokens) && t.tokens[id].kind != absent
}

// Bytes returns the bytes that one token stands for in the middle of a text, nil
// for an id that no token has. A SentencePiece token keeps its leading space, and
// one that ends a word the space behind it.
func (t *Tokenizer) Bytes(id int32) []byte {
	if !t.known(id) {
		return nil
	}
	if t.direct() {
		return []byte(t.tokens[id].text)
	}
	var b strings.Builder
	s := t.newSink(&textSink{&b})
	s.resume()
	s.push(id)
	s.pause()
	return []byte(b.String())
}

// Special returns the id of the added token of that name.
func (t *Tokenizer) Special(name string) (int32, bool) {
	id, ok := t.specials[name]
	return id, ok
}

// IsSpecial says whether id is a special token, which no user text leads to.
func (t *Tokenizer) IsSpecial(id int32) bool {
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

// Missing lists the bytes that a byte-level vocabulary has no token for: text
// loses them when it is encoded. Vocabularies made here lack none; some published
// ones do. Other vocabularies have another way to lose text, or none.
func (t *Tokenizer) Missing() []byte {
	var out []byte
	for b, id := range t.byteIDs(t.level) {
		if t.level && id < 0 {
			out = append(out, byte(b))
		}
	}
	return out
}
