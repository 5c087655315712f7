package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"weft/internal/mapfile"
)

const (
	maxFile  = 128 << 20 // bytes of a tokenizer file
	maxToken = 512       // bytes of a token whose merges must be recovered
	maxVocab = 1 << 24   // ids
	maxHoles = 1 << 16   // ids without a token
)

// Load reads a Hugging Face tokenizer.json, or the one in a folder. From a
// tokenizer_config.json beside it, if there is one, it takes which token ends a
// text (eos_token), and which begins it where add_bos_token is true.
//
// Errors wrap ErrFormat or ErrUnsupported, or say what could not be read.
func Load(path string) (*Tokenizer, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return LoadFS(mapfile.Dir(path))
	}
	return load(mapfile.Dir(filepath.Dir(path)), filepath.Base(path))
}

// LoadFS is Load for a folder wherever it lies, such as in the binary.
func LoadFS(dir fs.FS) (*Tokenizer, error) { return load(dir, "tokenizer.json") }

func load(dir fs.FS, name string) (*Tokenizer, error) {
	path := mapfile.Path(dir, name)
	data, err := readFile(dir, name)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	t, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", path, err)
	}
	const side = "tokenizer_config.json"
	if data, err = readFile(dir, side); err == nil {
		err = t.configure(data)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("tokenizer: %s: %w", mapfile.Path(dir, side), err)
	}
	return t, nil
}

// readFile reads at most maxFile bytes, whatever the file claims to be.
func readFile(dir fs.FS, name string) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s: more than %d MiB: %w", mapfile.Path(dir, name), maxFile>>20, ErrFormat)
	}
	return data, err
}

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

// modelJSON is the model, with every field that the library writes for BPE, so
// that a new one is noticed.
type modelJSON struct {
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

// mergesJSON reads both spellings of merges: "a b" and ["a", "b"].
type mergesJSON [][2]string

// UnmarshalJSON tries the older spelling first: it fails on the first element of
// the other.
func (m *mergesJSON) UnmarshalJSON(data []byte) error {
	var lines []string
	if json.Unmarshal(data, &lines) == nil {
		for i, l := range lines {
			left, right, ok := strings.Cut(l, " ")
			if !ok || strings.Contains(right, " ") {
				return fmt.Errorf("merge %d: got %q, want two tokens and one space", i, l)
			}
			*m = append(*m, [2]string{left, right})
		}
		return nil
	}
	var pairs [][]string
	if err := json.Unmarshal(data, &pairs); err != nil {
		return err
	}
	for i, p := range pairs {
		if len(p) != 2 {
			return fmt.Errorf("merge %d: got %d tokens, want 2", i, len(p))
		}
		*m = append(*m, [2]string{p[0], p[1]})
	}
	return nil
}

// strict decodes data and refuses fields that v does not have.
func strict(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
			return fmt.Errorf("field %s: %w", name, ErrUnsupported)
		}
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if d.More() {
		return fmt.Errorf("%w: something follows the JSON value", ErrFormat)
	}
	return nil
}

// parse reads a tokenizer.json.
func parse(data []byte) (*Tokenizer, error) {
	var f fileJSON
	if err := strict(data, &f); err != nil {
		return nil, err
	}
	var m modelJSON
	if err := m.read(f.Model); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	s := spec{normalizer: f.Normalizer, preTokenizer: f.PreTokenizer, postProcessor: f.PostProcessor, decoder: f.Decoder,
		truncation: f.Truncation, padding: f.Padding}
	s.whole, s.byteful, s.fuse = m.IgnoreMerges, m.ByteFallback, m.FuseUnk
	if err := s.readTokens(m.Vocab, f.Added); err != nil {
		return nil, err
	}
	if err := s.readMerges(m.Vocab, m.Merges); err != nil {
		return nil, err
	}
	return build(s)
}

