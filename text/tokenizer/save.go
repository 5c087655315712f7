package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"weft/internal/atomicfile"
)

// Save writes a tokenizer.json that Load and Hugging Face's tokenizers read; a
// folder as path means tokenizer.json in it. The file appears whole or not at all.
func (t *Tokenizer) Save(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, "tokenizer.json")
	}
	data, err := t.marshal()
	if err != nil {
		return fmt.Errorf("tokenizer: save %s: %w", path, err)
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

const unkName = "<unk>"

// marshal is the reverse of parse.
func (t *Tokenizer) marshal() ([]byte, error) {
	model, err := t.modelJSON()
	if err != nil {
		return nil, err
	}
	f := orderedJSON{{"version", "1.0"}, {"truncation", orNull(t.truncation)}, {"padding", orNull(t.padding)}, {"added_tokens", t.addedJSON()},
		{"normalizer", orNull(t.normalizer)}, {"pre_tokenizer", orNull(t.preTokenizer)}, {"post_processor", orNull(t.postProcessor)},
		{"decoder", orNull(t.decoder)}, {"model", model}}
	data, err := f.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, data, "", " "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// orNull is a section as it is written.
func orNull(section json.RawMessage) any {
	if len(section) == 0 {
		return nil
	}
	return section
}

// modelJSON spells the model.
func (t *Tokenizer) modelJSON() (orderedJSON, error) {
	if t.kind == unigramModel {
		return t.unigramJSON()
	}
	vocab, err := t.vocabJSON()
	if err != nil {
		return nil, err
	}
	orNone := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	switch t.kind {
	case wordPieceModel:
		return orderedJSON{{"type", "WordPiece"}, {"unk_token", t.unk}, {"continuing_subword_prefix", t.modelSpec.prefix},
			{"max_input_chars_per_word", t.longest}, {"vocab", vocab}}, nil
	case wordLevelModel:
		return orderedJSON{{"type", "WordLevel"}, {"vocab", vocab}, {"unk_token", t.unk}}, nil
	}
	merges, err := t.mergesJSON()
	if err != nil {
		return nil, err
	}
	var dropout any
	if t.dropout != 0 {
		dropout = t.dropout
	}
	return orderedJSON{{"type", "BPE"}, {"dropout", dropout}, {"unk_token", orNone(t.unk)}, {"continuing_subword_prefix", orNone(t.modelSpec.prefix)},
		{"end_of_word_suffix", orNone(t.suffix)}, {"fuse_unk", t.fuse}, {"byte_fallback", t.byteful}, {"ignore_merges", t.whole},
		{"vocab", vocab}, {"merges", merges}}, nil
}

// unigramJSON lists tokens by id with their scores, up to the last one that is
// the model's.
func (t *Tokenizer) unigramJSON() (orderedJSON, error) {
	list, err := t.vocabJSON()
	if err != nil {
		return nil, err
	}
	vocab := make([][2]any, 0, len(list))
	for i, f := range list {
		if id := f.value.(int); id != i {
			return nil, fmt.Errorf("no token has the id %d: a Unigram vocabulary cannot be written with gaps", i)
		}
		vocab = append(vocab, [2]any{f.name, t.scores[i]})
	}
	var unk any
	if t.unkID >= 0 {
		unk = t.unkID
	}
	return orderedJSON{{"type", "Unigram"}, {"unk_id", unk}, {"vocab", vocab}, {"byte_fallback", t.byteful}}, nil
}

// name is how a vocabulary spells a token; the reverse of decodeName.
func (t *Tokenizer) name(tok token) string {
	switch {
	case tok.kind == fallback:
		return fallbackName(tok.text[0])
	case tok.kind == plain && t.level:
		return nameOf(tok.text)
	default:
		return tok.text
	}
}

// vocabJSON lists the model's tokens by id. Added tokens that it does not have
// are left out if other programs will give them the same ids nevertheless: one
// after the other behind the vocabulary.
func (t *Tokenizer) vocabJSON() (orderedJSON, error) {
	outside := map[int32]bool{}
	for _, a := range t.added {
		if a.outside {
			outside[a.id] = true
		}
	}
	size := int32(0)
	for id, tok := range t.tokens {
		if tok.kind != absent && !outside[int32(id)] {
			size++
		}
	}
	for i := range int32(len(outside)) {
		if !outside[size+i] {
			clear(outside)
			break
		}
	}
	for _, a := range t.added {
		if text, ok := bytesOf(a.content); ok && t.level && a.special && !outside[a.id] && len(text) == 1 {
			return nil, fmt.Errorf("token %d %q is special and would be read as a byte: a tokenizer.json cannot say that", a.id, a.content)
		}
	}
	ids := make(map[string]int, len(t.tokens))
	var out orderedJSON
	for id, tok := range t.tokens {
		if tok.kind == absent || outside[int32(id)] {
			continue
		}
		name := t.name(tok)
		if old, twice := ids[name]; twice {
			return nil, fmt.Errorf("tokens %d and %d would both be spelled %q", old, id, name)
		}
		if !utf8.ValidString(name) {
			return nil, fmt.Errorf("token %d %q is not valid UTF-8", id, name)
		}
		ids[name] = id
		out = append(out, field{name, id})
	}
	return out, nil
}

// mergesJSON spells merges the older way, which every version of the library
// reads, but as pairs where a name holds a space.
func (t *Tokenizer) mergesJSON() (any, error) {
	var pairs [][2]string
	spaces := false
	for _, g := range t.merges {
		left, right := t.name(t.tokens[g.left]), t.name(t.tokens[g.right])
		if into := t.name(t.tokens[g.into]); into != left+strings.TrimPrefix(right, t.modelSpec.prefix) {
			return nil, fmt.Errorf("the merge of %q and %q makes %q: a tokenizer.json cannot say that", left, right, into)
		}
		spaces = spaces || strings.Contains(left+right, " ")
		pairs = append(pairs, [2]string{left, right})
	}
	if spaces {
		return pairs, nil
	}
	return t.mergeLines(), nil
}

// mergeLines spells merges with a space between the two tokens.
func (t *Tokenizer) mergeLines() []string {
	lines := make([]string, len(t.merges))
	for i, g := range t.merges {
		lines[i] = t.name(t.tokens[g.left]) + " " + t.name(t.tokens[g.right])
	}
	return lines
}

// addedJSON lists the added tokens by id.
func (t *Tokenizer) addedJSON() []addedJSON {
	out := make([]addedJSON, len(t.added))
	for i, a := range t.added {
		out[i] = addedJSON{ID: int64(a.id), Content: a.content, SingleWord: a.single, LStrip: a.lstrip, RStrip: a.rstrip, Normalized: a.normalized, Special: a.special}
	}
	return out
}

// orderedJSON is an object whose fields keep their order.
type orderedJSON []field

// field is one name and value of an object.
type field struct {
	name  string
	value any
}

// MarshalJSON leaves <, > and & as they are.
func (o orderedJSON) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, f := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := e.Encode(f.name); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := e.Encode(f.value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
