package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"weft/internal/mapfile"
)

// Open reads a tokenizer of any kind, by what the file holds and not by what it
// is called: a tokenizer.json, a SentencePiece model, a file of tiktoken ranks, a
// tekken.json, a vocab.json or merges.txt with the other beside it, a vocab.txt
// of BERT, or a tokenizer.bin of llama2.c. Of a folder it takes the first of
// these that is there. A tokenizer_config.json beside the file adds tokens and
// says which begin and end a text. GGUF files are read by FromGGUF.
//
// Errors wrap ErrFormat or ErrUnsupported, or say what could not be read.
func Open(path string) (*Tokenizer, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return OpenFS(mapfile.Dir(path))
	}
	return openFile(mapfile.Dir(filepath.Dir(path)), filepath.Base(path))
}

// OpenFS is Open for a folder wherever it lies.
func OpenFS(dir fs.FS) (*Tokenizer, error) {
	names := []string{"tokenizer.json", "tekken.json", "tokenizer.model", "tiktoken.model", "spiece.model", "sentencepiece.bpe.model",
		"vocab.json", "encoder.json", "vocab.txt", "tokenizer.bin", "*.tiktoken", "*.model"}
	for _, name := range names {
		found, err := fs.Glob(dir, name)
		if err != nil {
			return nil, fmt.Errorf("tokenizer: %w", err)
		}
		if len(found) > 1 {
			return nil, fmt.Errorf("tokenizer: %s holds %s: %w: say which", mapfile.Path(dir, "."), strings.Join(found, " and "), ErrUnsupported)
		}
		if len(found) == 1 {
			return openFile(dir, found[0])
		}
	}
	return nil, fmt.Errorf("tokenizer: %s holds none of %s: %w", mapfile.Path(dir, "."), strings.Join(names, ", "), fs.ErrNotExist)
}

// draft is a vocabulary on its way to a Tokenizer.
type draft struct {
	*spec
	bos, eos string // tokens that begin and end a text, if they are special; "" none
}

func openFile(dir fs.FS, name string) (*Tokenizer, error) {
	data, err := readFile(dir, name)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	if isTokenizerJSON(data) {
		return load(dir, name)
	}
	t, err := openData(dir, name, data)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", mapfile.Path(dir, name), err)
	}
	return t, nil
}

func openData(dir fs.FS, name string, data []byte) (*Tokenizer, error) {
	var c configJSON
	const side = "tokenizer_config.json"
	config, err := readFile(dir, side)
	if err == nil {
		err = json.Unmarshal(config, &c)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w: %w", side, ErrFormat, err)
	}
	d, err := readDraft(dir, name, data, &c)
	if err == nil {
		err = c.extend(d.spec)
	}
	if err != nil {
		return nil, err
	}
	t, err := build(*d.spec)
	if err != nil {
		return nil, err
	}
	t.mark(d.bos, d.eos)
	if len(config) > 0 {
		err = t.configure(config)
	}
	return t, err
}

// isTokenizerJSON tells a tokenizer.json from other JSON.
func isTokenizerJSON(data []byte) bool {
	keys := topKeys(data)
	return slices.Contains(keys, "model")
}

// topKeys lists the first keys of a JSON object, enough to tell files apart, or
// none.
func topKeys(data []byte) (keys []string) {
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	for d.More() && len(keys) < 16 {
		t, err := d.Token()
		var skip json.RawMessage
		if err != nil || d.Decode(&skip) != nil {
			return nil
		}
		keys = append(keys, t.(string)) // keys of an object are strings
	}
	return keys
}

// readDraft finds out what a file is.
func readDraft(dir fs.FS, name string, data []byte, c *configJSON) (d draft, err error) {
	keys := topKeys(data)
	ranks, isRanks := isRanks(data)
	switch {
	case slices.Contains(keys, "config") && slices.Contains(keys, "vocab"):
		d = draft{bos: "<s>", eos: "</s>"}
		d.spec, err = parseTekken(data)
	case keys != nil:
		return c.vocabulary(dir, name, "", data)
	case isRanks:
		var e rankEncoding
		if e, err = encodingOf(path.Base(name), ranks); err == nil {
			d.spec, err = tiktokenSpec(data, e.pattern, c.rename(e.specials))
		}
	case bytes.HasPrefix(data, []byte("#version")):
		return c.vocabulary(dir, "", name, nil)
	case looksLikeSpm(data):
		return sentencePieceDraft(data)
	case hasLine(data, "[UNK]"):
		d = draft{bos: "[CLS]", eos: "[SEP]"}
		d.spec, err = wordList(data, c.bert())
	default:
		n, ok := llama2CSize(data)
		if !ok {
			return d, fmt.Errorf("%w: it is no kind of tokenizer that is known", ErrFormat)
		}
		d.spec, err = llama2CSpec(bytes.NewReader(data), n)
	}
	return d, err
}