// read looks at the type before anything else, so that a file of another model
// is refused for that and not for one of its fields.
func (m *modelJSON) read(data []byte) error {
	var kind struct {
		Type   *string          `json:"type"`
		Merges *json.RawMessage `json:"merges"`
	}
	if err := json.Unmarshal(data, &kind); err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if kind.Type != nil && *kind.Type != "BPE" || kind.Merges == nil {
		name := "without merges"
		if kind.Type != nil {
			name = *kind.Type
		}
		return fmt.Errorf("type %q: %w; want BPE", name, ErrUnsupported)
	}
	if err := strict(data, m); err != nil {
		return err
	}
	set := func(s *string) bool { return s != nil && *s != "" }
	switch {
	case m.Dropout != nil && *m.Dropout != 0:
		return fmt.Errorf("dropout %v: %w", *m.Dropout, ErrUnsupported)
	case set(m.Prefix):
		return fmt.Errorf("continuing_subword_prefix %q: %w", *m.Prefix, ErrUnsupported)
	case set(m.Suffix):
		return fmt.Errorf("end_of_word_suffix %q: %w", *m.Suffix, ErrUnsupported)
	}
	return nil
}

// readTokens fills the table of tokens from the vocabulary and the added tokens.
func (s *spec) readTokens(vocab map[string]int64, list []addedJSON) error {
	top := int64(-1)
	for _, id := range vocab {
		top = max(top, id)
	}
	for _, a := range list {
		top = max(top, a.ID)
	}
	if most := int64(len(vocab) + len(list) + maxHoles); top >= min(most, maxVocab) {
		return fmt.Errorf("vocab: id %d with %d tokens: %w; want ids below %d", top, len(vocab)+len(list), ErrFormat, min(most, maxVocab))
	}
	s.tokens = make([]token, top+1)
	spm := s.likeLlama2()
	if err := s.readAdded(vocab, list, spm); err != nil {
		return err
	}
	for name, id := range vocab {
		if id < 0 || name == "" {
			return fmt.Errorf("vocab: token %q with id %d: %w", name, id, ErrFormat)
		}
		t := decodeName(spm, name)
		old := s.tokens[id]
		switch {
		case old.kind == absent:
			s.tokens[id] = t
		case old.kind != special || old.text != name:
			return fmt.Errorf("vocab: id %d is both %q and %q: %w", id, old.text, name, ErrFormat)
		}
	}
	return nil
}

// readAdded enters the added tokens, which come before the vocabulary: there they
// may be listed again, by the same id.
func (s *spec) readAdded(vocab map[string]int64, list []addedJSON, spm bool) error {
	for _, a := range list {
		id, known := vocab[a.Content]
		switch {
		case a.ID < 0 || a.Content == "" || known && id != a.ID:
			return fmt.Errorf("added_tokens: %q with id %d, in the vocabulary with id %d: %w", a.Content, a.ID, id, ErrFormat)
		case s.tokens[a.ID].kind != absent:
			return fmt.Errorf("added_tokens: id %d is both %q and %q: %w", a.ID, s.tokens[a.ID].text, a.Content, ErrFormat)
		case a.SingleWord:
			return fmt.Errorf("added_tokens: %q: single_word: %w", a.Content, ErrUnsupported)
		case spm && a.Normalized && !a.Special:
			return fmt.Errorf("added_tokens: %q: normalized with a Prepend normalizer: %w; set it to false if the token is to be found as it is spelled", a.Content, ErrUnsupported)
		case a.Special && !spm && known && len(decodeName(spm, a.Content).text) == 1 && decodeName(spm, a.Content).kind == plain:
			return fmt.Errorf("added_tokens: %q is special and a byte: %w; text could not hold that byte", a.Content, ErrUnsupported)
		}
		s.tokens[a.ID] = token{text: a.Content, kind: special}
		s.added = append(s.added, added{id: int32(a.ID), content: a.Content, special: a.Special, lstrip: a.LStrip, rstrip: a.RStrip, normalized: a.Normalized})
	}
	slices.SortFunc(s.added, func(x, y added) int { return int(x.id) - int(y.id) })
	return nil
}

// likeLlama2 says whether tokens are spelled as in Llama 2's files.
func (s *spec) likeLlama2() bool { return same(s.normalizer, spmNormalizer) }

