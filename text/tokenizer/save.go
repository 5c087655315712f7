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
	vocab, err := t.vocabJSON()
	if err != nil {
		return nil, err
	}
	var unk any
	if _, ok := t.specials[unkName]; ok && t.spm {
		unk = unkName // never used, as every byte has a token
	}
	model := orderedJSON{{"type", "BPE"}, {"dropout", nil}, {"unk_token", unk}, {"continuing_subword_prefix", nil},
		{"end_of_word_suffix", nil}, {"fuse_unk", t.spm}, {"byte_fallback", t.spm}, {"ignore_merges", t.whole},
		{"vocab", vocab}, {"merges", t.mergeLines()}}
	f := orderedJSON{{"version", "1.0"}, {"truncation", raw(t.truncation)}, {"padding", raw(t.padding)}, {"added_tokens", t.addedJSON()},
		{"normalizer", raw(t.normalizer)}, {"pre_tokenizer", raw(t.preTokenizer)}, {"post_processor", raw(t.postProcessor)},
		{"decoder", raw(t.decoder)}, {"model", model}}
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

// raw is a section as it is written: null where there is none.
func raw(section json.RawMessage) any {
	if len(section) == 0 {
		return nil
	}
	return section
}

// name is how a vocabulary spells a token; the reverse of decodeName.
func (s *Tokenizer) name(t token) string {
	switch {
	case t.kind == special, t.kind == literal:
		return t.text
	case t.kind == fallback:
		return fallbackName(t.text[0])
	case s.spm:
		return strings.ReplaceAll(t.text, " ", spmSpace)
	}
	return nameOf(t.text)
}

// vocabJSON lists all tokens by id, the added ones too, so that other programs
// give those the same ids whatever their place.
func (t *Tokenizer) vocabJSON() (orderedJSON, error) {
	ids := make(map[string]int, len(t.tokens))
	var out orderedJSON
	for id, tok := range t.tokens {
		if tok.kind == absent {
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

// mergeLines spells merges the older way, which every version of the library
// reads. No name of a token of text holds a space.
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
		out[i] = addedJSON{ID: int64(a.id), Content: a.content, LStrip: a.lstrip, RStrip: a.rstrip, Normalized: a.normalized, Special: a.special}
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