// hasLine says whether one line of data is want.
func hasLine(data []byte, want string) bool {
	for line := range bytes.Lines(data) {
		if string(bytes.TrimRight(line, "\r\n")) == want {
			return true
		}
	}
	return false
}

// looksLikeSpm says whether data begins with a piece, as every .model does.
func looksLikeSpm(data []byte) bool {
	if len(data) < 2 || data[0] != 1<<3|2 { // field 1, of bytes
		return false
	}
	f, err := readSpm(data)
	return err == nil && f.pieces[0].text != ""
}

// configJSON is what tokenizer_config.json says of other files' vocabularies.
type configJSON struct {
	Class   string               `json:"tokenizer_class"`
	Added   map[string]addedJSON `json:"added_tokens_decoder"` // by id
	Lower   *bool                `json:"do_lower_case"`
	Accents *bool                `json:"strip_accents"`
}

// vocabulary reads the two files of GPT-2's kind, of which one is named.
func (c *configJSON) vocabulary(dir fs.FS, vocab, merges string, data []byte) (d draft, err error) {
	other := func(name string, names ...string) ([]byte, error) {
		for _, n := range names {
			b, err := readFile(dir, path.Join(path.Dir(name), n))
			if !errors.Is(err, fs.ErrNotExist) {
				return b, err
			}
		}
		return nil, fmt.Errorf("beside it there is none of %s: %w", strings.Join(names, ", "), fs.ErrNotExist)
	}
	var lines []byte
	if vocab != "" {
		lines, err = other(vocab, "merges.txt", "vocab.bpe")
	} else if data, err = other(merges, "vocab.json", "encoder.json"); err == nil {
		lines, err = readFile(dir, merges)
	}
	if err != nil {
		return d, err
	}
	pattern := ""
	if strings.HasPrefix(c.Class, "Qwen2Tokenizer") {
		pattern = "qwen2"
	}
	d.spec, err = vocabSpec(data, lines, pattern)
	if err == nil && pattern != "" {
		d.normalizer = json.RawMessage(`{"type":"NFC"}`)
	}
	return d, err
}

// bert is what the file says of case and accents; nil when it says nothing.
func (c *configJSON) bert() *bertText {
	if c.Lower == nil {
		return nil
	}
	return &bertText{cased: !*c.Lower, keepAccents: c.Accents != nil && !*c.Accents}
}

// rename gives special tokens the names that the file has for their ids.
func (c *configJSON) rename(specials map[string]int32) map[string]int32 {
	names := map[int32]string{}
	for name, id := range specials {
		names[id] = name
	}
	for text, a := range c.Added {
		if id, err := strconv.ParseInt(text, 10, 32); err == nil && names[int32(id)] != "" {
			names[int32(id)] = a.Content
		}
	}
	out := make(map[string]int32, len(names))
	for id, name := range names {
		out[name] = id
	}
	return out
}

// extend enters the tokens that the file adds to a vocabulary. Those that are in
// it already must have the same name there.
func (c *configJSON) extend(s *spec) error {
	known := map[int32]int{}
	for i, a := range s.added {
		known[a.id] = i
	}
	for text, a := range c.Added {
		id, err := strconv.ParseInt(text, 10, 32)
		wrong := func(got string) error {
			return fmt.Errorf("tokenizer_config.json: added_tokens_decoder: %q with id %q: %w: got %s", a.Content, text, ErrFormat, got)
		}
		switch {
		case err != nil || id < 0 || a.Content == "" || id >= int64(len(s.tokens)+len(c.Added)+maxHoles):
			return wrong("no id of a token")
		case a.SingleWord:
			return fmt.Errorf("tokenizer_config.json: added token %q: single_word: %w", a.Content, ErrUnsupported)
		}
		for int64(len(s.tokens)) <= id {
			s.tokens = append(s.tokens, token{})
		}
		t := &s.tokens[id]
		if t.kind != absent && t.text != a.Content {
			return wrong(fmt.Sprintf("%q with that id in the vocabulary", t.text))
		}
		*t = token{text: a.Content, kind: special}
		mine := added{id: int32(id), content: a.Content, special: a.Special, lstrip: a.LStrip, rstrip: a.RStrip, normalized: a.Normalized}
		if i, ok := known[int32(id)]; ok {
			s.added[i] = mine
		} else {
			s.added = append(s.added, mine)
		}
	}
	return nil
}