// decodeName reads a vocabulary entry: bytes in GPT-2's printable spelling, or
// for SentencePiece text with ▁ for the space and <0xNN> for bytes.
func decodeName(spm bool, name string) token {
	if !spm {
		if text, ok := bytesOf(name); ok {
			return token{text: text, kind: plain}
		}
		return token{text: name, kind: literal}
	}
	if b, ok := fallbackByte(name); ok {
		return token{text: string([]byte{b}), kind: fallback}
	}
	return token{text: strings.ReplaceAll(name, spmSpace, " "), kind: plain}
}

// readMerges turns names into ids. The joint of two tokens is found by its name.
func (s *spec) readMerges(vocab map[string]int64, merges mergesJSON) error {
	s.merges = make([]merge, 0, len(merges))
	for i, m := range merges {
		left, ok1 := vocab[m[0]]
		right, ok2 := vocab[m[1]]
		into, ok3 := vocab[m[0]+m[1]]
		if !ok1 || !ok2 || !ok3 {
			return fmt.Errorf("merges: merge %d of %q and %q: %w: one of them or their joint is not in the vocabulary", i, m[0], m[1], ErrFormat)
		}
		s.merges = append(s.merges, merge{int32(left), int32(right), int32(into)})
	}
	return nil
}

// configure takes the markers of a tokenizer_config.json.
func (t *Tokenizer) configure(data []byte) error {
	var c struct {
		AddBOS bool      `json:"add_bos_token"`
		BOS    nameOrObj `json:"bos_token"`
		EOS    nameOrObj `json:"eos_token"`
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	set := func(field string, name nameOrObj, id *int32) error {
		if name == "" {
			return nil
		}
		found, ok := t.specials[string(name)]
		if !ok {
			return fmt.Errorf("%s %q is not among the added tokens of tokenizer.json: %w", field, name, ErrFormat)
		}
		*id = found
		return nil
	}
	if c.AddBOS {
		if err := set("bos_token", c.BOS, &t.bos); err != nil {
			return err
		}
	}
	return set("eos_token", c.EOS, &t.eos)
}

// nameOrObj is a token given as "name" or as {"content": "name", …}.
type nameOrObj string

// UnmarshalJSON takes null for no name.
func (n *nameOrObj) UnmarshalJSON(data []byte) error {
	var obj struct {
		Content string `json:"content"`
	}
	if json.Unmarshal(data, &obj) == nil {
		*n = nameOrObj(obj.Content)
		return nil
	}
	return json.Unmarshal(data, (*string)(n))
}

// bytesOf reads GPT-2's printable spelling of bytes (bytes_to_unicode in its
// encoder.py): printable Latin-1 is itself, the rest is shifted to U+0100 on.
func bytesOf(name string) (string, bool) {
	out := make([]byte, 0, len(name))
	for _, r := range name {
		switch {
		case r < 0x100 && printable(byte(r)):
			out = append(out, byte(r))
		case 0x100 <= r && r < 0x100+68:
			out = append(out, hidden(int(r-0x100)))
		default:
			return "", false
		}
	}
	return string(out), true
}

// nameOf is the reverse of bytesOf.
func nameOf(text string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if printable(c) {
			b.WriteRune(rune(c))
			continue
		}
		n := rune(0)
		for h := byte(0); h < c; h++ {
			if !printable(h) {
				n++
			}
		}
		b.WriteRune(0x100 + n)
	}
	return b.String()
}

// printable bytes stand for themselves: all of Latin-1 that has ink, so not the
// spaces and not the soft hyphen.
func printable(b byte) bool {
	return '!' <= b && b <= '~' || 0xa1 <= b && b <= 0xac || 0xae <= b
}

// hidden is the n-th byte, counted from 0, that is not printable.
func hidden(n int) byte {
	switch {
	case n <= 0x20:
		return byte(n)
	case n < 0x20+1+0xa1-0x7f:
		return byte(n - 0x21 + 0x7f)
	}
	return 0xad
}
